use hiroba_derive::Operation;

#[derive(Operation)]
#[operation(GET "/{namespaceName}/user/{userId}/job", name = "describeJobs", component = "job", player, answer = Empty)]
pub struct DescribeJobs {
    pub namespace_name: String,
}

fn main() {}

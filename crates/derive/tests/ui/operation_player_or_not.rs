use hiroba_derive::Operation;

#[derive(Operation)]
#[operation(GET "/{namespaceName}/job", name = "describeJobs", component = "job", player, maybe_player, answer = Empty)]
pub struct DescribeJobs {
    pub namespace_name: String,
}

fn main() {}

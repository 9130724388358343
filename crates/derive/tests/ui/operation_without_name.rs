use hiroba_derive::Operation;

#[derive(Operation)]
#[operation(GET "/", component = "namespace", answer = Empty)]
pub struct DescribeNamespaces {}

fn main() {}

use hiroba_derive::Operation;

#[derive(Operation)]
#[operation(GET "/", name = "describeNamespaces", answer = Empty)]
pub struct DescribeNamespaces {}

fn main() {}

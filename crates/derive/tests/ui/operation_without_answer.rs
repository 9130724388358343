use hiroba_derive::Operation;

#[derive(Operation)]
#[operation(GET "/", name = "describeNamespaces", component = "namespace")]
pub struct DescribeNamespaces {}

fn main() {}

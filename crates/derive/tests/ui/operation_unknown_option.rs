use hiroba_derive::Operation;

#[derive(Operation)]
#[operation(GET "/", name = "describeNamespaces", component = "namespace", answer = Empty, public)]
pub struct DescribeNamespaces {}

fn main() {}

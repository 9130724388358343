use hiroba_derive::Operation;

#[derive(Operation)]
#[operation(GET "/", name = describeNamespaces, component = "namespace", answer = Empty)]
pub struct DescribeNamespaces {}

fn main() {}

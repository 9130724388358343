use hiroba_derive::Model;

#[derive(Model)]
pub struct Mutex(String);

fn main() {}

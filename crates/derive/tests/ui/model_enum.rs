use hiroba_derive::Model;

#[derive(Model)]
pub enum Mutex {
    Held,
    Free,
}

fn main() {}

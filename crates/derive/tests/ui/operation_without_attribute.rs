use hiroba_derive::Operation;

#[derive(Operation)]
pub struct Lock {
    pub namespace_name: String,
}

fn main() {}

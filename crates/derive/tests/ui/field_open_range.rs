use hiroba_derive::Model;

#[derive(Model)]
pub struct Mutex {
    #[field(1..)]
    pub property_id: String,
}

fn main() {}

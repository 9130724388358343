use hiroba_derive::Model;

#[derive(Model)]
pub struct Mutex {
    #[field(1..1024)]
    pub property_id: String,
}

fn main() {}

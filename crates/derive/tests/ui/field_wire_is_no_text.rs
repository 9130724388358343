use hiroba_derive::Model;

#[derive(Model)]
pub struct Mutex {
    #[field(wire = property)]
    pub property_id: String,
}

fn main() {}

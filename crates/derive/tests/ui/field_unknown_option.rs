use hiroba_derive::Model;

#[derive(Model)]
pub struct Mutex {
    #[field(rename = "property")]
    pub property_id: String,
}

fn main() {}

use hiroba_derive::Operation;

// `{userId}` needs no field: it makes the two variants of the operation.
#[derive(Operation)]
#[operation(GET "/{namespaceName}/user/{userId}/mutex/{*propertyId}", name = "getMutex", component = "mutex",
    answer = Empty)]
pub struct GetMutex {
    pub namespace_name: String,
}

fn main() {}

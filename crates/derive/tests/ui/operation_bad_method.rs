use hiroba_derive::Operation;

#[derive(Operation)]
#[operation(PATCH "/{namespaceName}", name = "patchNamespace", component = "namespace", answer = Empty)]
pub struct PatchNamespace {
    pub namespace_name: String,
}

fn main() {}

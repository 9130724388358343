//! `#[derive(Operation)]` and `#[derive(Model)]`: they write a table row and calls to the run-time reader of
//! `hiroba-api`, and never look at types. What a field accepts is said by its type's `Field` implementation.

mod declaration;
mod fields;

use proc_macro::TokenStream;
use quote::quote;
use syn::{DeriveInput, parse_macro_input};

/// Declares one operation of a service (two, when the path names `{userId}`).
///
/// ```text
/// #[derive(Debug, Operation)]
/// #[operation(POST "/{namespaceName}/user/{userId}/mutex/{*propertyId}/lock",
///             name = "lock", component = "mutex", answer = Item<Mutex>)]
/// pub struct Lock { … }
/// ```
///
/// `SERVICE` of the surrounding module is the service. Options after the path: `name`, `component`, `answer`,
/// `model = "…"` (what messages about wrong fields name instead of the component), `policy = "…"` (another policy action
/// than the name), `me = "/…"` (path of the player's variant where it is not the same with `me`), the flags `anonymous` (no project token needed), `by_user` (the caller always names
/// the path's player, whatever the name), `player` (the player is the one of the access token, though the path names
/// none), `maybe_player` (there may be an access token, though the path names no player), `once` (honours a duplication avoider though the path names no player) and
/// `repeatable` (never keeps a duplication avoider's answer).
#[proc_macro_derive(Operation, attributes(operation, field))]
pub fn operation(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(declaration::operation(&input))
}

/// Declares a model: an object nested in requests or answers.
#[proc_macro_derive(Model, attributes(field))]
pub fn model(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(declaration::model(&input))
}

fn expand(result: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    result
        .unwrap_or_else(|error| {
            let error = error.to_compile_error();
            quote!(#error)
        })
        .into()
}

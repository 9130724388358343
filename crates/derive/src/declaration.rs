//! Writes the implementations: `Field` and `Serialize` of a model, `Operation` of an operation.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{DeriveInput, Ident, LitStr, Token, Type};

use crate::fields::{DeclaredField, camel_case, declared_fields, doc_text};

/// What `#[operation(…)]` says.
struct OperationOptions {
    method: Ident,
    path: String,
    name: String,
    component: String,
    answer: Type,
    policy: Option<String>,
    anonymous: bool,
    repeatable: bool,
    once: bool,
    by_user: bool,
    player: bool,
    maybe_player: bool,
    me: Option<String>,
    model: Option<String>,
}

impl Parse for OperationOptions {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let method: Ident = input.parse()?;
        if !["GET", "POST", "PUT", "DELETE"].contains(&method.to_string().as_str()) {
            return Err(syn::Error::new(method.span(), "expected GET, POST, PUT or DELETE"));
        }
        let path: LitStr = input.parse()?;
        if !path.value().starts_with('/') {
            return Err(syn::Error::new(path.span(), "the path begins with `/` and leaves the service out"));
        }
        let (mut name, mut component, mut answer, mut policy) = (None, None, None, None);
        let (mut model, mut me) = (None, None);
        let (mut player, mut maybe_player) = (false, false);
        let (mut anonymous, mut repeatable, mut once, mut by_user) = (false, false, false, false);
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let key: Ident = input.parse()?;
            match key.to_string().as_str() {
                "anonymous" => anonymous = true,
                "repeatable" => repeatable = true,
                "once" => once = true,
                "by_user" => by_user = true,
                "player" => player = true,
                "maybe_player" => maybe_player = true,
                "me" => me = Some(text_value(input)?),
                "name" => name = Some(text_value(input)?),
                "component" => component = Some(text_value(input)?),
                "model" => model = Some(text_value(input)?),
                "policy" => policy = Some(text_value(input)?),
                "answer" => {
                    input.parse::<Token![=]>()?;
                    answer = Some(input.parse()?);
                }
                _ => {
                    let expected = "expected `name`, `component`, `model`, `answer`, `policy`, `me`, `anonymous`, `by_user`, `player`, `maybe_player`, `once` or `repeatable`";
                    return Err(syn::Error::new(key.span(), expected));
                }
            }
        }
        let missing =
            |what: &str| syn::Error::new(method.span(), format!("the operation needs `{what} = …`"));
        Ok(OperationOptions {
            path: path.value(),
            name: name.ok_or_else(|| missing("name"))?,
            component: component.ok_or_else(|| missing("component"))?,
            answer: answer.ok_or_else(|| missing("answer"))?,
            policy,
            anonymous,
            repeatable,
            once,
            by_user,
            player,
            maybe_player,
            me,
            model,
            method,
        })
    }
}

fn text_value(input: ParseStream<'_>) -> syn::Result<String> {
    input.parse::<Token![=]>()?;
    Ok(input.parse::<LitStr>()?.value())
}

pub(crate) fn operation(input: &DeriveInput) -> syn::Result<TokenStream> {
    let attribute = input.attrs.iter().find(|attribute| attribute.path().is_ident("operation"));
    let attribute = attribute.ok_or_else(|| {
        syn::Error::new_spanned(
            &input.ident,
            "say `#[operation(METHOD \"/path\", name = …, component = …, answer = …)]`",
        )
    })?;
    let options: OperationOptions = attribute.parse_args()?;
    let fields = declared_fields(input)?;
    check_path(&options.path, &fields, input)?;
    if let Some(me) = &options.me {
        check_path(me, &fields, input)?;
    }
    check_player(&options, input)?;

    let OperationOptions {
        method,
        path,
        name,
        component,
        answer,
        anonymous,
        repeatable,
        once,
        by_user,
        player,
        maybe_player,
        ..
    } = &options;
    let method = method.to_string();
    let policy = match &options.policy {
        Some(policy) => quote!(::core::option::Option::Some(#policy)),
        None => quote!(::core::option::Option::None),
    };
    let me = match &options.me {
        Some(me) => quote!(::core::option::Option::Some(#me)),
        None => quote!(::core::option::Option::None),
    };
    let model = options.model.as_ref().unwrap_or(component);
    let ident = &input.ident;
    let doc = doc_text(&input.attrs);
    let specs = fields.iter().map(|field| &field.spec);
    let describe = describe_fields(&fields, &quote!(Self::DECLARATION.specs));
    let subject_after = usize::from(path.starts_with("/{namespaceName}"));
    let read = read_fields(&fields, &quote!(Self::DECLARATION.specs), Some(subject_after));
    let write = write_fields(&fields);
    Ok(quote! {
        impl ::hiroba_api::contract::Operation for #ident {
            type Answer = #answer;

            const DECLARATION: &'static ::hiroba_api::contract::Declaration =
                &::hiroba_api::contract::Declaration {
                    service: &SERVICE,
                    method: #method,
                    path: #path,
                    me: #me,
                    name: #name,
                    component: #component,
                    model: #model,
                    policy: #policy,
                    anonymous: #anonymous,
                    repeatable: #repeatable,
                    once: #once,
                    by_user: #by_user,
                    player: #player,
                    maybe_player: #maybe_player,
                    doc: #doc,
                    specs: &[#(#specs),*],
                    fields: <Self as ::hiroba_api::contract::Operation>::describe,
                    answer: <#answer as ::hiroba_api::contract::Field>::shape,
                };

            fn describe() -> ::std::vec::Vec<::hiroba_api::contract::FieldInfo> {
                #describe
            }

            fn read(reader: &mut ::hiroba_api::contract::Reader<'_>) -> ::core::option::Option<Self> {
                #read
            }

            fn write(&self, fields: &mut ::hiroba_api::contract::Fields) {
                let _ = &fields;
                #write
            }
        }
    })
}

/// A path parameter without a field would never reach the handler.
fn check_path(path: &str, fields: &[DeclaredField], input: &DeriveInput) -> syn::Result<()> {
    for segment in path.split('/') {
        let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else { continue };
        let name = name.trim_start_matches('*');
        if name != "userId" && !fields.iter().any(|field| field.wire == name) {
            let message = format!("the path names `{{{name}}}`, but no field has that wire name");
            return Err(syn::Error::new_spanned(&input.ident, message));
        }
    }
    Ok(())
}

/// Options about the player that contradict the path would make another operation than the one that was meant.
fn check_player(options: &OperationOptions, input: &DeriveInput) -> syn::Result<()> {
    let names_user = options.path.contains("{userId}");
    let problem = if names_user && (options.player || options.maybe_player) {
        "the path names `{userId}`, which makes the player's variant: leave `player` and `maybe_player` out"
    } else if options.player && options.maybe_player {
        "say either `player` or `maybe_player`"
    } else if options.me.is_some() && !names_user {
        "`me` is the path of the player's variant, which only a path with `{userId}` has"
    } else {
        return Ok(());
    };
    Err(syn::Error::new_spanned(&input.ident, problem))
}

pub(crate) fn model(input: &DeriveInput) -> syn::Result<TokenStream> {
    let fields = declared_fields(input)?;
    let ident = &input.ident;
    let name = ident.to_string();
    let model = camel_case_type(&name);
    let doc = doc_text(&input.attrs);
    let specs = fields.iter().map(|field| &field.spec);
    let describe = describe_fields(&fields, &quote!(SPECS));
    let read = read_fields(&fields, &quote!(Self::specs()), None);
    let serialize = fields.iter().map(|DeclaredField { ident, wire, .. }| {
        quote! {
            if ::hiroba_api::contract::Field::present(&self.#ident) {
                ::hiroba_api::contract::SerializeMap::serialize_entry(&mut map, #wire, &self.#ident)?;
            }
        }
    });
    Ok(quote! {
        impl #ident {
            const fn specs() -> &'static [::hiroba_api::contract::Spec] {
                const SPECS: &[::hiroba_api::contract::Spec] = &[#(#specs),*];
                SPECS
            }

            fn describe() -> ::std::vec::Vec<::hiroba_api::contract::FieldInfo> {
                const SPECS: &[::hiroba_api::contract::Spec] = #ident::specs();
                #describe
            }
        }

        impl ::hiroba_api::contract::Field for #ident {
            fn shape() -> ::hiroba_api::contract::Shape {
                ::hiroba_api::contract::Shape::model(#name, #doc, Self::describe)
            }

            fn read(
                value: ::hiroba_api::contract::Value,
                at: &::hiroba_api::contract::At<'_>,
                errors: &mut ::std::vec::Vec<::hiroba_api::error::ErrorItem>,
            ) -> ::core::option::Option<Self> {
                let mut nested = ::hiroba_api::contract::Reader::nested(value, #model, at, errors)?;
                let reader = &mut nested;
                let _ = &reader;
                #read
            }
        }

        impl ::hiroba_api::contract::Serialize for #ident {
            fn serialize<S: ::hiroba_api::contract::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                let mut map = ::hiroba_api::contract::Serializer::serialize_map(
                    serializer,
                    ::core::option::Option::None,
                )?;
                #(#serialize)*
                ::hiroba_api::contract::SerializeMap::end(map)
            }
        }
    })
}

/// `LogSetting` → `logSetting`, the model's name in messages and components.
fn camel_case_type(name: &str) -> String {
    let mut characters = name.chars();
    let first = characters.next().map(|character| character.to_lowercase().to_string()).unwrap_or_default();
    camel_case(&format!("{first}{}", characters.as_str()))
}

fn describe_fields(fields: &[DeclaredField], specs: &TokenStream) -> TokenStream {
    let infos = fields.iter().enumerate().map(|(index, field)| {
        let ty = &field.ty;
        quote!(::hiroba_api::contract::FieldInfo::of::<#ty>(&#specs[#index]))
    });
    quote!(::std::vec![#(#infos),*])
}

/// Reads every field before it gives up, so that all errors are reported at once and in order.
fn read_fields(fields: &[DeclaredField], specs: &TokenStream, subject_after: Option<usize>) -> TokenStream {
    let mut reads: Vec<TokenStream> = fields
        .iter()
        .enumerate()
        .map(|(index, DeclaredField { ident, ty, .. })| {
            quote!(let #ident = reader.field::<#ty>(&#specs[#index]);)
        })
        .collect();
    if let Some(index) = subject_after {
        reads.insert(index.min(reads.len()), quote!(reader.subject();));
    }
    let idents = fields.iter().map(|field| &field.ident);
    quote! {
        #(#reads)*
        ::core::option::Option::Some(Self { #(#idents: #idents?),* })
    }
}

fn write_fields(fields: &[DeclaredField]) -> TokenStream {
    let writes = fields.iter().map(|DeclaredField { ident, wire, .. }| {
        quote!(::hiroba_api::contract::write_field(fields, #wire, &self.#ident);)
    });
    quote!(#(#writes)*)
}

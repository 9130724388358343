//! Reads the fields of a declared struct: wire name, limits, documentation.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Data, DeriveInput, Expr, ExprLit, ExprRange, Fields, Ident, Lit, LitStr, Token, Type};

/// One field of a declared struct.
pub(crate) struct DeclaredField {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    pub(crate) wire: String,
    /// The `Spec` expression that the run-time reader takes.
    pub(crate) spec: TokenStream,
}

/// The fields of a struct with named fields; anything else is a compile error.
pub(crate) fn declared_fields(input: &DeriveInput) -> syn::Result<Vec<DeclaredField>> {
    let Data::Struct(data) = &input.data else {
        return Err(syn::Error::new_spanned(&input.ident, "only a struct can be declared"));
    };
    match &data.fields {
        Fields::Named(fields) => fields.named.iter().map(declared_field).collect(),
        Fields::Unit => Ok(Vec::new()),
        Fields::Unnamed(fields) => {
            Err(syn::Error::new_spanned(fields, "fields need names: the wire has names"))
        }
    }
}

fn declared_field(field: &syn::Field) -> syn::Result<DeclaredField> {
    // Only fields of structs with names reach this function.
    let ident = field.ident.clone().ok_or_else(|| syn::Error::new_spanned(field, "field needs a name"))?;
    let mut attributes = field.attrs.iter().filter(|attribute| attribute.path().is_ident("field"));
    let options: FieldOptions =
        attributes.next().map(syn::Attribute::parse_args).transpose()?.unwrap_or_default();
    if let Some(second) = attributes.next() {
        return Err(syn::Error::new_spanned(second, "say everything in one `#[field(…)]`"));
    }
    let wire = options.wire.unwrap_or_else(|| camel_case(&ident.unraw().to_string()));
    let alias = option_tokens(options.alias.map(|alias| quote!(#alias)));
    let range = option_tokens(options.range.map(|(start, end)| quote!((#start, #end))));
    let default = option_tokens(options.default.map(|default| quote!(#default)));
    let doc = doc_text(&field.attrs);
    let spec = quote! {
        ::hiroba_api::contract::Spec { name: #wire, alias: #alias, range: #range, default: #default, doc: #doc }
    };
    Ok(DeclaredField { ident, ty: field.ty.clone(), wire, spec })
}

fn option_tokens(tokens: Option<TokenStream>) -> TokenStream {
    match tokens {
        Some(tokens) => quote!(::core::option::Option::Some(#tokens)),
        None => quote!(::core::option::Option::None),
    }
}

#[derive(Default)]
struct FieldOptions {
    wire: Option<String>,
    alias: Option<String>,
    range: Option<(Expr, Expr)>,
    default: Option<Expr>,
}

impl Parse for FieldOptions {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut options = FieldOptions::default();
        while !input.is_empty() {
            if input.peek(Ident) && input.peek2(Token![=]) && !input.peek2(Token![==]) {
                let key: Ident = input.parse()?;
                input.parse::<Token![=]>()?;
                match key.to_string().as_str() {
                    "wire" => options.wire = Some(input.parse::<LitStr>()?.value()),
                    "alias" => options.alias = Some(input.parse::<LitStr>()?.value()),
                    "default" => options.default = Some(input.parse()?),
                    _ => {
                        return Err(syn::Error::new(
                            key.span(),
                            "expected `wire`, `alias`, `default` or a range",
                        ));
                    }
                }
            } else {
                let range: ExprRange = input.parse()?;
                let message = "a limit has both ends: write `#[field(1..=1024)]`";
                match (&range.start, &range.limits, &range.end) {
                    (Some(start), syn::RangeLimits::Closed(_), Some(end)) => {
                        options.range = Some(((**start).clone(), (**end).clone()));
                    }
                    _ => return Err(syn::Error::new_spanned(&range, message)),
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

/// `namespace_name` → `namespaceName`.
pub(crate) fn camel_case(snake: &str) -> String {
    let mut camel = String::with_capacity(snake.len());
    let mut upper = false;
    for character in snake.chars() {
        if character == '_' {
            upper = true;
        } else if upper {
            camel.extend(character.to_uppercase());
            upper = false;
        } else {
            camel.push(character);
        }
    }
    camel
}

/// The documentation comment as one text, lines trimmed.
pub(crate) fn doc_text(attributes: &[Attribute]) -> String {
    let lines: Vec<String> = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
        .filter_map(|attribute| match &attribute.meta {
            syn::Meta::NameValue(pair) => match &pair.value {
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        })
        .collect();
    lines.join("\n").trim().to_owned()
}

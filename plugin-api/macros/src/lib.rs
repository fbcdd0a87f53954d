//! `#[settings]`, `#[message]` and `#[row]`: the derives of serde and schemars, found through `plugin_api`, so that a plugin
//! needs no dependency on either. They write attributes, and no code of their own.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{Attribute, Item, LitStr, parse_macro_input};

/// Makes a struct or an enum a message: what an operation takes or returns.
///
/// Adds `Serialize`, `Deserialize`, `JsonSchema`, `Debug` and `Clone`. Doc comments become the schema's descriptions.
#[proc_macro_attribute]
pub fn message(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as Item);
    quote! {
        #[derive(
            Debug, Clone,
            ::plugin_api::serde::Serialize, ::plugin_api::serde::Deserialize, ::plugin_api::schemars::JsonSchema,
        )]
        #[serde(crate = "::plugin_api::serde")]
        #[schemars(crate = "::plugin_api::schemars")]
        #item
    }
    .into()
}

/// Makes a struct, or a word in one of its fields, what a row of the database is read as.
///
/// Adds `Deserialize`, `Debug` and `Clone`.
#[proc_macro_attribute]
pub fn row(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as Item);
    quote! {
        #[derive(Debug, Clone, ::plugin_api::serde::Deserialize)]
        #[serde(crate = "::plugin_api::serde")]
        #item
    }
    .into()
}

/// Makes a struct a plugin's settings.
///
/// Adds `Deserialize`, `JsonSchema` and `Debug`, and refuses unknown keys. A field may carry
/// `#[setting(env = "SMTP_SERVER")]`: the environment variable that is read when plugins.toml does not give a value.
#[proc_macro_attribute]
pub fn settings(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut item = parse_macro_input!(item as syn::ItemStruct);
    for field in &mut item.fields {
        for attribute in &mut field.attrs {
            match translate(attribute) {
                Ok(Some(translated)) => *attribute = translated,
                Ok(None) => {}
                Err(error) => return error.to_compile_error().into(),
            }
        }
    }
    quote! {
        #[derive(Debug, ::plugin_api::serde::Deserialize, ::plugin_api::schemars::JsonSchema)]
        #[serde(crate = "::plugin_api::serde", deny_unknown_fields)]
        #[schemars(crate = "::plugin_api::schemars")]
        #item
    }
    .into()
}

/// `#[setting(env = "NAME")]` as the schema extension that carries it to the host; other attributes are `None`.
fn translate(attribute: &Attribute) -> syn::Result<Option<Attribute>> {
    if !attribute.path().is_ident("setting") {
        return Ok(None);
    }
    let mut variable: Option<LitStr> = None;
    attribute.parse_nested_meta(|meta| {
        if !meta.path.is_ident("env") {
            return Err(meta.error("unknown key; `env = \"NAME\"` is known"));
        }
        variable = Some(meta.value()?.parse()?);
        Ok(())
    })?;
    let variable = variable.ok_or_else(|| syn::Error::new_spanned(attribute, "needs `env = \"NAME\"`"))?;
    let translated: Tokens = quote! { #[schemars(extend("x-env" = #variable))] };
    let translated: syn::ItemStruct = syn::parse_quote! { #translated struct Carrier; };
    Ok(translated.attrs.into_iter().next())
}

//! The document as a page for people: it loads nothing but its style, runs nothing, and works where neither scripts nor
//! other hosts do.

use maud::{Markup, html};
use serde_json::Value;

use super::{
    super::page::frame,
    Description,
    endpoint::{Answer, Endpoint, Parameter},
};

pub(super) fn render(description: &Description) -> Markup {
    let Description { version, schemas, is_partial, .. } = description;
    let content = html! {
        main.docs {
            h1 { "The API of this host" }
            p { "Switchboard " (version) "; for programs: " a href="/api/openapi.json" { "/api/openapi.json" } }
            @if *is_partial {
                p {
                    "Only the host's own routes are shown. " a href="/login" { "Operators" }
                    " see those of plugins, and every operation."
                }
            }
            (groups(description))
            h2 { "schemas" }
            @for (name, schema) in schemas {
                details id=(name) { summary { code { (name) } } (json(schema)) }
            }
        }
    };
    frame("Switchboard: API", html! {}, content)
}

fn groups(Description { tags, endpoints, .. }: &Description) -> Markup {
    html! {
        @for (tag, about) in tags {
            @let own: Vec<_> = endpoints.iter().filter(|endpoint| endpoint.tag == *tag).collect();
            @if !own.is_empty() {
                h2 { (tag) }
                p { (about) }
                @for endpoint in own { (one(endpoint)) }
            }
        }
    }
}

fn one(endpoint: &Endpoint) -> Markup {
    let Endpoint { method, path, summary, parameters, body, answers, .. } = endpoint;
    html! {
        details {
            summary { b { (method) } " " code { (path) } " " (summary) }
            p { "For " (endpoint.access()) "." }
            (table(parameters))
            @if let Some((kind, schema)) = body { p { "Takes " code { (kind) } } (json(schema)) }
            @for answer in answers { (answered(answer)) }
        }
    }
}

fn table(parameters: &[Parameter]) -> Markup {
    html! {
        @if !parameters.is_empty() {
            table {
                thead { tr { th { "parameter" } th { "in" } th { "what" } } }
                tbody {
                    @for Parameter { name, place, about, .. } in parameters {
                        tr { td { code { (name) } } td { (place) } td { (about) } }
                    }
                }
            }
        }
    }
}

fn answered(Answer { status, about, content }: &Answer) -> Markup {
    html! {
        p { b { (status) } " " (about) @for (kind, _) in content { " " code { (kind) } } }
        @if let Some((_, schema)) = content.first() { (json(schema)) }
    }
}

/// A schema; that anything goes is not worth a line, and one that stands elsewhere is a link.
fn json(schema: &Value) -> Markup {
    let named = schema.get("$ref").and_then(Value::as_str).and_then(|named| named.rsplit_once('/'));
    html! {
        @if let Some((_, name)) = named {
            p { a href={ "#" (name) } { (name) } }
        } @else if !matches!(schema, Value::Bool(true)) {
            // What scrolls must be reached by keyboard.
            pre tabindex="0" { (format!("{schema:#}")) }
        }
    }
}

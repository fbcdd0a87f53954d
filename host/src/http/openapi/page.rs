//! The document as a page for people: it loads nothing, runs nothing, and works where neither scripts nor other hosts do.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    super::page::{STYLE, escape},
    Description,
    endpoint::{Answer, Endpoint},
};

/// Beside what all plain pages share.
const OWN_STYLE: &str = "summary{cursor:pointer;padding:.2rem 0}details{border-bottom:1px solid #8884}\
     pre{overflow:auto;max-height:30rem;padding:.6rem;background:#8882}b{display:inline-block;min-width:4.5em}";

const PARTIAL: &str = "<p>Only the host's own routes are shown. <a href=\"/login\">Operators</a> see those of plugins, and \
     every operation.</p>";

pub(super) fn render(description: &Description) -> String {
    let Description { version, tags, endpoints, schemas, is_partial } = description;
    let partial = if *is_partial { PARTIAL } else { "" };
    let mut text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Switchboard: what can be asked</title>\
         <style>{STYLE}{OWN_STYLE}</style></head><body><h1>What can be asked of this host</h1>\
         <p>Switchboard {}; for programs: <a href=\"/api/openapi.json\">/api/openapi.json</a></p>{partial}",
        escape(version)
    );
    for (tag, about) in tags {
        let own: Vec<_> = endpoints.iter().filter(|endpoint| endpoint.tag == *tag).collect();
        if own.is_empty() {
            continue;
        }
        push(&mut text, format_args!("<h2>{}</h2><p>{}</p>", escape(tag), escape(about)));
        own.into_iter().for_each(|endpoint| one(&mut text, endpoint));
    }
    text.push_str("<h2>schemas</h2>");
    for (name, schema) in schemas {
        let name = escape(name);
        push(&mut text, format_args!("<details id=\"{name}\"><summary><code>{name}</code></summary>"));
        json(&mut text, schema);
        text.push_str("</details>");
    }
    text.push_str("</body></html>\n");
    text
}

fn one(text: &mut String, endpoint: &Endpoint) {
    let Endpoint { method, path, summary, parameters, body, answers, .. } = endpoint;
    push(
        text,
        format_args!(
            "<details><summary><b>{}</b> <code>{}</code> {}</summary><p>For {}.</p>",
            escape(method),
            escape(path),
            escape(summary),
            escape(&endpoint.access())
        ),
    );
    if !parameters.is_empty() {
        text.push_str("<table><thead><tr><th>parameter</th><th>in</th><th></th></tr></thead><tbody>");
        for parameter in parameters {
            push(
                text,
                format_args!(
                    "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
                    escape(&parameter.name),
                    parameter.place,
                    escape(&parameter.about)
                ),
            );
        }
        text.push_str("</tbody></table>");
    }
    if let Some((kind, schema)) = body {
        push(text, format_args!("<p>Takes <code>{kind}</code></p>"));
        json(text, schema);
    }
    answers.iter().for_each(|answer| answered(text, answer));
    text.push_str("</details>");
}

fn answered(text: &mut String, Answer { status, about, content }: &Answer) {
    push(text, format_args!("<p><b>{status}</b> {}", escape(about)));
    for (kind, _) in content {
        push(text, format_args!(" <code>{}</code>", escape(kind)));
    }
    text.push_str("</p>");
    if let Some((_, schema)) = content.first() {
        json(text, schema);
    }
}

/// A schema; that anything goes is not worth a line, and one that stands elsewhere is a link.
fn json(text: &mut String, schema: &Value) {
    let named = schema.get("$ref").and_then(Value::as_str).and_then(|named| named.rsplit_once('/'));
    match (named, schema) {
        (Some((_, name)), _) => {
            let name = escape(name);
            push(text, format_args!("<p><a href=\"#{name}\">{name}</a></p>"));
        }
        (None, Value::Bool(true)) => {}
        (None, schema) => push(text, format_args!("<pre>{}</pre>", escape(&format!("{schema:#}")))),
    }
}

fn push(text: &mut String, piece: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(piece);
}

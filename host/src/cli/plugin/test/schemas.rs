//! What a manifest says of settings and requests, as JSON Schema: whether people, language models and the host can
//! work with it. Pure.

use std::collections::BTreeSet;

use plugin_api::manifest::{Manifest, OperationManifest, OperationMode};
use serde_json::{Map, Value};

use super::checklist::{Checklist, Outcome};

/// Words in a name that speak of a secret.
const SECRET_WORDS: [&str; 6] = ["password", "passphrase", "token", "secret", "key", "credential"];

/// Last words of a name that speak of something beside the secret itself.
const HARMLESS_ENDS: [&str; 10] =
    ["file", "path", "dir", "id", "sid", "name", "url", "limit", "length", "header"];

/// Adds a line for each promise.
pub(super) fn check(plugin: &Manifest, list: &mut Checklist) {
    let settings = properties(&plugin.settings);
    list.add("settings.schema", "the JSON Schema of its settings describes a table", table(&plugin.settings));
    list.add("settings.about", "every setting says what it is", described(settings));
    list.add("settings.secrets", "every setting named like a secret is marked as one", secrets(settings));
    list.add("settings.variables", "its variables are named once each, in capitals", variables(settings));
    list.add("operations.schemas", "requests and responses have valid JSON Schemas", schemas(plugin));
    list.add("operations.tools", "every tool tells a language model what to pass to it", tools(plugin));
}

/// The properties of an object's schema.
pub(super) fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

/// Whether a schema marks a secret, also within an `Option`.
pub(super) fn is_secret(schema: &Value) -> bool {
    let marked = |schema: &Value| schema.get("x-secret") == Some(&Value::Bool(true));
    let forms = schema.get("anyOf").and_then(Value::as_array);
    marked(schema) || forms.into_iter().flatten().any(marked)
}

fn table(schema: &Value) -> Outcome {
    if let Err(error) = jsonschema::validator_for(schema) {
        return Outcome::failed(
            format!("it is not a JSON Schema: {error}"),
            "see the crate's type of settings",
        );
    }
    if schema.get("type").and_then(Value::as_str) == Some("object") {
        return Outcome::ok();
    }
    Outcome::failed("it describes no table", "make the settings a struct with `#[plugin_api::settings]`")
}

fn described(settings: Option<&Map<String, Value>>) -> Outcome {
    Outcome::none(undescribed(settings), "write a doc comment at the field: it becomes the description")
}

/// The properties without a description.
fn undescribed(properties: Option<&Map<String, Value>>) -> Vec<String> {
    let silent = |schema: &Value| {
        schema.get("description").and_then(Value::as_str).is_none_or(|text| text.trim().is_empty())
    };
    let silent = properties.into_iter().flatten().filter(|(_, schema)| silent(schema));
    silent.map(|(key, _)| format!("`{key}` is not described")).collect()
}

fn secrets(settings: Option<&Map<String, Value>>) -> Outcome {
    let open = settings
        .into_iter()
        .flatten()
        .filter(|(key, schema)| speaks_of_a_secret(key) && takes_text(schema) && !is_secret(schema));
    Outcome::none(
        open.map(|(key, _)| format!("`{key}` is not marked")).collect(),
        "make the field a `Secret`: the host then keeps its value out of everything that is shown",
    )
}

fn speaks_of_a_secret(key: &str) -> bool {
    let words: Vec<&str> = key.split('_').collect();
    let harmless = words.last().is_some_and(|last| HARMLESS_ENDS.contains(last));
    !harmless && words.iter().any(|word| SECRET_WORDS.contains(word))
}

fn takes_text(schema: &Value) -> bool {
    match schema.get("type") {
        Some(Value::String(name)) => name == "string",
        Some(Value::Array(names)) => names.iter().any(|name| name == "string"),
        _ => true,
    }
}

fn variables(settings: Option<&Map<String, Value>>) -> Outcome {
    let mut seen = BTreeSet::new();
    let mut problems = Vec::new();
    let named = |schema: &Value| schema.get("x-env").and_then(Value::as_str).map(str::to_owned);
    for variable in settings.into_iter().flatten().filter_map(|(_, schema)| named(schema)) {
        let fits = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
        if !variable.chars().all(fits) || variable.is_empty() {
            problems.push(format!("`{variable}` is not in capitals"));
        }
        if !seen.insert(variable.clone()) {
            problems.push(format!("`{variable}` is named by two settings"));
        }
    }
    Outcome::none(problems, "name each in `#[setting(env = \"PLUGIN_KEY\")]`, after the plugin")
}

fn schemas(plugin: &Manifest) -> Outcome {
    let problem = |operation: &OperationManifest| {
        let response = match operation.mode {
            OperationMode::Call => Some((&operation.response, "answers")),
            OperationMode::Stream => None,
        };
        let parts = [(&operation.request, "takes")].into_iter().chain(response);
        parts
            .filter_map(|(schema, verb)| {
                let error = jsonschema::validator_for(schema).err()?;
                Some(format!("what `{}` {verb} is not a JSON Schema: {error}", operation.name))
            })
            .collect::<Vec<_>>()
    };
    Outcome::none(
        plugin.operations.iter().flat_map(problem).collect(),
        "derive the types with `#[plugin_api::message]`",
    )
}

fn tools(plugin: &Manifest) -> Outcome {
    let mut problems = Vec::new();
    for tool in plugin.operations.iter().filter(|operation| operation.tool) {
        let name = &tool.name;
        if tool.about.trim().is_empty() {
            problems.push(format!("`{name}` does not say what it does"));
        }
        let fields = undescribed(properties(&tool.request));
        problems.extend(fields.into_iter().map(|field| format!("in `{name}` {field}")));
    }
    Outcome::none(
        problems,
        "take a struct with `#[plugin_api::message]`, and write a doc comment at each field",
    )
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    fn check(outcome: Outcome, expected: Expect) {
        let why = match outcome {
            Outcome::Failed { why, .. } => why,
            other => format!("{other:?}"),
        };
        expected.assert_eq(&why);
    }

    #[test]
    fn secrets_are_told_by_their_names() {
        let text = json!({ "type": "string" });
        let marked = json!({ "type": ["string", "null"], "x-secret": true });
        let settings = json!({
            "api_key": text, "access_token": text, "key_file": text, "token_url": text, "monkey": text,
            "max_tokens": { "type": "integer" }, "key": { "type": "integer" }, "password": marked,
        });
        check(
            secrets(settings.as_object()),
            expect!["`access_token` is not marked; `api_key` is not marked"],
        );
    }

    #[test]
    fn variables_are_named_once_and_in_capitals() {
        let settings = json!({ "a": { "x-env": "A_B" }, "b": { "x-env": "A_B" }, "c": { "x-env": "a-b" } });
        check(
            variables(settings.as_object()),
            expect!["`A_B` is named by two settings; `a-b` is not in capitals"],
        );
    }

    #[test]
    fn settings_are_a_described_table() {
        let settings = json!({ "a": { "description": "What it is." }, "b": { "description": " " }, "c": {} });
        check(described(settings.as_object()), expect!["`b` is not described; `c` is not described"]);
        check(table(&json!({ "type": "string" })), expect!["it describes no table"]);
        check(
            table(&json!({ "type": 7 })),
            expect![
                "it is not a JSON Schema: 7 is not valid under any of the schemas listed in the 'anyOf' keyword"
            ],
        );
    }

    #[test]
    fn a_tool_says_what_it_takes() {
        let plugin: Manifest = serde_json::from_value(json!({
            "name": "mail", "version": "0.1.0", "kind": "service", "settings": {},
            "operations": [
                { "name": "send", "mode": "call", "tool": true, "request": {
                    "type": "object", "properties": { "to": {}, "text": { "description": "The text." } },
                } },
                { "name": "talk", "mode": "stream", "about": "Talks.", "tool": true, "request": {} },
                { "name": "hidden", "mode": "call", "request": { "type": 7 } },
            ],
        }))
        .unwrap();
        check(tools(&plugin), expect!["`send` does not say what it does; in `send` `to` is not described"]);
        check(
            schemas(&plugin),
            expect![[
                r#"what `send` answers is not a JSON Schema: null is not of types "boolean", "object"; what `hidden` takes is not a JSON Schema: 7 is not valid under any of the schemas listed in the 'anyOf' keyword; what `hidden` answers is not a JSON Schema: null is not of types "boolean", "object""#
            ]],
        );
    }
}

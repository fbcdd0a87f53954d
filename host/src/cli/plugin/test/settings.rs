//! Whether bad settings are refused before there is an instance, as the host does it by the plugin's schema. Pure.

use plugin_api::manifest::Manifest;
use serde_json::{Map, Value, json};
use switchboard::config::{self, Environment, Resolution, SettingsTable};

use super::{
    checklist::{Checklist, Outcome},
    schemas::properties,
    section_of,
};

/// A key that no plugin has.
pub(super) const UNKNOWN: &str = "surely_no_setting_of_this_plugin";

/// Adds a line for each promise.
pub(super) fn check(plugin: &Manifest, list: &mut Checklist) {
    list.add("settings.unknown", "an unknown setting is refused", unknown(plugin));
    list.add("settings.types", "a setting of the wrong type is refused", types(plugin));
    list.add("settings.missing", "without its required settings it is not configured", missing(plugin));
}

/// What a host would make of these settings alone.
fn resolve(plugin: &Manifest, settings: Map<String, Value>) -> Resolution {
    let nothing_set = Environment::from_pairs::<String, String>([]);
    config::resolve(&section_of(&plugin.name, SettingsTable::from_values(settings)), plugin, &nothing_set)
}

fn one(key: &str, value: Value) -> Map<String, Value> {
    [(key.to_owned(), value)].into_iter().collect()
}

fn unknown(plugin: &Manifest) -> Outcome {
    match resolve(plugin, one(UNKNOWN, json!(true))) {
        Resolution::Invalid { .. } => Outcome::ok(),
        _ => Outcome::failed(
            "it is taken",
            "`#[plugin_api::settings]` refuses unknown keys; a map of any keys belongs into one of its fields",
        ),
    }
}

/// A list of lists is what hardly any setting takes; what takes everything cannot be wrong.
fn types(plugin: &Manifest) -> Outcome {
    let wrong = json!([[[]]]);
    let mut tried = 0;
    let mut taken = Vec::new();
    for (key, schema) in properties(&plugin.settings).into_iter().flatten() {
        if jsonschema::is_valid(schema, &wrong) {
            continue;
        }
        tried += 1;
        let resolution = resolve(plugin, one(key, wrong.clone()));
        if !matches!(&resolution, Resolution::Invalid { invalid, .. } if !invalid.is_empty()) {
            taken.push(format!("`{key}` takes a list of lists"));
        }
    }
    match tried {
        0 if properties(&plugin.settings).is_none_or(Map::is_empty) => Outcome::Ok("it has none".to_owned()),
        0 => Outcome::failed("every setting accepts any type", "give each field the type that it needs"),
        _ => Outcome::none(taken, "give the field the type that it needs"),
    }
}

fn missing(plugin: &Manifest) -> Outcome {
    let required = plugin.settings.get("required").and_then(Value::as_array);
    if required.is_none_or(Vec::is_empty) && plugin.require_any.is_empty() {
        return Outcome::Ok("it requires none".to_owned());
    }
    match resolve(plugin, Map::new()) {
        Resolution::NotConfigured { missing, .. } => {
            Outcome::Ok(format!("it asks for {}", missing.join(", ")))
        }
        _ => Outcome::failed(
            "it is made without them",
            "require what it cannot do without: use a field that is not an `Option`",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(settings: Value) -> Manifest {
        serde_json::from_value(
            json!({ "name": "mail", "version": "0.1.0", "kind": "service", "settings": settings }),
        )
        .unwrap()
    }

    #[test]
    fn a_strict_schema_refuses() {
        let strict = manifest(json!({
            "type": "object", "additionalProperties": false, "required": ["server"],
            "properties": { "server": { "type": "string", "x-env": "MAIL_SERVER" } },
        }));
        assert_eq!(unknown(&strict), Outcome::ok());
        assert_eq!(types(&strict), Outcome::ok());
        assert_eq!(missing(&strict), Outcome::Ok("it asks for MAIL_SERVER".into()));
    }

    #[test]
    fn a_lax_schema_is_told() {
        let lax = manifest(json!({ "type": "object", "properties": { "server": {} } }));
        assert!(matches!(unknown(&lax), Outcome::Failed { .. }));
        assert!(matches!(types(&lax), Outcome::Failed { .. }));
        assert_eq!(types(&manifest(json!({ "type": "object" }))), Outcome::Ok("it has none".into()));
        assert_eq!(missing(&lax), Outcome::Ok("it requires none".into()));
    }
}

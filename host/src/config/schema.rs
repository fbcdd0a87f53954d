//! The keys become the JSON Schema of plugins.toml, for the check of a file and for `switchboard schema`.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{keys::Keys, shape::Shape};

/// The JSON Schema of plugins.toml. For each of these plugins (its name, the schema of its settings) a section of that
/// name is described in full.
pub fn schema(plugins: &[(&str, &Value)]) -> Value {
    let inline = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = inline.into_generator().into_root_schema_for::<Keys>().to_value();
    let section = schema["properties"]["plugins"]["additionalProperties"].clone();
    for (name, settings) in plugins {
        let mut section = section.clone();
        section["properties"]["settings"] = as_written(settings);
        schema["properties"]["plugins"]["properties"][name] = section;
    }
    schema
}

/// The schema of a plugin's settings as an editor of the file needs it: nothing is required there, since variables may
/// give it, and whatever is not text may be a `${VARIABLE}`.
fn as_written(settings: &Value) -> Value {
    let mut settings = settings.clone();
    if let Some(table) = settings.as_object_mut() {
        table.remove("required");
        table.remove("$schema");
    }
    for property in settings["properties"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        if !Shape::of(property).allows("string") {
            *property = json!({ "anyOf": [property, { "type": "string", "pattern": "\\$\\{" }] });
        }
    }
    settings
}

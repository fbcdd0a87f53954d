//! Types and the schemas of manifests become the named schemas of one document. A schema that refers to its own parts moves
//! there whole, for inside the document `#` is another place.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// Where named schemas stand in a document.
const PLACE: &str = "/components/schemas";

pub(super) struct Components {
    generator: SchemaGenerator,
    embedded: Map<String, Value>,
}

impl Default for Components {
    fn default() -> Self {
        let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
            settings.definitions_path = PLACE.into();
            settings.meta_schema = None;
        });
        Self { generator: settings.into_generator(), embedded: Map::new() }
    }
}

impl Components {
    /// The schema of a type as it is written.
    pub(super) fn of<T: JsonSchema>(&mut self) -> Value {
        self.generator.subschema_for::<T>().to_value()
    }

    /// The schema of a manifest under a name that no other has. A non-schema becomes `{}`.
    pub(super) fn embed(&mut self, name: &str, schema: &Value) -> Value {
        let mut schema = match schema {
            Value::Object(_) | Value::Bool(_) => schema.clone(),
            _ => return json!({}),
        };
        if let Some(object) = schema.as_object_mut() {
            object.remove("$schema");
            object.remove("$id");
        }
        let own = format!("#{PLACE}/{name}");
        if !lead(&mut schema, &own) {
            return schema;
        }
        self.embedded.insert(name.to_owned(), schema);
        json!({ "$ref": own })
    }

    /// Everything that has a name.
    pub(super) fn into_schemas(mut self) -> Map<String, Value> {
        let mut schemas = self.generator.take_definitions(true);
        schemas.extend(self.embedded);
        schemas
    }
}

/// Makes references within a schema lead to where it stands; answers whether there are any.
fn lead(schema: &mut Value, own: &str) -> bool {
    match schema {
        Value::Object(object) => {
            let mut found = false;
            for (key, value) in object {
                found |= match value {
                    Value::String(reference) if key == "$ref" => {
                        if let Some(within) = reference.strip_prefix('#') {
                            *reference = format!("{own}{within}");
                        }
                        true
                    }
                    value => lead(value, own),
                };
            }
            found
        }
        // All of them, not only up to the first that has some.
        Value::Array(list) => {
            list.iter_mut().map(|value| lead(value, own)).filter(|found| *found).count() > 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schema: Value, expected: Value, named: Value) {
        let mut components = Components::default();
        assert_eq!(components.embed("mail.send.request", &schema), expected);
        assert_eq!(Value::Object(components.into_schemas()), named);
    }

    #[test]
    fn a_schema_without_references_stays_where_it_is() {
        let schema = json!({ "type": "object", "properties": { "to": { "type": "string" } } });
        check(schema.clone(), schema, json!({}));
        check(json!({ "$schema": "https://json-schema.org/draft/2020-12/schema" }), json!({}), json!({}));
        check(json!(true), json!(true), json!({}));
        check(json!("no schema"), json!({}), json!({}));
    }

    #[test]
    fn references_lead_to_where_the_schema_stands() {
        let schema = |root: &str| {
            json!({
                "$defs": { "Part": { "anyOf": [{ "$ref": format!("{root}/$defs/Part") }, { "type": "null" }] } },
                "properties": { "self": { "$ref": root }, "part": { "$ref": format!("{root}/$defs/Part") } },
            })
        };
        let own = "#/components/schemas/mail.send.request";
        check(schema("#"), json!({ "$ref": own }), json!({ "mail.send.request": schema(own) }));
    }
}

//! What a JSON Schema says of one place: which types it may have, its keys, whether it is a secret, which variable
//! names it. Looks through `anyOf`, `oneOf` and `allOf`, in which schemars puts an `Option` or an enum.

use serde_json::Value;

/// Every schema that may describe one place.
#[derive(Clone)]
pub(super) struct Shape<'s>(Vec<&'s Value>);

impl<'s> Shape<'s> {
    /// The shape of a whole document.
    pub fn of(schema: &'s Value) -> Self {
        let mut all = Vec::new();
        gather(schema, &mut all);
        Self(all)
    }

    /// The shape of a key of a table or an item of a list.
    pub fn child(&self, segment: &str) -> Self {
        let mut all = Vec::new();
        for schema in &self.0 {
            let named = schema.get("properties").and_then(|properties| properties.get(segment));
            let index = segment.parse::<usize>().ok();
            let item = index.and_then(|index| schema.get("prefixItems")?.get(index));
            let item = item.or_else(|| index.and_then(|_| schema.get("items")));
            let other = || schema.get("additionalProperties");
            if let Some(found) = named.or(item).or_else(other) {
                gather(found, &mut all);
            }
        }
        Self(all)
    }

    /// The shape at a JSON pointer.
    pub fn at(&self, pointer: &str) -> Self {
        super::pointer::segments(pointer).fold(self.clone(), |shape, segment| shape.child(&segment))
    }

    /// The known keys of a table, sorted.
    pub fn keys(&self) -> Vec<&'s str> {
        let tables = self.0.iter().filter_map(|schema| schema.get("properties")?.as_object());
        let mut keys: Vec<_> = tables.flat_map(|table| table.keys().map(String::as_str)).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Whether a value of this JSON type may stand here. Where no type is named, text may.
    pub fn allows(&self, wanted: &str) -> bool {
        let named = |schema: &&Value| match schema.get("type") {
            Some(Value::String(name)) => name == wanted,
            Some(Value::Array(names)) => names.iter().any(|name| name == wanted),
            _ => false,
        };
        let untyped = !self.0.iter().any(|schema| schema.get("type").is_some());
        self.0.iter().any(named) || (untyped && wanted == "string")
    }

    /// Whether what stands here is a secret.
    pub fn is_secret(&self) -> bool {
        self.0.iter().any(|schema| schema.get("x-secret").is_some_and(|mark| mark == true))
    }

    /// The environment variable that gives the value when plugins.toml does not.
    pub fn variable(&self) -> Option<&'s str> {
        self.0.iter().find_map(|schema| schema.get("x-env")?.as_str())
    }
}

fn gather<'s>(schema: &'s Value, all: &mut Vec<&'s Value>) {
    all.push(schema);
    for keyword in ["anyOf", "oneOf", "allOf"] {
        let branches = schema.get(keyword).and_then(Value::as_array);
        for branch in branches.into_iter().flatten() {
            gather(branch, all);
        }
    }
}

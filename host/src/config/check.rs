//! A document held against a JSON Schema: every place where it does not fit, in a person's words.

use jsonschema::{ValidationError, Validator, error::ValidationErrorKind as Kind};
use plugin_api::settings::Span;
use serde_json::{Value, json};

use super::{pointer, shape::Shape, suggest};

/// A schema that documents are held against.
pub(super) struct Checker {
    schema: Value,
    validator: Validator,
    /// Whether a message may show the value that was found: it may be a secret.
    show_values: bool,
}

/// A place that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// Its JSON pointer.
    pub pointer: String,
    /// In which way.
    pub fault: Fault,
}

/// In which way a place does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is required, and not there.
    Missing,
    /// No such key is known.
    Unknown { hint: Option<String> },
    /// `must be …, found …`
    Wrong(String),
}

impl Checker {
    /// For documents whose values may be shown.
    pub fn open(schema: &Value) -> Result<Self, String> {
        Self::new(schema, true)
    }

    /// For documents whose values may be secrets.
    pub fn discreet(schema: &Value) -> Result<Self, String> {
        Self::new(schema, false)
    }

    fn new(schema: &Value, show_values: bool) -> Result<Self, String> {
        let mut schema = schema.clone();
        bound_integers(&mut schema);
        let validator = jsonschema::validator_for(&schema).map_err(|error| error.to_string())?;
        Ok(Self { schema, validator, show_values })
    }

    /// Everything that does not fit, each place once.
    pub fn check(&self, document: &Value) -> Vec<Finding> {
        let mut findings = Vec::new();
        for error in self.validator.iter_errors(document) {
            self.tell(&error, &mut findings);
        }
        let mut seen = std::collections::HashSet::new();
        findings.retain(|finding| seen.insert(finding.pointer.clone()));
        findings
    }

    fn tell(&self, error: &ValidationError<'_>, findings: &mut Vec<Finding>) {
        let here = error.instance_path().as_str();
        let mut add = |pointer: String, fault| findings.push(Finding { pointer, fault });
        match error.kind() {
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                let known = Shape::of(&self.schema).at(here).keys();
                for key in unexpected {
                    add(pointer::child(here, key), Fault::Unknown { hint: suggest::hint(key, &known) });
                }
            }
            Kind::Required { property } => {
                add(pointer::child(here, property.as_str().unwrap_or_default()), Fault::Missing);
            }
            Kind::PropertyNames { error } => {
                let name = error.instance().as_str().unwrap_or_default();
                let fault = Fault::Wrong("is not a name: use lower-case letters, digits and `_`".to_owned());
                add(pointer::child(here, name), fault);
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => match self.choose(context) {
                Choice::Branch(errors) => errors.iter().for_each(|error| self.tell(error, findings)),
                Choice::Words(words) => add(here.to_owned(), self.wrong(&one_of(&words), error.instance())),
                Choice::Unclear => {
                    add(
                        here.to_owned(),
                        self.wrong("have one of the forms that the schema allows", error.instance()),
                    );
                }
            },
            _ => add(here.to_owned(), self.wrong(&self.expected(error), error.instance())),
        }
    }

    /// `must be …, found …`
    fn wrong(&self, expected: &str, found: &Value) -> Fault {
        Fault::Wrong(format!("must {expected}, found {}", self.found(found)))
    }

    fn found(&self, value: &Value) -> String {
        match value {
            Value::String(text) if self.show_values && text.chars().count() <= 60 => {
                format!("`{}`", text.escape_debug())
            }
            Value::Number(_) | Value::Bool(_) if self.show_values => format!("`{value}`"),
            Value::String(_) => "text".to_owned(),
            Value::Number(number) if number.is_f64() => "a number".to_owned(),
            Value::Number(_) => "a whole number".to_owned(),
            Value::Bool(_) => "a truth value".to_owned(),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "a table".to_owned(),
            Value::Null => "nothing".to_owned(),
        }
    }

    /// What comes after `must`.
    fn expected(&self, error: &ValidationError<'_>) -> String {
        match error.kind() {
            Kind::Type { .. } => format!("be {}", self.types_at(error)),
            Kind::Enum { options } => one_of(&words(options)),
            Kind::Constant { expected_value } => one_of(&[word(expected_value)]),
            Kind::Pattern { pattern } if pattern == Span::PATTERN => {
                "be a time such as `500ms`, `10s`, `5m`".to_owned()
            }
            Kind::Pattern { pattern } => format!("match `{pattern}`"),
            Kind::Minimum { limit } => format!("be at least {limit}"),
            Kind::Maximum { limit } => format!("be at most {limit}"),
            Kind::ExclusiveMinimum { limit } => format!("be more than {limit}"),
            Kind::ExclusiveMaximum { limit } => format!("be less than {limit}"),
            Kind::MinLength { limit } => format!("have at least {limit} characters"),
            Kind::MaxLength { limit } => format!("have at most {limit} characters"),
            Kind::MinItems { limit } => format!("have at least {limit} items"),
            Kind::MaxItems { limit } => format!("have at most {limit} items"),
            Kind::UniqueItems => "hold every item once only".to_owned(),
            other => format!("fit `{}` of its schema", other.keyword()),
        }
    }

    /// The types that the schema allows there, in words; what may also be absent is named without that.
    fn types_at(&self, error: &ValidationError<'_>) -> String {
        let types = self.schema.pointer(error.schema_path().as_str());
        let names = match types {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(name)) => vec![name.as_str()],
            _ => Vec::new(),
        };
        let names: Vec<_> = names.into_iter().filter(|name| *name != "null").map(type_word).collect();
        if names.is_empty() { "of another type".to_owned() } else { names.join(" or ") }
    }

    /// Which alternative the writer most likely meant.
    fn choose<'e>(&self, branches: &'e [Vec<ValidationError<'static>>]) -> Choice<'e> {
        let is_null = |errors: &&Vec<ValidationError<'static>>| {
            errors
                .iter()
                .any(|error| self.schema.pointer(error.schema_path().as_str()) == Some(&json!("null")))
        };
        let branches: Vec<_> = branches.iter().filter(|errors| !is_null(errors)).collect();
        if let [only] = branches[..] {
            return Choice::Branch(only);
        }
        let options = |errors: &&Vec<ValidationError<'static>>| match errors.first()?.kind() {
            Kind::Constant { expected_value } => Some(vec![word(expected_value)]),
            Kind::Enum { options } => Some(words(options)),
            _ => None,
        };
        let all: Option<Vec<_>> = branches.iter().map(options).collect();
        all.map_or(Choice::Unclear, |all| Choice::Words(all.concat()))
    }
}

enum Choice<'e> {
    /// All others are only the absence.
    Branch(&'e [ValidationError<'static>]),
    /// All are plain words.
    Words(Vec<String>),
    Unclear,
}

/// schemars gives 8- and 16-bit integers their limits; the wider ones have theirs in the format only.
fn bound_integers(schema: &mut Value) {
    match schema {
        Value::Object(keywords) => {
            let limits = match keywords.get("format").and_then(Value::as_str) {
                Some("int32") => Some((json!(i32::MIN), json!(i32::MAX))),
                Some("uint32") => Some((json!(0), json!(u32::MAX))),
                Some("uint64" | "uint") => Some((json!(0), json!(u64::MAX))),
                Some("int64" | "int") => Some((json!(i64::MIN), json!(i64::MAX))),
                _ => None,
            };
            if let Some((minimum, maximum)) = limits {
                keywords.entry("minimum").or_insert(minimum);
                keywords.entry("maximum").or_insert(maximum);
            }
            keywords.values_mut().for_each(bound_integers);
        }
        Value::Array(items) => items.iter_mut().for_each(bound_integers),
        _ => {}
    }
}

fn one_of(words: &[String]) -> String {
    if words.len() == 1 { format!("be {}", words[0]) } else { format!("be one of {}", words.join(", ")) }
}

fn words(options: &Value) -> Vec<String> {
    options.as_array().into_iter().flatten().filter(|option| !option.is_null()).map(word).collect()
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| format!("`{value}`"), |text| format!("`{text}`"))
}

fn type_word(name: &str) -> &str {
    match name {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        "array" => "a list",
        "object" => "a table",
        other => other,
    }
}

//! A document checked against a JSON Schema: every place where it does not fit, in a person's words.

use jsonschema::{ValidationError, Validator, error::ValidationErrorKind as Kind};
use plugin_api::settings::Span;
use serde_json::{Value, json};

use super::{pointer, shape::Shape, suggest};

mod limits;

/// A schema that documents are checked against.
pub(super) struct Checker {
    schema: Value,
    validator: Validator,
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
    /// For documents of this schema.
    ///
    /// # Errors
    /// It is no schema; says why.
    pub fn new(schema: &Value) -> Result<Self, String> {
        let mut schema = schema.clone();
        limits::set(&mut schema);
        let validator = jsonschema::validator_for(&schema).map_err(|error| error.to_string())?;
        Ok(Self { schema, validator })
    }

    /// Everything that does not fit, each place once. A message shows what it found only where `shown` says so of the
    /// place: it may be a secret.
    pub fn check(&self, document: &Value, shown: impl Fn(&str) -> bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        for error in self.validator.iter_errors(document) {
            self.tell(&error, &shown, &mut findings);
        }
        limits::fractions(document, &Shape::of(&self.schema), "", &mut |pointer, value| {
            let fault = wrong("be a whole number", value, shown(pointer));
            findings.push(Finding { pointer: pointer.to_owned(), fault });
        });
        let mut seen = std::collections::HashSet::new();
        findings.retain(|finding| seen.insert(finding.pointer.clone()));
        findings
    }

    fn tell(&self, error: &ValidationError<'_>, shown: &dyn Fn(&str) -> bool, findings: &mut Vec<Finding>) {
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
                Choice::Branch(errors) => errors.iter().for_each(|error| self.tell(error, shown, findings)),
                Choice::Words(words) => {
                    add(here.to_owned(), wrong(&one_of(&words), error.instance(), shown(here)))
                }
                Choice::Unclear => {
                    add(
                        here.to_owned(),
                        wrong("have one of the forms that the schema allows", error.instance(), shown(here)),
                    );
                }
            },
            kind => {
                let found = found(kind, error.instance(), shown(here));
                add(here.to_owned(), Fault::Wrong(format!("must {}, found {found}", self.expected(error))));
            }
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
            Kind::UniqueItems => "have no duplicate items".to_owned(),
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

/// `must be …, found …`
fn wrong(expected: &str, found: &Value, show: bool) -> Fault {
    Fault::Wrong(format!("must {expected}, found {}", value(found, show)))
}

/// What was found, beside what was expected. Where the value may not be shown, and its type is right, in which way it
/// differs.
fn found(kind: &Kind, found: &Value, show: bool) -> String {
    let shown = value(found, show);
    if shown.starts_with('`') {
        return shown;
    }
    let how = match kind {
        Kind::Minimum { .. } => "a smaller number",
        Kind::Maximum { .. } => "a larger number",
        Kind::ExclusiveMinimum { .. } => "a number that is not",
        Kind::ExclusiveMaximum { .. } => "a number that is not",
        Kind::MinLength { .. } => "shorter text",
        Kind::MaxLength { .. } => "longer text",
        Kind::MinItems { .. } => "fewer",
        Kind::MaxItems { .. } => "more",
        Kind::UniqueItems => "an item twice",
        Kind::Pattern { .. } | Kind::Format { .. } | Kind::Enum { .. } | Kind::Constant { .. }
            if found.is_string() =>
        {
            "other text"
        }
        _ => return shown,
    };
    how.to_owned()
}

/// A value as it may be shown: itself, or only what it is.
fn value(value: &Value, show: bool) -> String {
    match value {
        Value::String(text) if show && text.chars().count() <= 60 => format!("`{}`", text.escape_debug()),
        Value::Number(_) | Value::Bool(_) if show => format!("`{value}`"),
        Value::String(_) => "text".to_owned(),
        Value::Number(number) if number.is_f64() => "a number".to_owned(),
        Value::Number(_) => "a whole number".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
        Value::Null => "nothing".to_owned(),
    }
}

enum Choice<'e> {
    /// All others are only the absence.
    Branch(&'e [ValidationError<'static>]),
    /// All are plain words.
    Words(Vec<String>),
    Unclear,
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

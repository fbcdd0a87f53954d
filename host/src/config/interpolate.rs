//! `${VAR}` and `${VAR:-default}` in texts become the values of variables. Texts empty afterwards are absent.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Environment, Problem, document::Document, pointer};

/// What came of replacing what stands for variables.
pub(super) struct Interpolated {
    /// The JSON pointers of the values that came from one.
    pub substituted: BTreeSet<String>,
    /// What is absent because it was nothing but this variable, which is not set; by JSON pointer.
    pub unset: BTreeMap<String, String>,
    /// What could not be replaced; it is taken out.
    pub refused: Vec<Problem>,
}

/// Replaces what stands for variables everywhere in the document.
pub(super) fn interpolate(document: &mut Document, environment: &Environment) -> Interpolated {
    let mut found =
        Found { environment, substituted: BTreeSet::new(), unset: BTreeMap::new(), refused: Vec::new() };
    found.walk(&mut document.value, "");
    let problem = |(pointer, problem): (String, Problem)| problem.at(document.places.line(&pointer));
    let refused = found.refused.into_iter().map(problem).collect();
    Interpolated { substituted: found.substituted, unset: found.unset, refused }
}

/// One text with its variables replaced; `None` if nothing is left of it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn expand(text: &str, environment: &Environment) -> Result<Option<String>, Refusal> {
    let parts = parse(text)?;
    let lone = parts.len() == 1;
    let mut result = String::new();
    for part in parts {
        match part {
            Part::Text(text) => result.push_str(text),
            Part::Variable { name, default } => match environment.get(name).or(default) {
                Some(value) => result.push_str(value),
                None if lone => {}
                None => return Err(Refusal::Unset(name.to_owned())),
            },
        }
    }
    Ok((!result.is_empty()).then_some(result))
}

/// Why a text could not be expanded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// This variable has no value, and stands inside longer text.
    Unset(String),
    /// Something after `${` is not a variable.
    Malformed,
}

impl Refusal {
    fn problem(self, pointer: &str) -> Problem {
        let key = pointer::dotted(pointer);
        match self {
            Self::Unset(name) => {
                Problem::new(format!("`{key}` needs the variable `{name}`, which is not set"))
                    .hint(format!("set `{name}`, or give it a default: `${{{name}:-default}}`"))
            }
            Self::Malformed => {
                Problem::new(format!("`{key}` has a `${{` that is not `${{NAME}}` or `${{NAME:-default}}`"))
                    .hint("for a literal `${` write `$${`")
            }
        }
    }
}

struct Found<'e> {
    environment: &'e Environment,
    substituted: BTreeSet<String>,
    unset: BTreeMap<String, String>,
    refused: Vec<(String, Problem)>,
}

impl Found<'_> {
    /// Whether anything is left of the value.
    fn walk(&mut self, value: &mut Value, here: &str) -> bool {
        match value {
            Value::String(text) => self.text(text, here),
            Value::Object(table) => {
                table.retain(|key, value| self.walk(value, &pointer::child(here, key)));
                true
            }
            Value::Array(items) => {
                self.list(items, here);
                true
            }
            _ => true,
        }
    }

    /// Items that are absent close the gap; what follows them is noted by its new index.
    fn list(&mut self, items: &mut Vec<Value>, here: &str) {
        let mut kept = 0;
        items.retain_mut(|item| {
            let literal = item.as_str().is_some_and(str::is_empty);
            let keep = literal || self.walk(item, &pointer::child(here, kept));
            kept += usize::from(keep);
            keep
        });
    }

    fn text(&mut self, text: &mut String, here: &str) -> bool {
        match expand(text, self.environment) {
            Ok(Some(expanded)) => {
                if text.contains("${") {
                    self.substituted.insert(here.to_owned());
                }
                *text = expanded;
                true
            }
            Ok(None) => {
                if let Some(variable) = lone(text).filter(|variable| !self.environment.is_set(variable)) {
                    self.unset.insert(here.to_owned(), variable.to_owned());
                }
                false
            }
            Err(refusal) => {
                self.refused.push((here.to_owned(), refusal.problem(here)));
                false
            }
        }
    }
}

/// The variable that a text is nothing but, without a default.
fn lone(text: &str) -> Option<&str> {
    match parse(text).ok()?[..] {
        [Part::Variable { name, default: None }] => Some(name),
        _ => None,
    }
}

enum Part<'t> {
    Text(&'t str),
    Variable { name: &'t str, default: Option<&'t str> },
}

/// `$${` stands for `${` itself.
fn parse(mut text: &str) -> Result<Vec<Part<'_>>, Refusal> {
    let mut parts = Vec::new();
    while let Some(start) = text.find("${") {
        if text[..start].ends_with('$') {
            parts.push(Part::Text(&text[..start - 1]));
            parts.push(Part::Text("${"));
            text = &text[start + 2..];
            continue;
        }
        let end = start + text[start..].find('}').ok_or(Refusal::Malformed)?;
        if start > 0 {
            parts.push(Part::Text(&text[..start]));
        }
        parts.push(variable(&text[start + 2..end])?);
        text = &text[end + 1..];
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    Ok(parts)
}

fn variable(inside: &str) -> Result<Part<'_>, Refusal> {
    let (name, default) =
        inside.split_once(":-").map_or((inside, None), |(name, default)| (name, Some(default)));
    let starts_well = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    let goes_well = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if !starts_well || !goes_well || default.is_some_and(|default| default.contains("${")) {
        return Err(Refusal::Malformed);
    }
    Ok(Part::Variable { name, default })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<Option<&str>, Refusal>) {
        let environment = Environment::from_pairs([("NAME", "ada"), ("EMPTY", ""), ("_X1", "${NAME}")]);
        assert_eq!(expand(text, &environment), expected.map(|text| text.map(str::to_owned)), "{text}");
    }

    #[test]
    fn variables_and_defaults() {
        check("plain $NAME {NAME} $", Ok(Some("plain $NAME {NAME} $")));
        check("${NAME}", Ok(Some("ada")));
        check("<${NAME}:${NAME}>", Ok(Some("<ada:ada>")));
        check("${EMPTY:-eve}", Ok(Some("eve")));
        check("${NAME:-eve}", Ok(Some("ada")));
        check("x${UNSET:-}y", Ok(Some("xy")));
        check("${UNSET:-a:-b}", Ok(Some("a:-b")));
    }

    #[test]
    fn nothing_is_absent() {
        check("", Ok(None));
        check("${EMPTY}", Ok(None));
        check("${UNSET}", Ok(None));
        check("${UNSET:-}", Ok(None));
    }

    #[test]
    fn what_a_variable_holds_is_not_expanded_again() {
        check("${_X1}", Ok(Some("${NAME}")));
    }

    #[test]
    fn a_doubled_dollar_stands_for_itself() {
        check("$${NAME}", Ok(Some("${NAME}")));
        check("a$${NAME} ${NAME}", Ok(Some("a${NAME} ada")));
        check("$${", Ok(Some("${")));
    }

    #[test]
    fn refusals() {
        check(" ${UNSET}", Err(Refusal::Unset("UNSET".to_owned())));
        check("${UNSET}${UNSET}", Err(Refusal::Unset("UNSET".to_owned())));
        for text in ["${", "${NAME", "${}", "${1A}", "${A B}", "${A-b}", "${A:-${B}}"] {
            check(text, Err(Refusal::Malformed));
        }
    }

    proptest! {
        #[test]
        fn text_without_a_variable_stays(text in "[^$]+") {
            prop_assert_eq!(expand(&text, &Environment::default()), Ok(Some(text)));
        }

        #[test]
        fn a_value_arrives_as_it_is(before in "[^$]*", value in ".+", after in "[^$]*") {
            let environment = Environment::from_pairs([("V", value.clone())]);
            let expanded = expand(&format!("{before}${{V}}{after}"), &environment);
            prop_assert_eq!(expanded, Ok(Some(format!("{before}{value}{after}"))));
        }
    }
}

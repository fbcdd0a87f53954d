//! The stages from a path to a [`Config`]. Each stage takes what it refuses out of the document before the next looks
//! at the rest, so that a person sees everything at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    path::Path,
    sync::LazyLock,
};

use plugin_api::files::{self, Unreadable};
use serde_json::Value;

use super::{
    Config, Environment, Problem, Problems,
    check::{Checker, Fault, Finding},
    coerce,
    document::Document,
    interpolate::{self, Interpolated, interpolate},
    judge::Judge,
    keys::Keys,
    pointer,
    schema::schema,
    shape::Shape,
    suggest,
};

/// The smallest file that makes sense.
const MINIMAL: &str = "[plugins.database]\nrequired = true";

static SCHEMA: LazyLock<Value> = LazyLock::new(|| schema(&[]));
static CHECKER: LazyLock<Checker> = LazyLock::new(|| {
    Checker::new(&SCHEMA).expect("the schema of the keys is generated, and a test compiles it")
});

/// Reads plugins.toml and the `.env` beside it.
///
/// # Errors
/// Everything that is wrong with them.
pub fn load(path: &Path, environment: &Environment) -> Result<Config, Problems> {
    match files::read(path) {
        Ok(bytes) => {
            let text =
                String::from_utf8(bytes).map_err(|error| Problems::new(path, vec![not_text(&error)]))?;
            parse(path, &text, environment)
        }
        Err(error) => Err(Problems::new(path, vec![unreadable(&error)])),
    }
}

/// Reads a text that stands for the file at this path.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(path: &Path, text: &str, environment: &Environment) -> Result<Config, Problems> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let dir = absolute.parent().unwrap_or(&absolute).to_owned();
    let (environment, mut problems, mut warnings) = environment.clone().with_file(&dir.join(".env"));
    let document = Document::parse(text).and_then(not_empty);
    let mut document =
        document.map_err(|errors| Problems::new(path, [problems.as_slice(), &errors].concat()))?;

    let disabled = remove_disabled(&mut document.value, &environment);
    let Interpolated { substituted, unset, refused } = interpolate(&mut document, &environment);
    problems.extend(refused);
    warnings.extend(unset_keys(&unset, &environment, &document));
    problems.extend(check(&mut document, &substituted));
    let keys = match serde_json::from_value::<Keys>(document.value) {
        Ok(keys) => keys,
        Err(error) => {
            problems.push(Problem::new(format!("cannot be read: {error}")));
            return Err(Problems::new(path, problems));
        }
    };

    let mut judge = Judge {
        dir: &dir,
        environment: &environment,
        places: &document.places,
        disabled: &disabled,
        substituted: &substituted,
        unset: &unset,
        problems,
    };
    let (host, plugins) = judge.judge(keys);
    if !judge.problems.is_empty() {
        return Err(Problems::new(path, judge.problems));
    }
    Ok(Config { path: path.to_owned(), dir, host, plugins, disabled, environment, warnings })
}

fn not_empty(document: Document) -> Result<Document, Vec<Problem>> {
    let empty = document.value.as_object().is_none_or(serde_json::Map::is_empty);
    if empty { Err(vec![Problem::new("it is empty").hint(minimal())]) } else { Ok(document) }
}

/// Takes out the sections with `enabled = false`, before anything in them is looked at.
fn remove_disabled(document: &mut Value, environment: &Environment) -> Vec<String> {
    let Some(plugins) = document.get_mut("plugins").and_then(Value::as_object_mut) else { return Vec::new() };
    let is_disabled = |section: &Value| match section.get("enabled") {
        Some(Value::Bool(enabled)) => !enabled,
        Some(Value::String(text)) => {
            let expanded = interpolate::expand(text, environment).ok().flatten();
            text.contains("${") && expanded.is_some_and(|text| coerce::truth(&text) == Some(false))
        }
        _ => false,
    };
    let names = plugins.iter().filter(|(_, section)| is_disabled(section)).map(|(name, _)| name.clone());
    let disabled: Vec<_> = names.collect();
    plugins.retain(|name, _| !disabled.contains(name));
    disabled
}

/// Holds the document against the schema, and takes out what does not fit.
fn check(document: &mut Document, substituted: &BTreeSet<String>) -> Vec<Problem> {
    let own = substituted.iter().filter(|pointer| !is_setting(pointer));
    coerce::coerce_at(&mut document.value, &Shape::of(&SCHEMA), own);
    let shown = |pointer: &str| !substituted.contains(pointer) && !is_setting(pointer);
    let mut problems = Vec::new();
    for finding in CHECKER.check(&document.value, shown) {
        problems.push(problem(&finding).at(document.places.line(&finding.pointer)));
        pointer::remove(&mut document.value, &finding.pointer);
    }
    problems
}

fn problem(finding: &Finding) -> Problem {
    let key = pointer::dotted(&finding.pointer);
    match &finding.fault {
        Fault::Unknown { hint } => {
            let (parent, key) = pointer::split(&finding.pointer).unwrap_or_default();
            let table = pointer::dotted(parent);
            let place =
                if table.is_empty() { "at the top level".to_owned() } else { format!("in `[{table}]`") };
            Problem { hint: hint.clone(), ..Problem::new(format!("unknown key `{key}` {place}")) }
        }
        Fault::Missing => Problem::new(format!("`{key}` is missing")),
        Fault::Wrong(problem) => Problem::new(format!("`{key}` {problem}")),
    }
}

/// Whether a JSON pointer leads into a plugin's own settings, which this file's schema knows nothing of.
fn is_setting(pointer: &str) -> bool {
    let mut segments = pointer::segments(pointer);
    segments.next().as_deref() == Some("plugins") && segments.nth(1).as_deref() == Some("settings")
}

/// The variables that the host itself is known to look for, and that are often unset.
const OWN_VARIABLES: [&str; 2] = ["SWITCHBOARD_LISTEN", "PUBLIC_BASE_URL"];

/// Keys of the host's own that are absent because their variable is not set. Settings of plugins are looked at where
/// the plugin's schema is known.
fn unset_keys(
    unset: &BTreeMap<String, String>,
    environment: &Environment,
    document: &Document,
) -> Vec<Problem> {
    let own = unset
        .iter()
        .filter(|(pointer, variable)| !is_setting(pointer) && !OWN_VARIABLES.contains(&variable.as_str()));
    let problem = |(pointer, variable): (&String, &String)| {
        let meant = suggest::closest(variable, environment.names());
        suggest::unset(&pointer::dotted(pointer), variable, meant).at(document.places.line(pointer))
    };
    own.map(problem).collect()
}

fn unreadable(error: &Unreadable) -> Problem {
    let Unreadable::System(kind) = error else {
        let problem = Problem::new(format!("it cannot be read: {error}"));
        return match error {
            Unreadable::NotAFile("a folder") => {
                Problem::new("it is a folder").hint("give `--config` the file in it")
            }
            _ => problem,
        };
    };
    match kind {
        ErrorKind::NotFound => Problem::new("there is no such file").hint(format!(
            "name another with `--config PATH` or `SWITCHBOARD_CONFIG`, or make it:\n{MINIMAL}"
        )),
        ErrorKind::PermissionDenied => Problem::new("this user may not read it"),
        kind => Problem::new(format!("it cannot be read: {kind}")),
    }
}

fn not_text(error: &std::string::FromUtf8Error) -> Problem {
    let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    Problem::new("not UTF-8 text").at(line)
}

fn minimal() -> String {
    format!("a section declares a plugin, for example:\n{MINIMAL}")
}

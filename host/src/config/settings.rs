//! A plugin's section and the environment become its settings, or what is missing, or what is wrong with them.
//!
//! A value comes from plugins.toml, else from the variable that the plugin's schema names, else from the schema's
//! default, which serde fills in inside the plugin. No message shows a value: it may be a secret.

use std::{collections::BTreeMap, fmt};

use plugin_api::manifest::Manifest;
use serde_json::{Map, Value};

use super::{
    Environment, PluginConfig, Problem,
    check::{Checker, Fault, Finding},
    coerce::{coerce, coerce_at},
    home, pointer,
    shape::Shape,
    suggest,
};

mod secrets;

/// What came of a plugin's settings.
#[derive(Clone, PartialEq)]
pub enum Resolution {
    /// The plugin can be created with them.
    Ready {
        /// Valid against the manifest's schema.
        settings: Value,
        /// See [`Resolution::secrets`].
        secrets: Vec<String>,
    },
    /// Something required has no value.
    NotConfigured {
        /// The variables to set, or else the keys of plugins.toml.
        missing: Vec<String>,
        /// See [`Resolution::secrets`].
        secrets: Vec<String>,
    },
    /// Something has a value that cannot be used.
    Invalid {
        /// All of it.
        invalid: Vec<InvalidSetting>,
        /// See [`Resolution::secrets`].
        secrets: Vec<String>,
    },
}

impl Resolution {
    /// The values that must never be shown: of secret settings, and passwords inside URLs.
    pub fn secrets(&self) -> &[String] {
        match self {
            Self::Ready { secrets, .. }
            | Self::NotConfigured { secrets, .. }
            | Self::Invalid { secrets, .. } => secrets,
        }
    }
}

/// A setting whose value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSetting {
    /// Its key in the plugin's settings, nested ones with dots.
    pub key: String,
    /// Where the value is from: a variable, or `plugins.<name>.settings.<key>`.
    pub name: String,
    /// Its line in plugins.toml.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for InvalidSetting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`", self.name)?;
        if let Some(line) = self.line {
            write!(formatter, " (line {line})")?;
        }
        write!(formatter, " {}", self.problem)
    }
}

/// Settles the settings of a plugin.
pub fn resolve(plugin: &PluginConfig, manifest: &Manifest, environment: &Environment) -> Resolution {
    let checker = match Checker::new(&manifest.settings) {
        Ok(checker) => checker,
        Err(error) => return unusable_schema(plugin, &error),
    };
    let shape = Shape::of(&manifest.settings);
    let mut resolver = Resolver { plugin, environment, shape: &shape, from_variable: BTreeMap::new() };
    let settings = resolver.values();
    let secrets = secrets::of(&settings, &shape);
    let findings = checker.check(&settings, |_| false);
    let homes = home::among(&settings, &shape).into_iter();
    let homes = homes.map(|pointer| Finding { pointer, fault: Fault::Wrong(home::REFUSAL.to_owned()) });
    let invalid = findings.iter().filter_map(|finding| resolver.invalid(finding));
    let invalid: Vec<_> = invalid.chain(homes.filter_map(|finding| resolver.invalid(&finding))).collect();
    if !invalid.is_empty() {
        return Resolution::Invalid { invalid, secrets };
    }
    let missing = resolver.missing(&findings, manifest, &settings);
    if !missing.is_empty() {
        return Resolution::NotConfigured { missing, secrets };
    }
    Resolution::Ready { settings, secrets }
}

/// Settings that are absent because they are nothing but a variable that is not set. That is as it should be where it is
/// the variable that the plugin names itself, unless one is set that is nearly called so.
pub fn unset(plugin: &PluginConfig, manifest: &Manifest, environment: &Environment) -> Vec<Problem> {
    let shape = Shape::of(&manifest.settings);
    let own = |pointer: &str| shape.at(pointer).variable();
    let known: Vec<&str> = shape.keys().into_iter().filter_map(|key| shape.child(key).variable()).collect();
    let problem = |(pointer, variable): (&String, &String)| {
        let meant = match own(pointer) {
            Some(own) if own == variable => {
                let others = environment.names().filter(|name| !known.contains(name));
                Some(others.into_iter().find(|name| suggest::is_slip(name, own))?)
            }
            Some(own) if suggest::closest(variable, [own]).is_some() => Some(own),
            _ => suggest::closest(variable, environment.names()),
        };
        let key = format!("plugins.{}.settings.{}", plugin.name, pointer::dotted(pointer));
        Some(suggest::unset(&key, variable, meant).at(plugin.settings.line_of(pointer)))
    };
    plugin.settings.unset.iter().filter_map(problem).collect()
}

struct Resolver<'r> {
    plugin: &'r PluginConfig,
    environment: &'r Environment,
    shape: &'r Shape<'r>,
    /// What a variable gave: the JSON pointer, and the variable.
    from_variable: BTreeMap<String, String>,
}

impl Resolver<'_> {
    /// What plugins.toml and the variables say together.
    fn values(&mut self) -> Value {
        let mut values = self.plugin.settings.values.clone();
        self.fill(&mut values, self.shape, "");
        let mut values = Value::Object(values);
        coerce_at(&mut values, self.shape, &self.plugin.settings.substituted);
        values
    }

    /// Gives keys without a value that of their variable; also those of nested tables.
    fn fill(&mut self, table: &mut Map<String, Value>, shape: &Shape<'_>, here: &str) {
        for key in shape.keys() {
            let shape = shape.child(key);
            let pointer = pointer::child(here, key);
            match table.get_mut(key) {
                Some(Value::Object(nested)) => self.fill(nested, &shape, &pointer),
                Some(_) => {}
                None => {
                    if let Some(value) = self.absent(&shape, pointer) {
                        table.insert(key.to_owned(), value);
                    }
                }
            }
        }
    }

    fn absent(&mut self, shape: &Shape<'_>, pointer: String) -> Option<Value> {
        if let Some(variable) = shape.variable()
            && let Some(text) = self.environment.get(variable)
        {
            self.from_variable.insert(pointer, variable.to_owned());
            return Some(coerce(text, shape));
        }
        let mut nested = Map::new();
        self.fill(&mut nested, shape, &pointer);
        (!nested.is_empty()).then_some(Value::Object(nested))
    }

    fn invalid(&self, finding: &Finding) -> Option<InvalidSetting> {
        let problem = match &finding.fault {
            Fault::Missing => return None,
            Fault::Unknown { hint: None } => "is not known".to_owned(),
            Fault::Unknown { hint: Some(hint) } => format!("is not known; {hint}"),
            Fault::Wrong(problem) => problem.clone(),
        };
        let holds = |pointer: &str| {
            finding.pointer.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let variable = self.from_variable.iter().find(|(pointer, _)| holds(pointer));
        let line = if variable.is_some() { None } else { self.line(&finding.pointer) };
        let name = variable.map_or_else(|| self.key_name(&finding.pointer), |(_, variable)| variable.clone());
        Some(InvalidSetting { key: pointer::dotted(&finding.pointer), name, line, problem })
    }

    /// What a person has to set, each once.
    fn missing(&self, findings: &[Finding], manifest: &Manifest, settings: &Value) -> Vec<String> {
        let absent = |key: &&String| settings.get(key.as_str()).is_none();
        let name = |key: &String| self.name(&pointer::child("", key));
        let mut missing: Vec<_> = findings.iter().map(|finding| self.name(&finding.pointer)).collect();
        for group in manifest.all_or_none.iter().filter(|group| group.iter().any(|key| !absent(&key))) {
            missing.extend(group.iter().filter(absent).map(name));
        }
        for group in manifest.require_any.iter().filter(|group| group.iter().all(|key| absent(&key))) {
            missing.push(group.iter().map(name).collect::<Vec<_>>().join(" or "));
        }
        let mut seen = std::collections::HashSet::new();
        missing.retain(|name| seen.insert(name.clone()));
        missing
    }

    /// The variable of a setting, or else its key in plugins.toml.
    fn name(&self, pointer: &str) -> String {
        self.shape.at(pointer).variable().map_or_else(|| self.key_name(pointer), str::to_owned)
    }

    fn key_name(&self, pointer: &str) -> String {
        format!("plugins.{}.settings.{}", self.plugin.name, pointer::dotted(pointer))
    }

    /// The line of a setting, or of what holds it.
    fn line(&self, mut pointer: &str) -> Option<usize> {
        while !pointer.is_empty() {
            if let Some(line) = self.plugin.settings.line_of(pointer) {
                return Some(line);
            }
            pointer = pointer.rsplit_once('/')?.0;
        }
        None
    }
}

/// The author's mistake, which no operator can mend but by another build.
fn unusable_schema(plugin: &PluginConfig, error: &str) -> Resolution {
    tracing::debug!(plugin = plugin.name, error, "unusable schema of settings");
    let problem = "the plugin's schema of its settings is not a valid JSON Schema".to_owned();
    let name = format!("plugins.{}.settings", plugin.name);
    let invalid = vec![InvalidSetting { key: String::new(), name, line: None, problem }];
    Resolution::Invalid { invalid, secrets: Vec::new() }
}

/// Shows no value: it may be a secret.
impl fmt::Debug for Resolution {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready { secrets, .. } => write!(formatter, "Ready({} secrets)", secrets.len()),
            Self::NotConfigured { missing, .. } => {
                formatter.debug_tuple("NotConfigured").field(missing).finish()
            }
            Self::Invalid { invalid, .. } => formatter.debug_tuple("Invalid").field(invalid).finish(),
        }
    }
}

#[cfg(test)]
mod tests;

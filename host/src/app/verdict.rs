//! What can be said of one plugin before it starts. `check`, a start and a reload all judge by this: a start goes on
//! without the plugins that it is bad for, a reload changes nothing.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    config::{InvalidSetting, Problem, Resolution},
    loader::{Library, LoadError},
};

use super::prepare::PreparedPlugin;

/// How a plugin stands before it starts.
pub enum Verdict<'p> {
    /// Its library cannot be used.
    Refused(&'p LoadError),
    /// Settings have values that cannot be used.
    Invalid(&'p [InvalidSetting]),
    /// Required settings have no value: these variables, or keys of plugins.toml.
    NotConfigured(&'p [String]),
    /// It can be started, with these settings.
    Ready(&'p Arc<dyn Library>, &'p Value),
}

impl PreparedPlugin {
    /// What is to be said of it.
    pub fn verdict(&self) -> Verdict<'_> {
        let library = match &self.library {
            Ok(library) => library,
            Err(error) => return Verdict::Refused(error),
        };
        match &self.resolution {
            Some(Resolution::Invalid { invalid, .. }) => Verdict::Invalid(invalid),
            Some(Resolution::NotConfigured { missing, .. }) => Verdict::NotConfigured(missing),
            Some(Resolution::Ready { settings, .. }) => Verdict::Ready(library, settings),
            None => unreachable!("a plugin with a library has its settings resolved"),
        }
    }

    /// What keeps it from being started that a person has to correct in plugins.toml or the environment, each with its
    /// line.
    pub(super) fn invalid(&self) -> Vec<Problem> {
        let Verdict::Invalid(invalid) = self.verdict() else { return Vec::new() };
        let problem = |setting: &InvalidSetting| {
            let line = setting.line.unwrap_or(self.config.line);
            let whose = if setting.line.is_some() { "" } else { ", for this section," };
            Problem::new(format!("`{}`{whose} {}", setting.name, setting.problem)).at(line)
        };
        invalid.iter().map(problem).collect()
    }

    /// Why its library is refused, at the line of its section.
    pub(super) fn refused(&self) -> Option<Problem> {
        match self.verdict() {
            Verdict::Refused(error) => Some(Problem::new(error.to_string()).at(self.config.line)),
            _ => None,
        }
    }
}

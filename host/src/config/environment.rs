//! The variables that a configuration may name: the process's environment, and the `.env` beside plugins.toml under
//! it. Nothing here is ever printed.

use std::{collections::BTreeMap, fmt, path::Path};

use plugin_api::files;

use super::{
    Problem,
    dotenv::{self, Parsed},
};

/// Variables by name. A variable that is set to nothing counts as absent, and hides one of the same name in `.env`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    process: BTreeMap<String, String>,
    file: BTreeMap<String, String>,
}

impl Environment {
    /// This process's environment. Variables not in UTF-8 count as absent.
    pub fn of_process() -> Self {
        let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { process: std::env::vars_os().filter_map(utf8).collect(), file: BTreeMap::new() }
    }

    /// Exactly these variables, as a test or an embedding program wants them.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let process = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { process, file: BTreeMap::new() }
    }

    /// The value of a variable, if it has one.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.process.get(name).or_else(|| self.file.get(name))?;
        (!value.is_empty()).then_some(value)
    }

    /// Whether a variable is set, be it to nothing.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.process.contains_key(name) || self.file.contains_key(name)
    }

    /// The names of all that is set to something.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let all = self.process.iter().chain(&self.file);
        all.filter(|(_, value)| !value.is_empty()).map(|(name, _)| name.as_str())
    }

    /// The same environment with this `.env` file under it, instead of the one before; a file that is not there is no
    /// problem. Gives what is wrong with the file, and what is doubtful.
    pub(super) fn with_file(mut self, path: &Path) -> (Self, Vec<Problem>, Vec<Problem>) {
        self.file.clear();
        let text = match files::read_text(path) {
            Ok(text) => text,
            Err(error) if error.is_missing() => return (self, Vec::new(), Vec::new()),
            Err(error) => {
                let problem = Problem::new(format!("the `.env` beside it cannot be read: {error}"));
                return (self, vec![problem], Vec::new());
            }
        };
        let Parsed { variables, problems, warnings } = dotenv::parse(&text, &self.process);
        self.file = variables;
        (self, problems, warnings)
    }
}

/// Names only the count: values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Environment({} variables)", self.process.len() + self.file.len())
    }
}

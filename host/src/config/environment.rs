//! The variables that a configuration may name: the process's environment, and the `.env` beside plugins.toml under
//! it. Nothing here is ever printed.

use std::{collections::BTreeMap, fmt, io::Cursor, path::Path};

use super::Problem;

/// Variables by name. A variable that is set to nothing counts as absent, and hides one of the same name in `.env`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    process: BTreeMap<String, String>,
    file: BTreeMap<String, String>,
}

impl Environment {
    /// The environment of this process. What is not UTF-8 counts as absent.
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

    /// The same environment with this `.env` file under it, instead of the one before; a file that is not there is no
    /// problem.
    pub(super) fn with_file(mut self, path: &Path) -> (Self, Vec<Problem>) {
        self.file.clear();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return (self, Vec::new()),
            Err(error) => {
                let problem = format!("the `.env` beside it cannot be read: {}", error.kind());
                return (self, vec![Problem::new(problem)]);
            }
        };
        let mut problems = Vec::new();
        for entry in dotenvy::Iter::new(Cursor::new(text.trim_start_matches('\u{feff}'))) {
            match entry {
                Ok((name, value)) => _ = self.file.insert(name, value),
                Err(error) => problems.push(bad_line(&text, &error)),
            }
        }
        (self, problems)
    }
}

/// Names only the count: values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Environment({} variables)", self.process.len() + self.file.len())
    }
}

/// A line of `.env` that cannot be read; the line itself may hold a secret and is not shown.
fn bad_line(text: &str, error: &dotenvy::Error) -> Problem {
    let number = match error {
        dotenvy::Error::LineParse(part, _) => {
            let part = part.lines().next().unwrap_or_default().trim();
            text.lines().position(|line| !part.is_empty() && line.contains(part))
        }
        _ => None,
    };
    let place = number.map(|index| format!("line {} of ", index + 1)).unwrap_or_default();
    Problem::new(format!("{place}the `.env` beside it is not `NAME=value`"))
        .hint("put a value with spaces, `#` or `$` between single quotes: `NAME='a value'`")
}

//! What is wrong with a configuration, and the text in which a person reads all of it at once.

use std::{fmt, path::Path};

/// Something in plugins.toml that must be mended before the host can start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where in plugins.toml, counted from 1; `None` for what has no line there.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it; may have several lines.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem without a line and without a hint.
    pub fn new(message: impl Into<String>) -> Self {
        Self { line: None, message: message.into(), hint: None }
    }

    /// The same, at a line of plugins.toml.
    pub fn at(mut self, line: impl Into<Option<usize>>) -> Self {
        self.line = line.into();
        self
    }

    /// The same, with what a person can do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Without the line: the message, and the hint under it.
impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(formatter, "\n  hint: {}", hint.replace('\n', "\n        ")),
            None => Ok(()),
        }
    }
}

/// Every problem of one stage, in the order of their lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    file: String,
    list: Vec<Problem>,
}

impl Problems {
    /// The problems of the configuration at this path.
    pub fn new(path: &Path, mut list: Vec<Problem>) -> Self {
        list.sort();
        list.dedup();
        let file = path.strip_prefix(".").unwrap_or(path).display().to_string();
        Self { file, list }
    }

    /// Each problem on its own, with file and line.
    pub fn each(&self) -> impl Iterator<Item = Self> {
        self.list.iter().map(|problem| Self { file: self.file.clone(), list: vec![problem.clone()] })
    }

    /// Each problem, those without a line first.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            write!(formatter, "{}:", self.file)?;
            if let Some(line) = problem.line {
                write!(formatter, "{line}:")?;
            }
            write!(formatter, " {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

//! The exit codes, which scripts rely on.

use std::{fmt, process::ExitCode};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// As wished; `status`: healthy.
    Success,
    /// It failed to start, or did not do what was asked; `status`: degraded.
    Failed,
    /// The command line is wrong; `status`: unhealthy.
    Usage,
    /// No host answers.
    Unreachable,
    /// Nothing failed, but not everything could be tried.
    Incomplete,
    /// The configuration is refused.
    Configuration,
    /// A library is refused.
    Library,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 3,
            Exit::Incomplete => 4,
            Exit::Configuration => 64,
            Exit::Library => 65,
        })
    }
}

/// Why a command failed, for a person, and its exit code.
#[derive(Debug)]
pub struct Failed {
    /// The code to end with.
    pub code: Exit,
    message: String,
}

impl Failed {
    /// A failure with this code.
    pub fn new(code: Exit, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "error: {}", self.message)
    }
}

//! The variables that a configuration may name. A library's code runs as soon as the library is opened, and what the
//! operator's shell holds is not its business: a command that only looks at libraries replaces itself by one with an empty
//! environment, and hands the variables over in a file that has no name and is empty once they are read. On Linux; elsewhere
//! such commands keep their environment.

use std::sync::OnceLock;

use switchboard::config::Environment;

use super::Failed;

static VARIABLES: OnceLock<Environment> = OnceLock::new();

/// Those of this command.
pub fn variables() -> &'static Environment {
    VARIABLES.get_or_init(Environment::of_process)
}

/// To be called before anything else. `only_looks`: the command opens libraries, and starts nothing.
///
/// # Errors
/// The variables cannot be handed over.
pub fn begin(only_looks: bool) -> Result<(), Failed> {
    #[cfg(target_os = "linux")]
    if std::env::var_os(linux::HANDED_OVER).is_some() {
        _ = VARIABLES.set(linux::taken()?);
    } else if only_looks {
        return Err(linux::hand_over());
    }
    #[cfg(not(target_os = "linux"))]
    let _ = only_looks;
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        collections::BTreeMap,
        env,
        ffi::OsString,
        fs::File,
        io::{self, Read, Seek, Write},
        os::unix::process::CommandExt,
        process::Command,
    };

    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    use switchboard::config::Environment;

    use crate::cli::{Exit, Failed};

    /// Set for a command that finds its variables in its standard input.
    pub const HANDED_OVER: &str = "SWITCHBOARD_HANDED_OVER";
    /// What the process needs before it reads its configuration; no secret lies there.
    const KEPT: [&str; 7] =
        ["LD_LIBRARY_PATH", "NO_COLOR", "RUST_BACKTRACE", "SWITCHBOARD_CONFIG", "TERM", "TMPDIR", "TZ"];

    fn failed(error: &dyn std::fmt::Display) -> Failed {
        Failed::new(Exit::Failed, format!("the environment cannot be kept from the libraries: {error}"))
    }

    /// Comes back only if it fails.
    pub fn hand_over() -> Failed {
        let prepared = || -> io::Result<Command> {
            let text = |(name, value): (OsString, OsString)| {
                Some((name.into_string().ok()?, value.into_string().ok()?))
            };
            let variables: BTreeMap<String, String> = env::vars_os().filter_map(text).collect();
            let mut file = File::from(memfd_create("variables", MemfdFlags::empty())?);
            file.write_all(&serde_json::to_vec(&variables)?)?;
            file.rewind()?;
            let kept = KEPT.into_iter().filter_map(|name| Some((name, env::var_os(name)?)));
            let mut command = Command::new(env::current_exe()?);
            command.args(env::args_os().skip(1)).env_clear().envs(kept).env(HANDED_OVER, "1").stdin(file);
            Ok(command)
        };
        match prepared() {
            Ok(mut command) => failed(&command.exec()),
            Err(error) => failed(&error),
        }
    }

    /// What was handed over; nobody finds it there again.
    pub fn taken() -> Result<Environment, Failed> {
        let mut stdin = io::stdin().lock();
        let mut json = Vec::new();
        stdin.read_to_end(&mut json).map_err(|error| failed(&error))?;
        ftruncate(&stdin, 0).map_err(|error| failed(&error))?;
        let variables: BTreeMap<String, String> =
            serde_json::from_slice(&json).map_err(|error| failed(&error))?;
        Ok(Environment::from_pairs(variables))
    }
}

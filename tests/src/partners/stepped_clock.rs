//! A wall clock that is stepped while a program runs, as by an operator, by NTP or by a machine that wakes up. Time that
//! only goes on, such as Rust's `Instant`, stays as it is: no kernel steps it. By libfaketime, which is preloaded.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::Missing;
use crate::setup::Setup;

/// A clock of its own for the programs that are given it; all of them are stepped together.
#[derive(Debug, Clone)]
pub struct SteppedClock {
    library: PathBuf,
    /// Holds how far the clock is off; read anew each time that somebody asks for the time.
    offset: PathBuf,
}

impl SteppedClock {
    /// One that shows the right time so far. It keeps a file in this folder.
    ///
    /// # Errors
    /// If libfaketime is not installed.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn new(folder: &Path) -> Result<Self, Missing> {
        let clock = Self { library: library()?, offset: folder.join("clock") };
        clock.step_to(0);
        Ok(clock)
    }

    /// From now on the clock is off by so many seconds, forward or (below zero) back.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn step_to(&self, seconds: i64) {
        let new = self.offset.with_extension("new");
        fs::write(&new, format!("{seconds:+}\n")).expect("the folder can be written");
        // At once: a program may read it at any time.
        fs::rename(&new, &self.offset).expect("the folder can be written");
    }

    /// A host with this clock; its other commands have it, too.
    pub fn of_host(&self, setup: Setup) -> Setup {
        let text = |path: &Path| path.to_str().expect("our paths are text").to_owned();
        let variables = self.variables().map(|(name, value)| (name, text(&value)));
        variables.into_iter().fold(setup, |setup, (name, value)| setup.env(name, &value))
    }

    /// Another program with this clock.
    pub fn of_program<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.envs(self.variables())
    }

    fn variables(&self) -> [(&'static str, PathBuf); 5] {
        [
            ("LD_PRELOAD", self.library.clone()),
            ("FAKETIME_TIMESTAMP_FILE", self.offset.clone()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            // The times of files stay what they are.
            ("NO_FAKE_STAT", "1".into()),
        ]
    }
}

/// Where Debian has it, for each architecture in a folder of its own.
fn library() -> Result<PathBuf, Missing> {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let files = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    files.into_iter().find(|file| file.is_file()).ok_or_else(|| Missing::of("libfaketime"))
}

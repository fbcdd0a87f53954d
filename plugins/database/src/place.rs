//! The database as people are told of it: its name without user and password, and of a file what its disk says.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::{disk::Disk, target::Target};

/// Where the data is, for words.
#[derive(Debug, Clone)]
pub struct Place {
    name: String,
    file: Option<PathBuf>,
    named: bool,
}

impl Place {
    /// Of a target; `named` if the setting `url` names it.
    pub fn new(target: &Target, named: bool) -> Self {
        let file = match target {
            Target::Sqlite(path) => Some(path.clone()),
            Target::Postgres(..) => None,
        };
        Self { name: target.to_string(), file, named }
    }

    /// Whether the setting `url` names it, so that `url` may be what is wrong.
    pub fn is_named(&self) -> bool {
        self.named
    }

    /// The file, if it is SQLite.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The folder of the file; of a server, nothing.
    pub fn folder(&self) -> Option<&Path> {
        self.file().map(|file| file.parent().unwrap_or(file))
    }

    /// The disk of the file, which may not be there yet.
    pub fn disk(&self) -> Option<Disk> {
        let file = self.file()?;
        file.ancestors().find_map(Disk::of)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

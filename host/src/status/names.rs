//! Names of plugins, kept as their numbers: a new snapshot of many plugins copies no text. Readers see names only.

use std::{fmt, sync::Arc};

use serde::{Serialize, Serializer};

/// The names of some plugins, sorted.
#[derive(Clone, Default)]
pub struct Names {
    /// Of every plugin, by number.
    all: Arc<[String]>,
    numbers: Arc<[usize]>,
}

impl Names {
    /// `numbers` are sorted, as the names of all plugins are.
    pub(super) fn new(all: &Arc<[String]>, numbers: &Arc<[usize]>) -> Self {
        Self { all: all.clone(), numbers: numbers.clone() }
    }

    /// One after another.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.numbers.iter().map(|number| self.all[*number].as_str())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Whether this one is among them.
    pub fn contains(&self, name: &str) -> bool {
        self.numbers.binary_search_by(|number| self.all[*number].as_str().cmp(name)).is_ok()
    }
}

impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        if Arc::ptr_eq(&self.all, &other.all) {
            self.numbers == other.numbers
        } else {
            self.iter().eq(other.iter())
        }
    }
}

impl<const N: usize> PartialEq<[&str; N]> for Names {
    fn eq(&self, other: &[&str; N]) -> bool {
        self.iter().eq(other.iter().copied())
    }
}

/// As a person reads them, with commas between them.
impl fmt::Display for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.iter().enumerate() {
            formatter.write_str(if place == 0 { "" } else { ", " })?;
            formatter.write_str(name)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

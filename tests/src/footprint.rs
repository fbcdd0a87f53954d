//! A process becomes what it holds of the machine, as Linux tells it.

use std::fs;

/// What a process holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Resident memory, in KiB.
    pub memory_kib: u64,
    /// Threads.
    pub threads: u64,
    /// Open files, sockets and the like.
    pub descriptors: u64,
}

impl Footprint {
    /// Of the process with this id.
    ///
    /// # Panics
    /// If there is none, or the system has no `/proc`.
    #[track_caller]
    pub fn of(process: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel tells it");
            line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("it is a number")
        };
        let descriptors = fs::read_dir(format!("/proc/{process}/fd")).expect("it runs").count();
        Self { memory_kib: number("VmRSS:"), threads: number("Threads:"), descriptors: descriptors as u64 }
    }
}

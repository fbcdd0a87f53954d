//! What a file system says of itself: whether it has room, and whether it may be written at all.

use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};

/// A transaction of a few pages needs so many bytes. With less, only a write shows whether it fits.
const LEAST: u64 = 64 * 1024;

/// A file system, as it was at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Disk {
    /// Bytes that this process may still take.
    free: u64,
    /// Files that it may still make.
    files: u64,
    read_only: bool,
}

impl Disk {
    /// The file system of an existing path; `None` if it cannot be asked.
    pub fn of(path: &Path) -> Option<Self> {
        let found = statvfs(path).ok()?;
        // Some file systems do not count.
        let counted = |total: u64, left: u64| if total == 0 { u64::MAX } else { left };
        Some(Self {
            free: counted(found.f_blocks, found.f_bavail.saturating_mul(found.f_frsize)),
            files: counted(found.f_files, found.f_favail),
            read_only: found.f_flag.contains(StatVfsMountFlags::RDONLY),
        })
    }

    /// Whether a write may not fit.
    pub fn is_short(self) -> bool {
        self.free < LEAST
    }

    /// Whether a write that failed most likely did not fit.
    pub fn is_full(self) -> bool {
        self.is_short() || self.files == 0
    }

    /// Whether it is mounted read-only.
    pub fn is_read_only(self) -> bool {
        self.read_only
    }
}

//! SQLite's result codes: <https://www.sqlite.org/rescode.html>.

use sqlx::{error::DatabaseError as _, sqlite::SqliteError};

/// Result codes in their lowest byte.
pub mod code {
    pub const PERM: u32 = 3;
    pub const BUSY: u32 = 5;
    pub const LOCKED: u32 = 6;
    pub const READONLY: u32 = 8;
    pub const INTERRUPT: u32 = 9;
    pub const IOERR: u32 = 10;
    pub const CORRUPT: u32 = 11;
    pub const FULL: u32 = 13;
    pub const CANTOPEN: u32 = 14;
    pub const CONSTRAINT: u32 = 19;
    pub const NOTADB: u32 = 26;
    // Of these, more than the lowest byte.
    pub const IOERR_READ: u32 = IOERR | 1 << 8;
    pub const IOERR_SHORT_READ: u32 = IOERR | 2 << 8;
    pub const IOERR_WRITE: u32 = IOERR | 3 << 8;
    pub const IOERR_SHMOPEN: u32 = IOERR | 18 << 8;
    pub const IOERR_SHMSIZE: u32 = IOERR | 19 << 8;
    pub const IOERR_SHMMAP: u32 = IOERR | 21 << 8;
    pub const READONLY_DBMOVED: u32 = READONLY | 4 << 8;
}

/// The code without what extends it.
pub(super) fn primary(error: &SqliteError) -> u32 {
    extended(error) & 0xff
}

pub(super) fn extended(error: &SqliteError) -> u32 {
    error.code().and_then(|code| code.parse().ok()).unwrap_or_default()
}

/// Whether a commit that fails so leaves nothing behind. Where it is not known whether what was written reached the disk,
/// as after a failed `fsync`, it may still turn up after a crash.
pub(super) fn leaves_no_commit(error: &SqliteError) -> bool {
    match primary(error) {
        code::IOERR => matches!(
            extended(error),
            code::IOERR_READ
                | code::IOERR_SHORT_READ
                | code::IOERR_WRITE
                | code::IOERR_SHMOPEN
                | code::IOERR_SHMSIZE
                | code::IOERR_SHMMAP
        ),
        code => matches!(
            code,
            code::FULL | code::BUSY | code::LOCKED | code::READONLY | code::INTERRUPT | code::CONSTRAINT
        ),
    }
}

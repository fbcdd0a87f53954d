//! SQLite's result codes: <https://www.sqlite.org/rescode.html>.

use sqlx::{error::DatabaseError as _, sqlite::SqliteError};

use super::{Constraint, Trouble, Words, in_the_way, only_reads, out_of_time, outage, refused};

/// Result codes in their lowest byte.
pub(super) mod code {
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
}

/// The code without what extends it.
pub(super) fn primary(error: &SqliteError) -> u32 {
    extended(error) & 0xff
}

fn extended(error: &SqliteError) -> u32 {
    error.code().and_then(|code| code.parse().ok()).unwrap_or_default()
}

pub(super) fn trouble(error: &SqliteError, place: &str) -> Trouble {
    let code = error.code().unwrap_or_default();
    let words = Words { message: error.message(), code: &code };
    match primary(error) {
        code::CONSTRAINT => constraint(error).trouble(&words),
        code::INTERRUPT => out_of_time().into(),
        code::BUSY | code::LOCKED => in_the_way().into(),
        // Of a reader, which is set to refuse writes; of the writer it is the file.
        code::READONLY if extended(error) == code::READONLY => only_reads(&words).into(),
        code::PERM
        | code::READONLY
        | code::IOERR
        | code::CORRUPT
        | code::FULL
        | code::CANTOPEN
        | code::NOTADB => Trouble::outage(outage::sqlite(error, place)),
        _ => refused("SQLite", &words).into(),
    }
}

/// Reads `UNIQUE constraint failed: people.email, people.tenant`.
fn constraint(error: &SqliteError) -> Constraint {
    let kind = match extended(error) >> 8 {
        1 => "check",
        3 => "foreign_key",
        5 => "not_null",
        6 | 8 | 10 => "unique",
        _ => "other",
    };
    let subject = error.message().split_once(": ").map(|(_, subject)| subject);
    let mut constraint = Constraint { kind, ..Constraint::default() };
    if matches!(kind, "unique" | "not_null") {
        for (table, column) in
            subject.iter().flat_map(|subject| subject.split(", ")).filter_map(|name| name.split_once('.'))
        {
            constraint.table = Some(table.to_owned());
            constraint.columns.push(column.to_owned());
        }
    } else {
        constraint.name = subject.map(str::to_owned);
    }
    constraint
}

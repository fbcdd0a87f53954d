//! What SQLite refuses, as what people are told.

use sqlx::{error::DatabaseError as _, sqlite::SqliteError};

use crate::place::Place;

use super::{
    Constraint, Trouble, Words, in_the_way, only_reads, out_of_time, outage, refused,
    sqlite_codes::{code, extended, primary},
};

pub(super) fn trouble(error: &SqliteError, place: &Place, writing: bool) -> Trouble {
    let code = error.code().unwrap_or_default();
    let words = Words { message: error.message(), code: &code };
    match primary(error) {
        code::CONSTRAINT => constraint(error).trouble(&words),
        code::INTERRUPT => out_of_time().into(),
        code::BUSY | code::LOCKED => in_the_way().into(),
        // A reader is set to refuse writes; if the writer does, it is the file.
        code::READONLY if !writing && extended(error) == code::READONLY => only_reads(&words).into(),
        // The connection is in order; any other outage may be of the connection, which is opened anew.
        code::FULL => Trouble::outage(outage::sqlite(error, place)).kept(),
        code::PERM | code::READONLY | code::IOERR | code::CORRUPT | code::CANTOPEN | code::NOTADB => {
            Trouble::outage(outage::sqlite(error, place))
        }
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

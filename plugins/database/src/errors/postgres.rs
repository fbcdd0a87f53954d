//! PostgreSQL's error codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.

use plugin_api::prelude::*;
use sqlx::postgres::{PgDatabaseError, PgErrorPosition, PgSeverity};

use super::{Constraint, Trouble, Words, in_the_way, only_reads, out_of_time, outage, refused};
use crate::place::Place;

/// Whether it is the last that the connection says.
pub(super) fn ends_the_connection(error: &PgDatabaseError) -> bool {
    let ends = matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic);
    ends || error.code().starts_with("08") || outage::is_stopping(error.code())
}

pub(super) fn trouble(error: &PgDatabaseError, place: &Place, writing: bool) -> Trouble {
    let code = error.code();
    let words = Words { message: error.message(), code };
    let class = code.get(..2).unwrap_or_default();
    match (class, code) {
        ("23", _) => constraint(error).trouble(&words),
        (_, "40001" | "40P01" | "55P03") => in_the_way().into(),
        (_, "57014") => out_of_time().into(),
        (_, "25006") if writing => Trouble::refused_writes(place),
        (_, "25006") => only_reads(&words).into(),
        (_, "42501") => OperationError::denied("the database's user may not do this").details(words.details()).into(),
        (_, "42P18") => OperationError::invalid(
            "PostgreSQL cannot tell the type of a parameter that is null: write `cast($1 as text)` or the like",
        )
        .details(words.details())
        .into(),
        (_, "53100") => Trouble::outage(outage::no_room(place)).kept(),
        (_, "58030") => Trouble::outage(outage::server_disk(place)).kept(),
        (_, "53300") => OperationError::overloaded(format!("{place} takes no more connections")).into(),
        ("53", _) => OperationError::overloaded(format!("{place} is short of resources")).into(),
        ("08", _) => Trouble::outage(outage::stopping(place)),
        (_, code) if outage::is_stopping(code) => Trouble::outage(outage::stopping(place)),
        _ if ends_the_connection(error) => Trouble::outage(outage::lost(place)),
        ("58" | "XX" | "F0", _) => Trouble {
            lost: true,
            ..OperationError::internal(format!("{place} reports an internal error"))
                .details(words.details())
                .into()
        },
        _ => positioned(error, refused("PostgreSQL", &words).into()),
    }
}

/// Where in the SQL, counted in characters from 1.
fn positioned(error: &PgDatabaseError, trouble: Trouble) -> Trouble {
    match error.position() {
        Some(PgErrorPosition::Original(position)) => trouble.detail("position", position),
        _ => trouble,
    }
}

fn constraint(error: &PgDatabaseError) -> Constraint {
    let kind = match error.code() {
        "23502" => "not_null",
        "23503" => "foreign_key",
        "23505" => "unique",
        "23514" => "check",
        "23P01" => "exclusion",
        _ => "other",
    };
    let columns = match error.column() {
        Some(column) => vec![column.to_owned()],
        None => error.detail().map(key_columns).unwrap_or_default(),
    };
    Constraint {
        kind,
        name: error.constraint().map(str::to_owned),
        table: error.table().map(str::to_owned),
        columns,
    }
}

/// The columns out of `Key (email, tenant)=(…) already exists.`; the values stay out.
fn key_columns(detail: &str) -> Vec<String> {
    let names = detail.split_once('(').and_then(|(_, rest)| rest.split_once(")=(")).map(|(names, _)| names);
    names.map(|names| names.split(", ").map(str::to_owned).collect()).unwrap_or_default()
}

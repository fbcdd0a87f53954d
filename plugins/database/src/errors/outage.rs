//! Why the database cannot be used, as a failure that picks the right policy: what passes by itself, and what a person must
//! mend. Each says what happened; what to do about it is its advice.

mod refusals;

use std::io::ErrorKind as Io;

use plugin_api::{error::FixAction, prelude::*, tracing};
use sqlx::{postgres::PgDatabaseError, sqlite::SqliteError};

use super::sqlite_codes::{code, extended, primary};
use crate::place::Place;

pub use refusals::{
    GRANT, gone, may_not_write, mounted_read_only, no_folder, no_room, not_synced, read_only, set_read_only,
    slow_commits, standby,
};

/// sqlx reads the end of a connection as an answer of this byte, when it asks for TLS. A proxy ends connections so while the
/// server behind it is away; a real server answers with a letter.
const NO_ANSWER_TO_TLS: &str = "SSLRequest: 0x00";

/// Why a connection could not be made or did not answer.
pub fn failure(error: &sqlx::Error, place: &Place) -> Failure {
    tracing::debug!(%error, "there is no connection to the database");
    match error {
        sqlx::Error::Io(error) => io(error, place),
        sqlx::Error::Tls(_) => tls(place),
        sqlx::Error::PoolTimedOut => silent(place),
        sqlx::Error::Configuration(_) => no_certificate(),
        sqlx::Error::Database(error) => {
            let error = error.as_ref();
            match (error.try_downcast_ref::<PgDatabaseError>(), error.try_downcast_ref::<SqliteError>()) {
                (Some(error), _) => postgres(error, place),
                (_, Some(error)) => sqlite(error, place),
                _ => Failure::protocol(format!("{place} answers by an error of an unknown kind")),
            }
        }
        sqlx::Error::Protocol(said) if said.contains(NO_ANSWER_TO_TLS) => closed(place),
        sqlx::Error::WorkerCrashed | sqlx::Error::PoolClosed => {
            Failure::internal(format!("the connection to {place} broke down"))
        }
        _ => Failure::protocol(format!("what answers at {place} does not speak its protocol")),
    }
}

/// A connection ended in the middle.
pub fn lost(place: &Place) -> Failure {
    Failure::unavailable(format!("the connection to {place} is lost")).advise(
        FixAction::Retry,
        "Wait: it connects again by itself; if it does not, see the log of the server",
    )
}

/// A file that the URL names.
pub fn no_certificate() -> Failure {
    Failure::config_invalid("`url` names a certificate or key that cannot be read").setting("url")
}

fn io(error: &std::io::Error, place: &Place) -> Failure {
    const START: &str = "Start PostgreSQL there, or correct the address in `url`";
    match error.kind() {
        Io::ConnectionRefused => Failure::refused(format!("{place} refuses the connection: is it running?"))
            .advise(FixAction::Retry, START),
        Io::NotFound => Failure::refused(format!("nothing listens as {place}: is it running?"))
            .advise(FixAction::Retry, START),
        Io::TimedOut => silent(place),
        // rustls puts what it thinks of the other side's certificate or protocol into this kind.
        Io::InvalidData => tls(place),
        _ if is_lookup(error) => Failure::dns(format!("the name of {place} cannot be resolved"))
            .advise(FixAction::Retry, "Correct the name in `url`, or wait until it resolves"),
        Io::HostUnreachable | Io::NetworkUnreachable => {
            Failure::unavailable(format!("there is no route to {place}"))
                .advise(FixAction::Retry, "Check the network of this machine and the address in `url`")
        }
        _ => closed(place),
    }
}

fn closed(place: &Place) -> Failure {
    Failure::unavailable(format!("{place} closed the connection")).advise(
        FixAction::Retry,
        "Wait: it connects again by itself; if it does not, see the log of the server",
    )
}

fn silent(place: &Place) -> Failure {
    Failure::timeout(format!("{place} does not answer in time")).advise(
        FixAction::Retry,
        "Check the firewalls between, the address in `url`, and the load of the server",
    )
}

/// The standard library gives failed look-ups no kind of their own, but always this beginning.
fn is_lookup(error: &std::io::Error) -> bool {
    error.to_string().starts_with("failed to lookup address information")
}

fn tls(place: &Place) -> Failure {
    Failure::tls(format!(
        "no trustworthy TLS connection to {place}: it offers none, or its certificate cannot be verified"
    ))
    .setting("url")
    .advise(
        FixAction::CorrectSetting,
        "Let the server offer TLS with a certificate for the name in `url`; if it is of an authority of your own, add \
         `sslrootcert=PATH` to `url`. `sslmode=prefer` gives the check up, for networks that are as trusted as this machine",
    )
}

fn postgres(error: &PgDatabaseError, place: &Place) -> Failure {
    match error.code() {
        "28P01" => Failure::auth_invalid(format!("{place} rejects user or password")).setting("url"),
        "28000" => Failure::auth_invalid(format!(
            "{place} does not admit this user: check the user and `sslmode` in `url`, and the server's pg_hba.conf"
        ))
        .setting("url"),
        "3D000" => Failure::config_invalid(format!("there is no such database on {place}: create it, or correct `url`"))
            .setting("url"),
        "42501" => Failure::forbidden(format!("the user may not connect to this database on {place}")).advise(
            FixAction::Retry,
            "Let the user connect: `grant connect on database … to …`; then verify it",
        ),
        "53100" => no_room(place),
        "53300" => too_many(place),
        // pgbouncer says everything by this one.
        "08P01" => Failure::unavailable(format!("{place} does not take the connection")).advise(
            FixAction::Retry,
            "See the log of the server; if it is a pooler, set this plugin's `pgbouncer` to true",
        ),
        code if is_stopping(code) => stopping(place),
        _ => Failure::unavailable(format!("{place} does not serve this connection"))
            .advise(FixAction::Retry, "See the log of the server, which says why"),
    }
}

fn too_many(place: &Place) -> Failure {
    Failure::unavailable(format!("{place} takes no more connections")).advise(
        FixAction::Retry,
        "Lower the setting `max_connections` of this plugin on every host, or raise the server's own `max_connections`",
    )
}

/// `57P01` to `57P03`, and what a server says that is not open to this connection.
pub(super) fn is_stopping(code: &str) -> bool {
    matches!(code, "57P01" | "57P02" | "57P03")
}

pub(super) fn stopping(place: &Place) -> Failure {
    Failure::unavailable(format!("{place} is shutting down or starting up")).advise(
        FixAction::Retry,
        "Wait until it is up; if it stays so, see its log: a standby may take no connections",
    )
}

/// The server cannot use its own files.
pub(super) fn server_disk(place: &Place) -> Failure {
    Failure::unavailable(format!("{place} cannot read or write its files"))
        .advise(FixAction::Retry, "Check the disk of the server, and its log")
        .certain()
}

/// Why an SQLite file cannot be used.
pub(super) fn sqlite(error: &SqliteError, place: &Place) -> Failure {
    let disk = place.disk();
    match primary(error) {
        code::FULL => no_room(place),
        code::IOERR | code::CANTOPEN if disk.is_some_and(|disk| disk.is_full()) => no_room(place),
        code::PERM | code::READONLY | code::IOERR | code::CANTOPEN
            if disk.is_some_and(|disk| disk.is_read_only()) =>
        {
            mounted_read_only(place)
        }
        code::NOTADB | code::CORRUPT => refusals::unsound(place, primary(error) == code::NOTADB),
        code::CANTOPEN => refusals::cannot_open(place),
        code::READONLY if extended(error) == code::READONLY_DBMOVED => gone(place),
        code::PERM | code::READONLY => refusals::file_not_writable(place),
        code::BUSY | code::LOCKED => Failure::unavailable(format!("{place} is locked by another process"))
            .advise(FixAction::Retry, "End the process that locks the file, or wait for it"),
        code::IOERR => refusals::file_disk(place),
        _ => Failure::unavailable(format!("{place} cannot be used"))
            .advise(FixAction::Retry, "See the log of this host at level `debug`, then verify it"),
    }
}

//! Why there is no connection, as a failure that picks the right policy: what passes by itself, and what a person must
//! mend.

use std::io::ErrorKind as Io;

use plugin_api::{prelude::*, tracing};
use sqlx::{postgres::PgDatabaseError, sqlite::SqliteError};

use super::sqlite::{code, primary};

/// Why a connection could not be made or did not answer. `place` names the database for a person.
pub fn failure(error: &sqlx::Error, place: &str) -> Failure {
    tracing::debug!(%error, "there is no connection to the database");
    match error {
        sqlx::Error::Io(error) => io(error, place),
        sqlx::Error::Tls(_) => tls(place),
        sqlx::Error::PoolTimedOut => Failure::timeout(format!("{place} does not answer in time")),
        sqlx::Error::Configuration(_) => no_certificate(),
        sqlx::Error::Database(error) => {
            let error = error.as_ref();
            match (error.try_downcast_ref::<PgDatabaseError>(), error.try_downcast_ref::<SqliteError>()) {
                (Some(error), _) => postgres(error, place),
                (_, Some(error)) => sqlite(error, place),
                _ => Failure::protocol(format!("{place} answers by an error of an unknown kind")),
            }
        }
        sqlx::Error::WorkerCrashed | sqlx::Error::PoolClosed => {
            Failure::internal(format!("the connection to {place} broke down"))
        }
        _ => Failure::protocol(format!("what answers at {place} does not speak its protocol")),
    }
}

/// A file that the URL names.
pub fn no_certificate() -> Failure {
    Failure::config_invalid("`url` names a certificate or key that cannot be read").setting("url")
}

fn io(error: &std::io::Error, place: &str) -> Failure {
    match error.kind() {
        Io::ConnectionRefused => Failure::refused(format!("{place} refuses the connection: is it running?")),
        Io::NotFound => Failure::refused(format!("nothing listens as {place}: is it running?")),
        Io::TimedOut => Failure::timeout(format!("{place} does not answer in time")),
        // rustls puts what it thinks of the other side's certificate or protocol into this kind.
        Io::InvalidData => tls(place),
        _ if is_lookup(error) => Failure::dns(format!("the name of {place} cannot be resolved")),
        Io::HostUnreachable | Io::NetworkUnreachable => {
            Failure::unavailable(format!("there is no route to {place}"))
        }
        _ => Failure::unavailable(format!("{place} closed the connection")),
    }
}

/// The standard library gives failed look-ups no kind of their own, but always this beginning.
fn is_lookup(error: &std::io::Error) -> bool {
    error.to_string().starts_with("failed to lookup address information")
}

fn tls(place: &str) -> Failure {
    Failure::tls(format!(
        "no trustworthy TLS connection to {place}: check `sslmode` in `url` and the server's certificate \
         (`sslrootcert` names an authority of your own)"
    ))
    .setting("url")
}

fn postgres(error: &PgDatabaseError, place: &str) -> Failure {
    match error.code() {
        "28P01" => Failure::auth_invalid(format!("{place} rejects user or password")).setting("url"),
        "28000" => Failure::auth_invalid(format!(
            "{place} does not admit this user: check the user and `sslmode` in `url`, and the server's pg_hba.conf"
        ))
        .setting("url"),
        "3D000" => Failure::config_invalid(format!("there is no such database on {place}: create it, or correct `url`"))
            .setting("url"),
        "42501" => Failure::forbidden(format!("the user may not connect to this database on {place}")),
        "53300" => Failure::unavailable(format!("{place} takes no more connections: lower `max_connections`")),
        "57P01" | "57P02" | "57P03" => Failure::unavailable(format!("{place} is shutting down or starting up")),
        // pgbouncer says everything by this one.
        "08P01" => Failure::unavailable(format!(
            "{place} does not take the connection; if it is a pooler, the setting `pgbouncer` must be true"
        )),
        _ => Failure::unavailable(format!("{place} does not serve this connection")),
    }
}

/// Why an SQLite file cannot be used.
pub(super) fn sqlite(error: &SqliteError, place: &str) -> Failure {
    let invalid = |message: String| Failure::config_invalid(message).setting("url");
    match primary(error) {
        code::NOTADB | code::CORRUPT => invalid(format!(
            "{place} is not a sound database: restore it from a backup, or move it away and a new one is made"
        )),
        code::CANTOPEN => {
            invalid(format!("{place} cannot be opened or created: check its folder and its rights"))
        }
        code::PERM | code::READONLY => {
            invalid(format!("{place} cannot be written: check its rights and its owner"))
        }
        code::BUSY | code::LOCKED => {
            Failure::unavailable(format!("{place} is locked by another process: end that process"))
        }
        code::FULL => Failure::unavailable(format!("no disk space is left for {place}")),
        code::IOERR => Failure::unavailable(format!("{place} cannot be read or written: check the disk")),
        _ => Failure::unavailable(format!("{place} cannot be used")),
    }
}

//! A database that is there and takes no writes, or a file that cannot be used: known for certain, with what mends each.

use std::{io, path::Path};

use plugin_api::{error::FixAction, prelude::*};

use crate::place::Place;

/// A server that follows another one.
pub fn standby(place: &Place) -> Failure {
    Failure::unavailable(format!("{place} is a standby, which takes no writes"))
        .advise(FixAction::Retry, "Promote it, or let `url` name the primary; it is noticed by itself")
        .certain()
}

/// A server that is set read-only; `source` is where, in the words of `pg_settings`.
pub fn set_read_only(place: &Place, source: &str) -> Failure {
    let off = match source {
        "database" => "Take it back: `alter database … reset default_transaction_read_only`",
        "user" => "Take it back: `alter role … reset default_transaction_read_only`",
        "database user" => "Take it back: `alter role … in database … reset default_transaction_read_only`",
        "client" => "Remove `default_transaction_read_only` from `options` in `url`",
        _ => {
            "Take it back: `alter system reset default_transaction_read_only`, then `select pg_reload_conf()`"
        }
    };
    Failure::unavailable(format!("{place} is set read-only: its `default_transaction_read_only` is on"))
        .advise(
            FixAction::Retry,
            format!("{off}. A managed server sets it while its disk is full: make room first"),
        )
        .certain()
}

/// A server that refuses a write as read-only, and does not say why.
pub fn read_only(place: &Place) -> Failure {
    Failure::unavailable(format!("{place} takes no writes: it is a standby, or set read-only"))
        .advise(
            FixAction::Retry,
            "Promote it, take `default_transaction_read_only` back, or let `url` name the primary",
        )
        .certain()
}

/// A full disk, here or at the server.
pub fn no_room(place: &Place) -> Failure {
    let advice = match place.folder() {
        Some(folder) => format!("Make room on the disk of `{}`, or enlarge it", folder.display()),
        None => "Make room on the disk of the server, or enlarge it".to_owned(),
    };
    Failure::unavailable(format!("no disk space is left for {place}"))
        .advise(FixAction::Retry, advice)
        .certain()
}

/// A file system that takes no writes, by its mount or after an error.
pub fn mounted_read_only(place: &Place) -> Failure {
    let folder = place.folder().map(|folder| folder.display().to_string()).unwrap_or_default();
    Failure::unavailable(format!("{place} cannot be written: its file system is mounted read-only"))
        .advise(
            FixAction::Retry,
            format!("Mount the file system of `{folder}` read-write; after an error, check its disk"),
        )
        .certain()
}

/// The file was removed, moved or replaced while it was in use.
pub fn gone(place: &Place) -> Failure {
    Failure::unavailable(format!("{place} is gone: put it back, and restart the host"))
        .advise(FixAction::Retry, "Put the file back, and restart the host")
        .certain()
}

/// A commit that gets no answer.
pub fn slow_commits(place: &Place) -> Failure {
    Failure::timeout(format!("{place} does not confirm a commit in time")).advise(
        FixAction::Retry,
        match place.file() {
            Some(_) => "Check the load and the health of its disk",
            None => "Check the disk of the server, and the synchronous standbys that its commits wait for",
        },
    )
}

/// The user of the server may read, and not write.
pub fn may_not_write(place: &Place) -> Failure {
    Failure::forbidden(format!("the user may not create tables or write on {place}"))
        .advise(FixAction::Retry, GRANT)
}

/// What lets a user of PostgreSQL write.
pub const GRANT: &str = "Let the user of `url` create tables and write: `grant create, usage on schema public to …`; then verify it";

/// The folder of the file cannot be made.
pub fn no_folder(error: &io::Error, folder: &Path, place: &Place) -> Failure {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => no_room(place),
        io::ErrorKind::ReadOnlyFilesystem => mounted_read_only(place),
        _ => blaming_url(
            Failure::config_invalid(format!(
                "the folder `{}` for the SQLite file cannot be made: check its parent and its rights",
                folder.display()
            )),
            place,
            "Let the user of this process make it, or set `data_dir` of `[host]`".to_owned(),
        ),
    }
}

/// The file is no database, or a broken one. What it holds may be missed: nobody replaces it by himself.
pub(super) fn unsound(place: &Place, other_format: bool) -> Failure {
    let file = place.file().map(|file| file.display().to_string()).unwrap_or_default();
    let advice =
        format!("Restore `{file}` from a backup, or move it aside and a new one is made; then verify it");
    let message = format!(
        "{place} is not a sound database: restore it from a backup, or move it away and a new one is made"
    );
    if other_format && place.is_named() {
        // The URL may name the wrong file.
        return Failure::config_invalid(message).setting("url").advise(
            FixAction::CorrectSetting,
            format!("Correct `url`, restore `{file}` from a backup, or move it aside and a new one is made"),
        );
    }
    Failure::protocol(message).advise(FixAction::Retry, advice)
}

pub(super) fn cannot_open(place: &Place) -> Failure {
    let folder = place.folder().map(|folder| folder.display().to_string()).unwrap_or_default();
    let failure = Failure::config_invalid(format!(
        "{place} cannot be opened or created: check its folder and its rights"
    ));
    blaming_url(failure, place, format!("Let the user of this process write in `{folder}`, then verify it"))
}

pub(super) fn file_not_writable(place: &Place) -> Failure {
    Failure::unavailable(format!("{place} cannot be written: check its rights and its owner"))
        .advise(FixAction::Retry, "Let the user of this process write the file and its folder")
        .certain()
}

/// The disk refuses, though it has room: broken, or beyond a quota or a limit.
pub(super) fn file_disk(place: &Place) -> Failure {
    let folder = place.folder().map(|folder| folder.display().to_string()).unwrap_or_default();
    Failure::unavailable(format!("{place} cannot be read or written: its disk reports an error"))
        .advise(
            FixAction::Retry,
            format!("Check the disk of `{folder}`, its quota, and this process's limit of file size"),
        )
        .certain()
}

/// With `url` as the setting to correct if it is what names the file, else with this advice.
fn blaming_url(failure: Failure, place: &Place, advice: String) -> Failure {
    if place.is_named() { failure.setting("url") } else { failure.advise(FixAction::Retry, advice) }
}

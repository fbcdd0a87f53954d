//! A database that is there and takes no writes, or a file that cannot be used: known for certain, with what mends each.

use std::{io, path::Path};

use plugin_api::{error::FixAction, prelude::*};

use crate::place::Place;

/// A server that follows another one.
pub fn standby(place: &Place) -> Failure {
    Failure::unavailable(format!("{place} is a standby, which takes no writes"))
        .advise(
            FixAction::Retry,
            "Promote it, or point `url` at the primary; the change is noticed automatically",
        )
        .certain()
}

/// A server that is set read-only; `source` is where, in the words of `pg_settings`.
pub fn set_read_only(place: &Place, source: &str) -> Failure {
    let reset = |what: &str, then: &str| {
        format!(
            "Take it back: `{what} reset default_transaction_read_only`{then}; make room first if it was set for a full \
             disk"
        )
    };
    let advice = match source {
        "client" => "Remove `default_transaction_read_only` from `options` in `url`".to_owned(),
        "database" => reset("alter database …", ""),
        "user" => reset("alter role …", ""),
        "database user" => reset("alter role … in database …", ""),
        _ => reset("alter system", " and `select pg_reload_conf()`"),
    };
    Failure::unavailable(format!("{place} is set read-only: its `default_transaction_read_only` is on"))
        .advise(FixAction::Retry, advice)
        .certain()
}

/// A server that refuses a write as read-only, and does not say why.
pub fn read_only(place: &Place) -> Failure {
    Failure::unavailable(format!("{place} takes no writes: it is a standby, or set read-only"))
        .advise(
            FixAction::Retry,
            "Promote it, reset `default_transaction_read_only`, or point `url` at the primary",
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

/// The disk did not confirm what was committed, so a loss of power may take it back.
pub fn not_synced(error: &io::Error, place: &Place) -> Failure {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => no_room(place),
        _ => Failure::unavailable(format!("the disk of {place} does not confirm what is written: {error}"))
            .advise(FixAction::Retry, "Check the health of the disk, and what the kernel's log says of it"),
    }
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

/// The file is no database, or a broken one. Its data may be needed: it is never replaced automatically.
pub(super) fn unsound(place: &Place, other_format: bool) -> Failure {
    let file = place.file().map(|file| file.display().to_string()).unwrap_or_default();
    let message = format!("{place} is not a sound database");
    // A file is not replaced under a process that has it open.
    let restore = format!(
        "stop the host, restore `{file}` from a backup or move it aside and a new one is made, and start the host"
    );
    if other_format && place.is_named() {
        // The URL may name the wrong file.
        return Failure::config_invalid(message)
            .setting("url")
            .advise(FixAction::CorrectSetting, format!("Correct `url`; or {restore}"));
    }
    Failure::protocol(message).advise(FixAction::Retry, restore.replacen("stop", "Stop", 1))
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

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use sqlx::postgres::PgConnectOptions;

    use crate::certificates::Certificates;

    use super::*;
    use crate::target::Target;

    fn file(named: bool) -> Place {
        Place::new(&Target::Sqlite("/data/main.db".into()), named)
    }

    fn server() -> Place {
        Place::new(
            &Target::Postgres(
                Box::new(PgConnectOptions::new().host("db").port(5432)),
                Certificates::default(),
            ),
            true,
        )
    }

    fn check(failures: &[Failure], expected: Expect) {
        let line = |failure: &Failure| {
            let advice = failure.advice.as_ref().map(|advice| advice.label.as_str());
            let setting =
                failure.setting.as_deref().map(|setting| format!(" [{setting}]")).unwrap_or_default();
            format!("{failure}{setting}\n    {}", advice.unwrap_or("(by its setting)"))
        };
        expected.assert_eq(&failures.iter().map(line).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn a_server_that_takes_no_writes_has_its_own_advice() {
        let flagged = |source| set_read_only(&server(), source);
        check(
            &[
                standby(&server()),
                flagged("configuration file"),
                flagged("database"),
                flagged("client"),
                read_only(&server()),
                no_room(&server()),
                slow_commits(&server()),
                may_not_write(&server()),
            ],
            expect![[r#"
                unavailable: PostgreSQL at `db:5432` is a standby, which takes no writes
                    Promote it, or point `url` at the primary; the change is noticed automatically
                unavailable: PostgreSQL at `db:5432` is set read-only: its `default_transaction_read_only` is on
                    Take it back: `alter system reset default_transaction_read_only` and `select pg_reload_conf()`; make room first if it was set for a full disk
                unavailable: PostgreSQL at `db:5432` is set read-only: its `default_transaction_read_only` is on
                    Take it back: `alter database … reset default_transaction_read_only`; make room first if it was set for a full disk
                unavailable: PostgreSQL at `db:5432` is set read-only: its `default_transaction_read_only` is on
                    Remove `default_transaction_read_only` from `options` in `url`
                unavailable: PostgreSQL at `db:5432` takes no writes: it is a standby, or set read-only
                    Promote it, reset `default_transaction_read_only`, or point `url` at the primary
                unavailable: no disk space is left for PostgreSQL at `db:5432`
                    Make room on the disk of the server, or enlarge it
                timeout: PostgreSQL at `db:5432` does not confirm a commit in time
                    Check the disk of the server, and the synchronous standbys that its commits wait for
                forbidden: the user may not create tables or write on PostgreSQL at `db:5432`
                    Let the user of `url` create tables and write: `grant create, usage on schema public to …`; then verify it"#]],
        );
    }

    #[test]
    fn a_file_blames_a_setting_only_if_it_is_set() {
        let kind = |kind| io::Error::from(kind);
        let folder = Path::new("/data");
        for named in [false, true] {
            let place = file(named);
            let blamed = [
                unsound(&place, true),
                cannot_open(&place),
                no_folder(&kind(io::ErrorKind::PermissionDenied), folder, &place),
            ];
            assert!(blamed.iter().all(|failure| failure.setting.is_some() == named), "{blamed:?}");
        }
        let place = file(false);
        check(
            &[
                unsound(&place, true),
                unsound(&file(true), true),
                unsound(&file(true), false),
                cannot_open(&place),
                no_folder(&kind(io::ErrorKind::PermissionDenied), folder, &place),
                no_folder(&kind(io::ErrorKind::StorageFull), folder, &place),
                no_folder(&kind(io::ErrorKind::ReadOnlyFilesystem), folder, &place),
                no_room(&place),
                mounted_read_only(&place),
                file_not_writable(&place),
                file_disk(&place),
                gone(&place),
                slow_commits(&place),
                not_synced(&kind(io::ErrorKind::StorageFull), &place),
                not_synced(&io::Error::from_raw_os_error(5), &place),
            ],
            expect![[r#"
                protocol: the SQLite file `/data/main.db` is not a sound database
                    Stop the host, restore `/data/main.db` from a backup or move it aside and a new one is made, and start the host
                config_invalid: the SQLite file `/data/main.db` is not a sound database [url]
                    Correct `url`; or stop the host, restore `/data/main.db` from a backup or move it aside and a new one is made, and start the host
                protocol: the SQLite file `/data/main.db` is not a sound database
                    Stop the host, restore `/data/main.db` from a backup or move it aside and a new one is made, and start the host
                config_invalid: the SQLite file `/data/main.db` cannot be opened or created: check its folder and its rights
                    Let the user of this process write in `/data`, then verify it
                config_invalid: the folder `/data` for the SQLite file cannot be made: check its parent and its rights
                    Let the user of this process make it, or set `data_dir` of `[host]`
                unavailable: no disk space is left for the SQLite file `/data/main.db`
                    Make room on the disk of `/data`, or enlarge it
                unavailable: the SQLite file `/data/main.db` cannot be written: its file system is mounted read-only
                    Mount the file system of `/data` read-write; after an error, check its disk
                unavailable: no disk space is left for the SQLite file `/data/main.db`
                    Make room on the disk of `/data`, or enlarge it
                unavailable: the SQLite file `/data/main.db` cannot be written: its file system is mounted read-only
                    Mount the file system of `/data` read-write; after an error, check its disk
                unavailable: the SQLite file `/data/main.db` cannot be written: check its rights and its owner
                    Let the user of this process write the file and its folder
                unavailable: the SQLite file `/data/main.db` cannot be read or written: its disk reports an error
                    Check the disk of `/data`, its quota, and this process's limit of file size
                unavailable: the SQLite file `/data/main.db` is gone: put it back, and restart the host
                    Put the file back, and restart the host
                timeout: the SQLite file `/data/main.db` does not confirm a commit in time
                    Check the load and the health of its disk
                unavailable: no disk space is left for the SQLite file `/data/main.db`
                    Make room on the disk of `/data`, or enlarge it
                unavailable: the disk of the SQLite file `/data/main.db` does not confirm what is written: Input/output error (os error 5)
                    Check the health of the disk, and what the kernel's log says of it"#]],
        );
    }
}

//! What is wanted and what is recorded, into what is to be done next. Pure.

use plugin_api::{
    prelude::*,
    requests::sql::{Dialect, Migrate, Migration, Row},
};
use sha2::{Digest as _, Sha256};

use crate::errors::Trouble;

/// A version that is recorded.
#[derive(Debug, Clone)]
pub struct Applied {
    pub version: u32,
    pub name: String,
    pub checksum: String,
}

impl Applied {
    pub fn read(row: Row<'_>) -> Result<Self, OperationError> {
        Ok(Self { version: row.get("version")?, name: row.get("name")?, checksum: row.get("checksum")? })
    }
}

/// What is to be done next.
#[derive(Debug)]
pub enum Plan<'a> {
    Apply(&'a Migration),
    /// Nothing; this is the newest version that is recorded.
    UpToDate(u32),
}

/// Names a script's content, whatever whitespace is around it.
pub fn checksum(sql: &str) -> String {
    Sha256::digest(sql.trim()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Refuses a list that makes no sense by itself.
pub fn check(request: &Migrate) -> Result<(), OperationError> {
    let word = |sign: char| sign.is_ascii_alphanumeric() || sign == '_';
    if request.owner.is_empty() || !request.owner.chars().all(word) {
        return Err(OperationError::invalid(format!(
            "the owner `{}` is no plugin's name: letters, digits and `_`",
            request.owner
        )));
    }
    let mut before = 0;
    for migration in &request.migrations {
        if migration.version <= before {
            return Err(OperationError::invalid(format!(
                "version {} stands after version {before}: versions start at 1 and ascend",
                migration.version
            )));
        }
        before = migration.version;
    }
    Ok(())
}

/// What is to be done next, or how the list contradicts what is recorded.
pub fn next<'a>(request: &'a Migrate, records: &[Applied], dialect: Dialect) -> Result<Plan<'a>, Trouble> {
    let newest = records.last().map_or(0, |record| record.version);
    let newest_known = request.migrations.last().map_or(0, |migration| migration.version);
    for record in records {
        match request.migrations.iter().find(|migration| migration.version == record.version) {
            Some(migration) => unchanged(request, migration, record, dialect)?,
            // A newer build of the owner has been here: its versions are none of our business.
            None if record.version > newest_known => {}
            None => return Err(missing(request, record)),
        }
    }
    let recorded = |version| records.iter().any(|record| record.version == version);
    match request.migrations.iter().find(|migration| !recorded(migration.version)) {
        None => Ok(Plan::UpToDate(newest)),
        Some(migration) if migration.version < newest => Err(late(request, migration, newest)),
        Some(migration) => Ok(Plan::Apply(migration)),
    }
}

fn unchanged(
    request: &Migrate,
    migration: &Migration,
    record: &Applied,
    dialect: Dialect,
) -> Result<(), Trouble> {
    let given = checksum(migration.sql.of(dialect));
    if given == record.checksum {
        return Ok(());
    }
    let short = |checksum: &str| checksum.chars().take(12).collect::<String>();
    let error = OperationError::conflict(format!(
        "version {} (`{}`) of `{}` was applied with the checksum {}, but now has {}: leave it as it was, and add a \
         new version",
        record.version,
        record.name,
        request.owner,
        short(&record.checksum),
        short(&given)
    ));
    Err(Trouble::from(error)
        .detail("version", record.version)
        .detail("applied_checksum", record.checksum.clone())
        .detail("given_checksum", given))
}

fn missing(request: &Migrate, record: &Applied) -> Trouble {
    let Applied { version, name, .. } = record;
    let error = OperationError::conflict(format!(
        "version {version} (`{name}`) of `{}` was applied, but is not in the list any more: put it back",
        request.owner
    ));
    Trouble::from(error).detail("version", *version)
}

fn late(request: &Migrate, migration: &Migration, newest: u32) -> Trouble {
    let Migration { version, name, .. } = migration;
    let error = OperationError::conflict(format!(
        "version {version} (`{name}`) of `{}` is new, but version {newest} was applied already: give it a number above",
        request.owner
    ));
    Trouble::from(error).detail("version", *version)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn recorded(version: u32, sql: &str) -> Applied {
        Applied { version, name: "made".to_owned(), checksum: checksum(sql) }
    }

    fn check_next(records: &[Applied], expected: Expect) {
        let request = Migrate::new("people").version("one", "create 1").version("two", "create 2");
        let text = match next(&request, records, Dialect::Sqlite) {
            Ok(Plan::Apply(migration)) => format!("apply {}", migration.version),
            Ok(Plan::UpToDate(version)) => format!("up to date at {version}"),
            Err(trouble) => trouble.error.to_string(),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn goes_on_where_it_stands() {
        check_next(&[], expect!["apply 1"]);
        check_next(&[recorded(1, " create 1\n")], expect!["apply 2"]);
        check_next(&[recorded(1, "create 1"), recorded(2, "create 2")], expect!["up to date at 2"]);
    }

    #[test]
    fn a_newer_build_may_have_been_here() {
        let records = [recorded(1, "create 1"), recorded(2, "create 2"), recorded(3, "create 3")];
        check_next(&records, expect!["up to date at 3"]);
    }

    #[test]
    fn history_does_not_change() {
        check_next(
            &[recorded(1, "create 0")],
            expect![
                "conflict: version 1 (`made`) of `people` was applied with the checksum ff4c0ed644d5, but now has 04adc7f1b392: leave it as it was, and add a new version"
            ],
        );
        check_next(
            &[recorded(2, "create 2")],
            expect![
                "conflict: version 1 (`one`) of `people` is new, but version 2 was applied already: give it a number above"
            ],
        );
        let request =
            Migrate { owner: "people".to_owned(), migrations: Vec::new() }.version("one", "create 1");
        let sparse = Migrate {
            migrations: vec![Migration { version: 5, ..request.migrations[0].clone() }],
            ..request
        };
        let trouble =
            next(&sparse, &[recorded(1, "create 1")], Dialect::Sqlite).expect_err("version 1 is gone");
        expect!["conflict: version 1 (`made`) of `people` was applied, but is not in the list any more: put it back"]
            .assert_eq(&trouble.error.to_string());
    }

    #[test]
    fn a_list_must_make_sense() {
        let twice = |version| Migration {
            version,
            ..Migrate::new("x").version("one", "create").migrations[0].clone()
        };
        let request = Migrate { owner: "people".to_owned(), migrations: vec![twice(2), twice(2)] };
        let error = check(&request).expect_err("twice the same");
        expect!["invalid: version 2 stands after version 2: versions start at 1 and ascend"]
            .assert_eq(&error.to_string());
        let error = check(&Migrate::new("drop table")).expect_err("no name");
        expect!["invalid: the owner `drop table` is no plugin's name: letters, digits and `_`"]
            .assert_eq(&error.to_string());
    }
}

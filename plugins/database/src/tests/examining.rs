//! The doctor's row, the migrations, and the room that is left.

use plugin_api::requests::{
    doctor::{Check, Verdict},
    sql::{Dialect, Migrate},
};

use super::support::{Fixture, on_both};

on_both! {
    a_database_that_works_passes_and_keeps_nothing,
    a_database_that_cannot_be_written_fails,
}

fn named<'c>(checks: &'c [Check], name: &str) -> &'c Check {
    checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no `{name}` in {checks:?}"))
}

async fn a_database_that_works_passes_and_keeps_nothing(fixture: Fixture) {
    let people = Migrate::new("people").version("made", "create table people (id bigint primary key)");
    fixture.client.migrate(&people, None).await.expect("a good migration");
    for _ in 0..2 {
        let checks = fixture.client.examine(None).await;
        let failed =
            checks.iter().filter(|check| check.verdict != Verdict::Ok).map(|check| check.name.as_str());
        // The server of the tests runs without `fsync`, and is told so.
        let expected = if fixture.client.dialect() == Dialect::Sqlite { vec![] } else { vec!["durability"] };
        assert_eq!(failed.collect::<Vec<_>>(), expected, "{checks:?}");
        assert_eq!(named(&checks, "migrations").seen, "the tables stand at database 2, people 1");
        let room = if fixture.client.dialect() == Dialect::Sqlite { "disk" } else { "size" };
        named(&checks, room);
    }
    assert_eq!(fixture.count("database_doctor").await, 0);
}

/// Something else has the table's name: nothing can be written into it.
async fn a_database_that_cannot_be_written_fails(fixture: Fixture) {
    fixture.execute("drop table database_doctor").await;
    fixture.execute("create view database_doctor as select 1 as id").await;
    let checks = fixture.client.examine(None).await;
    let written = named(&checks, "write_and_read");
    assert_eq!(written.verdict, Verdict::Failed, "{checks:?}");
    assert!(written.fix.is_some());
}

//! migrate, on real tables.

use expect_test::expect;
use plugin_api::{
    requests::sql::{Dialect, Execute, Migrate},
    serde_json::Value as Json,
};

use super::support::{Fixture, on_both};

on_both! {
    versions_are_applied_once_and_in_order,
    owners_do_not_disturb_each_other,
    a_version_that_fails_leaves_nothing_of_itself,
    changed_history_is_refused,
    many_hosts_may_start_at_once,
    a_script_cannot_end_its_transaction,
}

fn people() -> Migrate {
    Migrate::new("people")
        .version("create", "create table people_names (id bigint primary key, name text); create index people_by_name on people_names (name);")
        .version_of(
            "note the time",
            "alter table people_names add column seen timestamp;",
            "alter table people_names add column seen timestamptz;",
        )
}

async fn versions_are_applied_once_and_in_order(fixture: Fixture) {
    let migrated = fixture.client.migrate(&people(), None).await.expect("a new database");
    assert_eq!((migrated.applied, migrated.version), (vec![1, 2], 2));
    let again = fixture.client.migrate(&people(), None).await.expect("nothing to do");
    assert_eq!((again.applied, again.version), (vec![], 2));
    let more = people().version("one more", "create table people_more (id bigint)");
    let migrated = fixture.client.migrate(&more, None).await.expect("one to do");
    assert_eq!((migrated.applied, migrated.version), (vec![3], 3));
    let old = fixture.client.migrate(&people(), None).await.expect("an older build");
    assert_eq!((old.applied, old.version), (vec![], 3));
    fixture
        .execute("insert into people_names (id, name, seen) values (1, 'ann', '2026-11-22 21:14:03Z')")
        .await;
    assert_eq!(fixture.count("database_migrations where owner = 'people'").await, 3);
}

async fn owners_do_not_disturb_each_other(fixture: Fixture) {
    let calendar = Migrate::new("calendar").version("create", "create table calendar_events (id bigint)");
    fixture.client.migrate(&people(), None).await.expect("people");
    let migrated = fixture.client.migrate(&calendar, None).await.expect("calendar");
    assert_eq!(migrated.applied, [1]);
}

async fn a_version_that_fails_leaves_nothing_of_itself(fixture: Fixture) {
    let bad = people()
        .version("half", "create table people_half (id bigint); create table people_names (id bigint)");
    let trouble = fixture.client.migrate(&bad, None).await.expect_err("the table is there already");
    let text = trouble.error.to_string();
    assert!(text.starts_with("invalid: version 3 (`half`) of `people`: "), "{text}");
    let details = trouble.error.details.expect("details");
    assert_eq!(details["version"], 3);
    assert!(
        details["database_message"].as_str().is_some_and(|text| text.contains("already exists")),
        "{details}"
    );
    assert_eq!(fixture.count("database_migrations where owner = 'people'").await, 2);
    fixture.execute("create table people_half (id bigint)").await;
}

async fn changed_history_is_refused(fixture: Fixture) {
    let first = Migrate::new("people").version("create", "create table people_a (id bigint)");
    let changed = Migrate::new("people").version("create", "create table people_b (id bigint)");
    fixture.client.migrate(&first, None).await.expect("a new database");
    let error = fixture.client.migrate(&changed, None).await.expect_err("it was another one").error;
    expect!["conflict: version 1 (`create`) of `people` was applied with the checksum 38270ce556a6, but now has d2836bee4499: leave it as it was, and add a new version"]
        .assert_eq(&error.to_string());
    let details = error.details.expect("details");
    assert_ne!(details["applied_checksum"], details["given_checksum"]);
}

async fn many_hosts_may_start_at_once(fixture: Fixture) {
    let hosts = futures_util::future::join_all((0..5).map(|_| fixture.another(Json::Null))).await;
    let migrate = people();
    let outcomes =
        futures_util::future::join_all(hosts.iter().map(|host| host.migrate(&migrate, None))).await;
    let mut applied: Vec<u32> = Vec::new();
    for outcome in outcomes {
        let migrated = outcome.expect("each host comes up");
        assert_eq!(migrated.version, 2);
        applied.extend(migrated.applied);
    }
    applied.sort_unstable();
    assert_eq!(applied, [1, 2]);
}

async fn a_script_cannot_end_its_transaction(fixture: Fixture) {
    let sneaky = Migrate::new("people").version("sneak", "create table people_x (id bigint); commit;");
    let error = fixture.client.migrate(&sneaky, None).await.expect_err("it commits").error;
    expect![
        "invalid: version 1 (`sneak`) contains `commit`: each version is a transaction of its own already"
    ]
    .assert_eq(&error.to_string());
    let trigger = Migrate::new("people").version_of(
        "trigger",
        "create table people_x (id bigint); create trigger people_t after insert on people_x begin select 1; end;",
        "create function people_f() returns int language plpgsql as $$ begin return 1; end $$;",
    );
    fixture.client.migrate(&trigger, None).await.expect("`begin` and `end` of a body are no transaction");
    if fixture.client.dialect() == Dialect::Sqlite {
        fixture
            .client
            .execute(Execute::new("insert into people_x values (1)"), None)
            .await
            .expect("the trigger works");
    }
}

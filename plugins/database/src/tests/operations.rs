//! query, execute, transaction and describe.

use expect_test::expect;
use plugin_api::requests::sql::{Dialect, Execute, Query, Rows, Statement, Transaction};

use super::support::{Fixture, on_both, on_postgres, on_sqlite, refusal};

on_both! {
    parameters_may_be_repeated_and_out_of_order,
    execute_counts_and_returns,
    the_time_is_the_databases,
    a_transaction_is_all_or_nothing,
    an_unexpected_number_of_rows_rolls_back,
    a_select_in_a_transaction_counts_its_rows,
    a_query_cannot_write,
    the_number_of_parameters_must_fit,
    one_statement_at_a_time_and_no_transaction_control,
    a_list_is_bound_as_json,
    many_at_once,
    a_null_takes_the_type_of_its_column,
}

async fn people(fixture: &Fixture) {
    fixture
        .execute("create table people (id bigint primary key, email text not null unique, age integer)")
        .await;
}

async fn parameters_may_be_repeated_and_out_of_order(fixture: Fixture) {
    let query = Query::new("select $2 as b, $1 as a, $2 as c, '$3' as d").bind("one").bind(2);
    let rows = fixture.client.query(&query, None).await.expect("a good query");
    expect![[r#"{"columns":["b","a","c","d"],"rows":[[2,"one",2,"$3"]],"truncated":false}"#]]
        .assert_eq(&plugin_api::serde_json::to_string(&rows).expect("JSON"));
}

async fn the_time_is_the_databases(fixture: Fixture) {
    let now = || plugin_api::jiff::Timestamp::now().as_millisecond();
    let rows = |rows: Rows| rows.first().expect("a row").get::<i64>("at").expect("a whole number");
    let before = now();
    let read = rows(fixture.query("select now_ms() as at").await);
    fixture.execute("create table leases (until_ms bigint)").await;
    let insert =
        Execute::new("insert into leases select now_ms() + $1 returning until_ms - $1 as at").bind(30_000);
    let written = rows(fixture.client.execute(insert, None).await.expect("a lease").returned);
    // A millisecond that has begun is not counted.
    assert!(before - 1 <= read && read <= written && written <= now(), "{before} {read} {written} {}", now());
    let judge =
        "select count(*) as at from leases where until_ms > now_ms() and until_ms <= now_ms() + 30000";
    assert_eq!(rows(fixture.query(judge).await), 1);
    let exact = match fixture.client.dialect() {
        Dialect::Sqlite => "unixepoch('subsec') * 1000",
        Dialect::Postgres => "extract(epoch from statement_timestamp()) * 1000",
    };
    for _ in 0..20 {
        let ahead = format!("select count(*) as at from leases where now_ms() > {exact}");
        assert_eq!(rows(fixture.query(&ahead).await), 0, "no moment that has not come");
    }
}

async fn execute_counts_and_returns(fixture: Fixture) {
    people(&fixture).await;
    let insert = Execute::new("insert into people values ($1, $2, $3), ($4, $5, $6) returning id")
        .bind(1)
        .bind("a@example.org")
        .bind(30)
        .bind(2)
        .bind("b@example.org")
        .bind(None::<i64>);
    let done = fixture.client.execute(insert, None).await.expect("two people");
    assert_eq!(done.rows_affected, 2);
    let ids: Vec<i64> = done.returned.iter().map(|row| row.get("id").expect("an id")).collect();
    assert_eq!(ids, [1, 2]);
    let with = "with old as (select id from people where age > 20) delete from people where id in (select id from old)";
    let done = fixture.client.execute(Execute::new(with), None).await.expect("one is older");
    assert_eq!((done.rows_affected, fixture.count("people").await), (1, 1));
    let done =
        fixture.client.execute(Execute::new("create table more (id bigint)"), None).await.expect("a table");
    assert_eq!(done.rows_affected, 0);
}

async fn a_transaction_is_all_or_nothing(fixture: Fixture) {
    people(&fixture).await;
    let insert =
        |id: i64, email: &str| Statement::new("insert into people values ($1, $2, 1)").bind(id).bind(email);
    let good = Transaction::default().then(insert(1, "a")).then(insert(2, "b"));
    let done = fixture.client.transaction(&good, None).await.expect("both are new");
    assert_eq!(done.results.iter().map(|done| done.rows_affected).sum::<u64>(), 2);

    let bad = Transaction::default().then(insert(3, "c")).then(insert(4, "a"));
    let trouble = fixture.client.transaction(&bad, None).await.expect_err("the second one is there already");
    expect!["conflict: statement 1: a constraint (unique) does not hold: `email` of table `people`"]
        .assert_eq(&trouble.error.to_string());
    let details = trouble.error.details.expect("details");
    assert_eq!(details["statement"], 1);
    assert_eq!(details["constraint"], "unique");
    assert_eq!(details["table"], "people");
    assert_eq!(details["columns"][0], "email");
    assert_eq!(fixture.count("people").await, 2);
}

async fn an_unexpected_number_of_rows_rolls_back(fixture: Fixture) {
    people(&fixture).await;
    let transaction = Transaction::default()
        .then(Statement::new("insert into people values (1, 'a', 1)").expect_rows(1))
        .then(Statement::new("update people set age = 2 where id = $1").bind(9).expect_rows(1));
    expect![[r#"
        conflict: statement 1: expected 1 rows, found 0: everything was rolled back
        {
          "actual_rows": 0,
          "expected_rows": 1,
          "statement": 1
        }"#]]
    .assert_eq(&refusal(fixture.client.transaction(&transaction, None).await));
    assert_eq!(fixture.count("people").await, 0);
}

async fn a_select_in_a_transaction_counts_its_rows(fixture: Fixture) {
    people(&fixture).await;
    let transaction = Transaction::default()
        .then(Statement::new("insert into people values (1, 'a', 1), (2, 'b', 1)").expect_rows(2))
        .then(Statement::new("select id from people where id = 1").expect_rows(1));
    let done = fixture.client.transaction(&transaction, None).await.expect("as expected");
    assert_eq!(done.results[1].returned.len(), 1);
}

async fn a_query_cannot_write(fixture: Fixture) {
    people(&fixture).await;
    let query = Query::new("insert into people values (1, 'a', 1) returning id");
    let trouble = fixture.client.query(&query, None).await.expect_err("it writes");
    expect!["invalid: `query` only reads: use `execute`, which also gives what `returning` returns"]
        .assert_eq(&trouble.error.to_string());
    assert_eq!(fixture.count("people").await, 0);
}

async fn the_number_of_parameters_must_fit(fixture: Fixture) {
    expect!["invalid: the statement has parameters up to `$2`, and the number of values given is 1"]
        .assert_eq(&refusal(fixture.client.query(&Query::new("select $1, $2").bind(1), None).await));
    expect!["invalid: the statement has no parameters, and the number of values given is 1"]
        .assert_eq(&refusal(fixture.client.query(&Query::new("select 1").bind(1), None).await));
}

async fn one_statement_at_a_time_and_no_transaction_control(fixture: Fixture) {
    expect![
        "invalid: one statement at a time, found 2: use `transaction`, or `migrate` for what creates tables"
    ]
    .assert_eq(&refusal(fixture.client.execute(Execute::new("select 1; commit"), None).await));
    expect!["invalid: `commit` cannot be used here: each request is a transaction of its own, on a connection that others use next"]
        .assert_eq(&refusal(fixture.client.execute(Execute::new("/* x */ COMMIT"), None).await));
    expect!["invalid: the SQL holds no statement"]
        .assert_eq(&refusal(fixture.client.execute(Execute::new(" -- nothing"), None).await));
}

async fn a_list_is_bound_as_json(fixture: Fixture) {
    people(&fixture).await;
    fixture.execute("insert into people values (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)").await;
    let sql = match fixture.client.dialect() {
        Dialect::Sqlite => {
            "select id from people where email in (select value from json_each($1)) order by id"
        }
        Dialect::Postgres => {
            "select id from people where email in (select jsonb_array_elements_text($1)) order by id"
        }
    };
    let query = Query::new(sql).bind(plugin_api::serde_json::json!(["a", "c", "z"]));
    assert_eq!(fixture.client.query(&query, None).await.expect("a list").len(), 2);
}

async fn many_at_once(fixture: Fixture) {
    fixture.execute("create table counter (n bigint)").await;
    fixture.execute("insert into counter values (0)").await;
    let adds = (0..50).map(|_| fixture.client.execute(Execute::new("update counter set n = n + 1"), None));
    let reads = (0..50).map(|_| async { Ok(fixture.query("select n from counter").await) });
    let (adds, reads) =
        plugin_api::tokio::join!(futures_util::future::join_all(adds), futures_util::future::join_all(reads));
    assert!(adds.iter().all(Result::is_ok), "{adds:?}");
    assert!(reads.iter().all(|read: &Result<_, ()>| read.is_ok()));
    let rows = fixture.query("select n from counter").await;
    assert_eq!(rows.first().expect("a row").get::<i64>("n").expect("a number"), 50);
}

async fn a_null_takes_the_type_of_its_column(fixture: Fixture) {
    people(&fixture).await;
    // The same text with another type: a statement kept prepared for the first one would misread the second.
    for age in [None, Some(7_i64), None] {
        let update =
            Execute::new("insert into people values (1, 'a', $1) on conflict (id) do update set age = $1");
        fixture.client.execute(update.bind(age), None).await.expect("null or number");
        let rows = fixture.query("select age from people").await;
        assert_eq!(rows.first().expect("a row").get::<Option<i64>>("age").expect("null or number"), age);
    }
}

#[test]
fn constraints_of_sqlite() {
    on_sqlite(constraints);
}

#[test]
fn constraints_of_postgres() {
    on_postgres(constraints);
}

async fn constraints(fixture: Fixture) {
    fixture
        .execute("create table a (id bigint primary key, n integer not null constraint small check (n < 9))")
        .await;
    fixture.execute("create table b (a bigint references a (id) deferrable initially deferred)").await;
    let expected = [
        (
            "insert into a values (1, null)",
            "conflict: a constraint (not null) does not hold: `n` of table `a`",
        ),
        ("insert into a values (1, 10)", "conflict: a constraint (check) does not hold: `small`"),
        (
            "insert into a values (1, 1), (1, 2)",
            "conflict: a constraint (unique) does not hold: `id` of table `a`",
        ),
        ("insert into b values (7)", "conflict: a constraint (foreign key) does not hold"),
    ];
    for (sql, text) in expected {
        let trouble = fixture.client.execute(Execute::new(sql), None).await.expect_err(sql);
        assert!(trouble.error.to_string().starts_with(text), "{}", trouble.error);
        assert!(!trouble.lost, "{sql}");
    }
    assert_eq!(fixture.count("b").await, 0);
}

#[test]
fn sqlite_explains_bad_sql() {
    on_sqlite(|fixture| async move {
        expect![[r#"
            invalid: SQLite refuses the statement: its own words are in `details.database_message`
            {
              "code": "1",
              "database_message": "no such table: nowhere"
            }"#]]
        .assert_eq(&refusal(fixture.client.query(&Query::new("select * from nowhere"), None).await));
        expect!["invalid: a parameter begins with `?`: write them as `$1`, `$2` …"]
            .assert_eq(&refusal(fixture.client.query(&Query::new("select ?").bind(1), None).await));
    });
}

#[test]
fn postgres_explains_bad_sql() {
    on_postgres(|fixture| async move {
        expect![[r#"
            invalid: PostgreSQL refuses the statement: its own words are in `details.database_message`
            {
              "code": "42P01",
              "database_message": "relation \"nowhere\" does not exist",
              "position": 15
            }"#]]
        .assert_eq(&refusal(fixture.client.query(&Query::new("select * from nowhere"), None).await));
        let untyped = Query::new("select jsonb_build_object('a', $1)").bind(None::<i64>);
        let trouble = fixture.client.query(&untyped, None).await.expect_err("no type");
        expect!["invalid: PostgreSQL cannot tell the type of a parameter that is null: write `cast($1 as text)` or the like"]
            .assert_eq(&trouble.error.to_string());
    });
}

#[test]
fn sqlite_describes_itself_and_searches_vectors() {
    on_sqlite(|fixture| async move {
        let description = fixture.client.describe(None).await.expect("a description");
        assert_eq!(description.dialect, Dialect::Sqlite);
        assert!(description.version.starts_with("3."), "{description:?}");
        let vector = description.vector.expect("sqlite-vec is built in");
        assert_eq!((vector.extension.as_str(), vector.version.as_str()), ("sqlite-vec", "0.1.9"));

        fixture.execute("create virtual table v using vec0(id integer primary key, e float[3] distance_metric=cosine)").await;
        for (id, vector) in [(1, "[1,0,0]"), (2, "[0,1,0]"), (3, "[0,0.9,0.1]")] {
            let insert = Execute::new("insert into v (id, e) values ($1, $2)").bind(id).bind(vector);
            fixture.client.execute(insert, None).await.expect("a vector");
        }
        let near =
            Query::new("select id from v where e match $1 and k = 2 order by distance").bind("[0,1,0]");
        let rows = fixture.client.query(&near, None).await.expect("neighbours");
        let ids: Vec<i64> = rows.iter().map(|row| row.get("id").expect("an id")).collect();
        assert_eq!(ids, [2, 3]);
    });
}

#[test]
fn postgres_describes_itself() {
    on_postgres(|fixture| async move {
        let description = fixture.client.describe(None).await.expect("a description");
        assert_eq!(description.dialect, Dialect::Postgres);
        assert!(description.version.starts_with(|sign: char| sign.is_ascii_digit()), "{description:?}");
        let available =
            fixture.query("select 1 from pg_available_extensions where name = 'vector'").await.len() == 1;
        assert_eq!(description.vector.map(|vector| vector.installed), available.then_some(false));
    });
}

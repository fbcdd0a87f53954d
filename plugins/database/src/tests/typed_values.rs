//! Values come back as they went in, through columns of the type that a portable table would have.

use expect_test::expect;
use plugin_api::{
    jiff::Timestamp,
    requests::sql::{Dialect, Execute, Query, Row, Value},
    serde_json::{self, Value as Json, json},
};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use super::support::{Fixture, on_both, on_postgres, on_sqlite, refusal};

on_both! {
    every_value_comes_back_from_its_column,
    any_value_comes_back,
    expressions_are_read_by_typed_access,
    moments_sort_as_text_and_as_moments,
}

async fn values_table(fixture: &Fixture) {
    let (float, bytes, moment, json) = match fixture.client.dialect() {
        Dialect::Sqlite => ("double precision", "blob", "timestamp", "text"),
        Dialect::Postgres => ("double precision", "bytea", "timestamptz", "jsonb"),
    };
    let columns = format!("b boolean, i bigint, f {float}, t text, y {bytes}, m {moment}, j {json}");
    fixture.execute(&format!("create table v (n bigint primary key, {columns})")).await;
}

/// Stores values in the columns of the table, and reads them again.
async fn round_trip(fixture: &Fixture, values: [Value; 7]) -> [Value; 7] {
    fixture.execute("delete from v").await;
    let mut insert = Execute::new("insert into v values (1, $1, $2, $3, $4, $5, $6, $7)");
    insert.params.extend(values);
    fixture.client.execute(insert, None).await.expect("values for their columns");
    let rows = fixture.query("select b, i, f, t, y, m, j from v").await;
    let row: Row<'_> = rows.first().expect("the row");
    let json = row.json::<Option<Json>>("j").expect("JSON").map_or(Value::Null, Value::Json);
    let [b, i, f, t, y, m] =
        ["b", "i", "f", "t", "y", "m"].map(|name| row.value(name).expect("a column").clone());
    [b, i, f, t, y, m, json]
}

fn moment(text: &str) -> Value {
    Value::Timestamp(text.parse().expect("a time"))
}

async fn every_value_comes_back_from_its_column(fixture: Fixture) {
    values_table(&fixture).await;
    let sets = [
        [
            Value::Bool(true),
            Value::Int(i64::MAX),
            Value::Float(0.1),
            Value::from("it's $1; \u{1f980}"),
            Value::Bytes((0..=255).collect()),
            moment("2026-11-22T21:14:03.000001Z"),
            Value::Json(json!({"a": [1, 0.1, null, "x", {"b": true}], "big": 9_007_199_254_740_993_i64})),
        ],
        [
            Value::Bool(false),
            Value::Int((1 << 53) + 1),
            Value::Float(f64::NEG_INFINITY),
            Value::from(""),
            Value::Bytes(Vec::new()),
            moment("1969-12-31T23:59:59.5Z"),
            Value::Json(json!("text")),
        ],
        [const { Value::Null }; 7],
    ];
    for values in sets {
        assert_eq!(round_trip(&fixture, values.clone()).await, values);
    }
}

async fn any_value_comes_back(fixture: Fixture) {
    values_table(&fixture).await;
    let values = (
        any::<bool>(),
        any::<i64>(),
        any::<f64>().prop_filter("SQLite has no NaN", |float| !float.is_nan()),
        "[^\0]*",
        any::<Vec<u8>>(),
        -60_000_000_000_000_000_i64..200_000_000_000_000_000,
        prop::collection::vec((any::<i64>(), "[^\0]*", -1e300_f64..1e300), 0..5),
    );
    let mut runner = TestRunner::default();
    for _ in 0..100 {
        let (b, i, f, t, y, m, j) = values.new_tree(&mut runner).expect("values").current();
        let f = if f == 0.0 { 0.0 } else { f };
        let m = Timestamp::from_microsecond(m).expect("a moment");
        let values = [b.into(), i.into(), f.into(), t.into(), y.into(), m.into(), Value::Json(json!(j))];
        let written = serde_json::to_string(&values).expect("JSON");
        let read: [Value; 7] = serde_json::from_str(&written).expect("what was written");
        assert_eq!(round_trip(&fixture, read).await, values);
    }
}

async fn expressions_are_read_by_typed_access(fixture: Fixture) {
    let now = Timestamp::from_microsecond(1_795_382_043_000_001).expect("a moment");
    let query = Query::new("select $1 as b, $2 as m, $3 as j, $4 as f")
        .bind(true)
        .bind(now)
        .bind(json!({"a": 1}))
        .bind(2.0);
    let rows = fixture.client.query(&query, None).await.expect("expressions");
    let row = rows.first().expect("a row");
    assert_eq!(row.get::<bool>("b"), Ok(true));
    assert_eq!(row.get::<Timestamp>("m"), Ok(now));
    assert_eq!(row.json::<Json>("j"), Ok(json!({"a": 1})));
    assert_eq!(row.get::<f64>("f"), Ok(2.0));
}

async fn moments_sort_as_text_and_as_moments(fixture: Fixture) {
    values_table(&fixture).await;
    for (n, text) in
        [(1, "2026-01-01T00:00:00.5Z"), (2, "2026-01-01T00:00:00Z"), (3, "2025-12-31T23:59:59.999Z")]
    {
        let insert = Execute::new("insert into v (n, m) values ($1, $2)").bind(n).bind(moment(text));
        fixture.client.execute(insert, None).await.expect("a moment");
    }
    let after = Query::new("select n from v where m >= $1 order by m").bind(moment("2026-01-01T00:00:00Z"));
    let rows = fixture.client.query(&after, None).await.expect("two of them");
    let order: Vec<i64> = rows.iter().map(|row| row.get("n").expect("a number")).collect();
    assert_eq!(order, [2, 1]);
}

#[test]
fn sqlite_refuses_what_it_would_lose() {
    on_sqlite(|fixture| async move {
        let query = Query::new("select $1 as f").bind(f64::NAN);
        expect!["invalid: parameter `$1` is `NaN`, which SQLite would store as null: store null, or text"]
            .assert_eq(&refusal(fixture.client.query(&query, None).await));
    });
}

#[test]
fn postgres_types_are_decoded_by_their_type() {
    on_postgres(|fixture| async move {
        let sql = "select 1::int2 as a, 2::int4 as b, 1.5::float4 as c, 'NaN'::float8 as d, 12345.6700::numeric as e,
            'x'::varchar(5) as f, 'y'::char(2) as g, '2026-11-22 21:14:03.5'::timestamp as h, '1999-12-31'::date as i,
            'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid as j, '{\"z\": 1}'::json as k, array['a', null, 'c'] as l,
            array[[1, 2], [3, 4]] as m, '{}'::text[] as n, -0.000123::numeric as o, 'NaN'::numeric as p";
        let rows = fixture.query(sql).await;
        expect![[r#"[1,2,{"$float":"1.5"},{"$float":"NaN"},"12345.6700","x","y ",{"$timestamp":"2026-11-22T21:14:03.5Z"},"1999-12-31","a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",{"$json":{"z":1}},{"$json":["a",null,"c"]},{"$json":[[1,2],[3,4]]},{"$json":[]},"-0.000123","NaN"]"#]]
            .assert_eq(&serde_json::to_string(&rows.rows[0]).expect("JSON"));
    });
}

#[test]
fn postgres_parameters_are_cast_by_the_statement() {
    on_postgres(|fixture| async move {
        fixture.execute("create table c (u uuid, n numeric, d date, s smallint)").await;
        let insert = Execute::new(
            "insert into c values (cast($1 as uuid), cast($2 as numeric), cast($3 as date), $4)",
        )
        .bind("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")
        .bind("0.10")
        .bind("2026-11-22")
        .bind(7);
        fixture.client.execute(insert, None).await.expect("casts");
        let rows = fixture.query("select u, n, d, s from c").await;
        expect![[r#"["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11","0.10","2026-11-22",7]"#]]
            .assert_eq(&serde_json::to_string(&rows.rows[0]).expect("JSON"));
    });
}

#[test]
fn postgres_types_that_are_not_known_name_the_cast() {
    on_postgres(|fixture| async move {
        let ask = |sql: &'static str| {
            let fixture = &fixture;
            async move { refusal(fixture.client.query(&Query::new(sql), None).await) }
        };
        expect![
            "invalid: column `way` has the type `point`, which cannot be passed on: write `cast(way as text)`"
        ]
        .assert_eq(&ask("select point(1, 2) as way").await);
        expect!["invalid: column `end` holds a `timestamptz` that cannot be passed on exactly: write `cast(end as text)`"]
            .assert_eq(&ask("select 'infinity'::timestamptz as end").await);
        let rows = fixture.query("select cast(point(1, 2) as text) as way").await;
        assert_eq!(rows.rows[0][0], Value::from("(1,2)"));
    });
}

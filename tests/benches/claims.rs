//! Row 10: what a due job costs three hosts on one PostgreSQL, from its claim to the record of its end, with a callee that
//! does nothing; beside three clients of plain sqlx that claim, begin and end rows of the same table by the same kind of
//! statements, and call nobody. A thousand microseconds are a thousand jobs a second.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, PgPool, Row as _, postgres::PgPoolOptions};
use switchboard_tests::{Setup, TestHost, partners::postgres::Postgres};
use tokio::runtime::Runtime;

use crate::{measure::by_turns, table::Row};

const JOBS: i64 = 3000;
const HOSTS: usize = 3;
/// How many jobs a host does at once, and a client claims at once.
const AT_ONCE: i64 = 64;

const PLUGINS: &str = r#"
    [plugins.database]
    calls = { concurrent = 200, queue = 500 }
    [plugins.orchestrator_service]
    library = "errand"
    calls = { concurrent = 200, queue = 500 }
    [plugins.orchestrator_service.settings]
    idle = true
    [plugins.scheduler_service.settings]
    poll = "50ms"
    concurrent = 64
"#;

const FILL: &str = "insert into TABLE
        (id, fingerprint, person, title, does, task, rule, zone, if_late, late_ms, state, fire_ms, due_ms, begun, cancel,
        attempts, doubt, created_ms)
    select n::text, '', '', '', 'run', '{\"goal\":\"nothing\"}', '{\"type\":\"once\",\"at_ms\":1}', 'UTC', '\"once\"',
        9000000000000, 'waiting', 1, 1, 0, 0, 0, 0, 0
    from generate_series(1, $1) as n";

const CLAIM: &str = "update bench_jobs set owner = $1, due_ms = 9000000000000, parked_for = null
    where id = any(array(select id from bench_jobs where due_ms <= 1 order by due_ms limit $2 for update skip locked))
    returning id, task, rule";
const BEGIN: &str = "update bench_jobs as j set begun = 1, attempts = j.attempts + 1
    from unnest($2::text[]) as x(job_id) where j.id = x.job_id and j.owner = $1 returning id";
const END: &str =
    "update bench_jobs as j set owner = null, begun = 0, state = 'done', fire_ms = null, due_ms = null,
        last_outcome = 'done', last_ms = 1, ended_ms = 1
    from unnest($2::text[]) as x(job_id) where j.id = x.job_id and j.owner = $1 returning id";

/// Needs PostgreSQL; without it there is nothing to measure.
pub fn jobs(rounds: usize) -> Vec<Row> {
    let Ok(postgres) = Postgres::start() else {
        eprintln!("row 10 needs PostgreSQL: left out");
        return Vec::new();
    };
    let runtime = Runtime::new().expect("a runtime can be made");
    let hosts: Vec<_> = (0..HOSTS).map(|_| start(&postgres)).collect();
    let pool = async { PgPoolOptions::new().max_connections(20).connect(&postgres.url()).await };
    let pool = runtime.block_on(pool).expect("PostgreSQL is there");
    run(&runtime, &pool, "create table bench_jobs (like scheduler_service_jobs including all)");
    // Each round takes seconds, not milliseconds.
    let rounds = rounds.min(5);
    let pair = by_turns(rounds, || by_hosts(&runtime, &pool), || by_clients(&runtime, &pool));
    drop(hosts);
    vec![Row::comparison(
        10,
        "job claimed, begun, called, ended on three hosts; three plain sqlx",
        "us",
        pair,
    )]
}

fn start(postgres: &Postgres) -> TestHost {
    let host = Setup::new(PLUGINS).env("DATABASE_URL", &postgres.url()).start();
    host.wait_for_status("scheduler_service", "connected");
    host
}

/// Microseconds for one job, when all are due at once.
fn by_hosts(runtime: &Runtime, pool: &PgPool) -> f64 {
    let begun = Instant::now();
    fill(runtime, pool, "scheduler_service_jobs");
    let left = "select count(*) as n from scheduler_service_jobs where ended_ms is null";
    runtime.block_on(async {
        loop {
            let row = sqlx::query(left).fetch_one(pool).await.expect("PostgreSQL answers");
            if row.get::<i64, _>("n") == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let took = begun.elapsed();
    run(runtime, pool, "delete from scheduler_service_jobs");
    micros(took)
}

fn by_clients(runtime: &Runtime, pool: &PgPool) -> f64 {
    let begun = Instant::now();
    fill(runtime, pool, "bench_jobs");
    runtime.block_on(async {
        let clients: Vec<_> = (0..HOSTS).map(|number| tokio::spawn(client(pool.clone(), number))).collect();
        let mut done = 0;
        for client in clients {
            done += client.await.expect("a client does not panic");
        }
        assert_eq!(done, JOBS as usize, "each is claimed once");
    });
    let took = begun.elapsed();
    run(runtime, pool, "delete from bench_jobs");
    micros(took)
}

/// How many it did.
async fn client(pool: PgPool, number: usize) -> usize {
    let owner = format!("client {number}");
    let mut done = 0;
    loop {
        let claimed =
            sqlx::query(CLAIM).bind(&owner).bind(AT_ONCE).fetch_all(&pool).await.expect("it claims");
        if claimed.is_empty() {
            return done;
        }
        let ids: Vec<String> = claimed.iter().map(|row| row.get("id")).collect();
        for step in [BEGIN, END] {
            let rows =
                sqlx::query(step).bind(&owner).bind(&ids).fetch_all(&pool).await.expect("it is its own");
            assert_eq!(rows.len(), ids.len());
        }
        done += ids.len();
    }
}

fn fill(runtime: &Runtime, pool: &PgPool, table: &str) {
    let fill = AssertSqlSafe(FILL.replace("TABLE", table));
    runtime.block_on(sqlx::query(fill).bind(JOBS).execute(pool)).expect("the table is filled");
}

fn run(runtime: &Runtime, pool: &PgPool, sql: &'static str) {
    runtime.block_on(sqlx::query(sql).execute(pool)).expect("the SQL of the benchmark is good");
}

fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6 / JOBS as f64
}

//! The reference of webhooks: an axum server whose one route inserts the body of the request into a table by sqlx, in a
//! process of its own, which ends with who started it. It checks no signature, and knows no person.

use std::{
    io::{self, BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    str::FromStr,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode, routing::post};
use sqlx::{
    PgPool, SqlitePool,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::net::TcpListener;

/// Where it takes what it inserts.
pub const PATH: &str = "/insert";
const TABLE: &str = "create table if not exists bench_reference (id bigint primary key, body text not null)";
const INSERT: &str = "insert into bench_reference (id, body) values ($1, $2)";

/// The server as who started it sees it.
pub struct Inserting {
    child: Child,
    address: String,
}

impl Inserting {
    /// Starts it on this database: `postgres://…`, or the path of an SQLite file.
    pub fn start(database: &str) -> Self {
        let this = std::env::current_exe().expect("a process knows its own file");
        let mut child = Command::new(this)
            .arg("--insert")
            .arg(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this very program can be started");
        let mut address = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut address).expect("it tells its address");
        Self { child, address: address.trim().to_owned() }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Inserting {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

enum Pool {
    Postgres(PgPool),
    Sqlite(SqlitePool),
}

/// Serves until standard input is closed. The runtime is built as the host's.
pub fn serve(database: &str) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    let database = database.to_owned();
    runtime.spawn(async move {
        let pool = Pool::open(&database).await.expect("the database can be reached");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        println!("{}", listener.local_addr().expect("it is bound"));
        let shared: &'static _ = Box::leak(Box::new((pool, AtomicI64::new(0))));
        let router = Router::new().route(PATH, post(insert)).with_state(shared);
        axum::serve(listener, router).await.expect("axum serves");
    });
    // Ends when the other process does, however that ends.
    let _ = io::stdin().read_to_end(&mut Vec::new());
    runtime.shutdown_background();
}

async fn insert(State((pool, next)): State<&'static (Pool, AtomicI64)>, body: String) -> StatusCode {
    let id = next.fetch_add(1, Ordering::Relaxed);
    let inserted = match pool {
        Pool::Postgres(pool) => sqlx::query(INSERT).bind(id).bind(body).execute(pool).await.map(drop),
        Pool::Sqlite(pool) => sqlx::query(INSERT).bind(id).bind(body).execute(pool).await.map(drop),
    };
    if inserted.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

impl Pool {
    /// It answers when a row is on the disk, as the database plugin does.
    async fn open(database: &str) -> Result<Self, sqlx::Error> {
        if database.starts_with("postgres://") {
            let pool = PgPoolOptions::new().max_connections(10).connect(database).await?;
            sqlx::query(TABLE).execute(&pool).await?;
            return Ok(Self::Postgres(pool));
        }
        let options = SqliteConnectOptions::from_str(database)?
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        sqlx::query(TABLE).execute(&pool).await?;
        Ok(Self::Sqlite(pool))
    }
}

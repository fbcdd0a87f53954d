//! What plugins.toml may say about the database.

use plugin_api::{prelude::*, settings::Span};

/// The settings of `database`.
#[plugin_api::settings]
pub struct Settings {
    /// `postgres://user:password@host:5432/database?sslmode=verify-full`, or `sqlite:PATH`. Absent: the SQLite file
    /// `switchboard.db` in the host's data folder.
    #[setting(env = "DATABASE_URL")]
    pub url: Option<Secret>,
    /// The most connections that are open at once; of SQLite the readers, beside its one writer.
    #[serde(default = "max_connections")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_connections: u32,
    /// Connections that are kept open even when nobody needs them.
    #[serde(default)]
    #[schemars(range(max = 1000))]
    pub min_connections: u32,
    /// How long to wait for a connection, newly opened or freed by others.
    #[serde(default = "connect_timeout")]
    pub connect_timeout: Span,
    /// How long the statements of one request may take together; a caller's own deadline ends them earlier.
    #[serde(default = "statement_timeout")]
    pub statement_timeout: Span,
    /// PostgreSQL is reached through pgbouncer or another pooler that shares connections by transaction.
    #[serde(default)]
    pub pgbouncer: bool,
    /// How many rows are returned for a request that sets no limit.
    #[serde(default = "row_limit")]
    #[schemars(range(min = 1))]
    pub row_limit: u32,
    /// How many bytes of values are returned for one request.
    #[serde(default = "result_bytes")]
    #[schemars(range(min = 1024))]
    pub result_bytes: usize,
}

fn max_connections() -> u32 {
    10
}

fn connect_timeout() -> Span {
    Span(Duration::from_secs(5))
}

fn statement_timeout() -> Span {
    Span(Duration::from_secs(30))
}

fn row_limit() -> u32 {
    1000
}

fn result_bytes() -> usize {
    8 << 20
}

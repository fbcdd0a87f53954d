//! The operations of `database`, the same on SQLite and on PostgreSQL.
//!
//! ```
//! use plugin_api::requests::sql::{Query, Statement, Transaction};
//!
//! let query = Query::new("select id, name from people where age > $1").bind(30).row_limit(10);
//! let transfer = Transaction::default()
//!     .then(Statement::new("update accounts set cents = cents - $1 where id = $2").bind(500).bind("ann").expect_rows(1))
//!     .then(Statement::new("update accounts set cents = cents + $1 where id = $2").bind(500).bind("bob").expect_rows(1));
//! ```
//!
//! # SQL that runs on both
//! Parameters are `$1`, `$2` …, each as often as wanted. Each has the type of its [`Value`]; where PostgreSQL
//! needs another one, the statement says so: `cast($1 as uuid)`. For a list, bind JSON and select from it.
//!
//! `now_ms()` is the database's time, in milliseconds since 1970: hosts whose clocks differ agree on it. It stays the same
//! within a statement. Leases are set and judged by it, see [`crate::lease`]. It is not for migrations.
//!
//! # Errors
//! | kind | when |
//! |---|---|
//! | `invalid` | the SQL or its parameters; `details.database_message` and `details.code` are the database's own words |
//! | `conflict` | a constraint (`details.constraint`: `unique`, `foreign_key`, `not_null`, `check`, `exclusion` or `other`; with `details.table`, `details.columns`, `details.name` where the database tells), or a number of rows that was not expected |
//! | `denied` | the database's user may not do this |
//! | `overloaded` | all connections are busy, or another transaction got in the way: nothing was changed |
//! | `unavailable` | the database does not answer, takes no writes, or has no room left: nothing was changed |
//! | `deadline` | the statement timeout or the caller's deadline passed: nothing was changed |
//! | `unknown_outcome` | the answer to a commit was lost: it may have taken effect |

mod reading;
mod rows;
mod value;

pub use reading::json;
pub use rows::{Row, Rows};
pub use value::Value;

use crate::{message, requests::Request};

/// The plugin that serves them.
pub const PLUGIN: &str = "database";

/// Reads rows, in a transaction that can only read.
#[message]
pub struct Query {
    /// One statement, with parameters `$1`, `$2` …
    pub sql: String,
    /// The values of `$1`, `$2` …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<Value>,
    /// At most so many rows are answered; what was left out is said by [`Rows::truncated`]. Without it the setting
    /// `row_limit` counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_limit: Option<u32>,
}

impl Query {
    /// A query without parameters so far.
    pub fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), params: Vec::new(), row_limit: None }
    }

    /// Gives the next parameter its value.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.params.push(value.into());
        self
    }

    /// Answers at most so many rows.
    pub fn row_limit(mut self, rows: u32) -> Self {
        self.row_limit = Some(rows);
        self
    }
}

impl Request for Query {
    const OPERATION: &'static str = "query";
    type Response = Rows;
}

/// Changes data by one statement, in a transaction of its own.
#[message]
pub struct Execute {
    /// One statement, with parameters `$1`, `$2` …
    pub sql: String,
    /// The values of `$1`, `$2` …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<Value>,
}

impl Execute {
    /// A statement without parameters so far.
    pub fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), params: Vec::new() }
    }

    /// Gives the next parameter its value.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.params.push(value.into());
        self
    }
}

impl Request for Execute {
    const OPERATION: &'static str = "execute";
    type Response = Executed;
}

/// What a statement did.
#[message]
#[derive(PartialEq)]
pub struct Executed {
    /// The rows that it inserted, updated or deleted; of a `select` those that it returned.
    pub rows_affected: u64,
    /// What it returned: of a `select`, or by `returning`. Never truncated: more rows than the setting `row_limit` are
    /// `invalid`, and nothing is changed.
    #[serde(default, skip_serializing_if = "Rows::is_empty")]
    pub returned: Rows,
}

/// One statement of a [`Transaction`].
#[message]
pub struct Statement {
    /// One statement, with parameters `$1`, `$2` …
    pub sql: String,
    /// The values of `$1`, `$2` …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<Value>,
    /// [`Executed::rows_affected`] must be this number, or the whole transaction is rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_rows: Option<u64>,
}

impl Statement {
    /// A statement without parameters so far, that may affect any number of rows.
    pub fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), params: Vec::new(), expect_rows: None }
    }

    /// Gives the next parameter its value.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.params.push(value.into());
        self
    }

    /// It must affect so many rows.
    pub fn expect_rows(mut self, rows: u64) -> Self {
        self.expect_rows = Some(rows);
        self
    }
}

/// Runs statements in order: all of them take effect, or none does.
///
/// An error that one statement caused carries its index, from 0, as `details.statement`. A number of rows that was not
/// expected is a `conflict` with `details.expected_rows` and `details.actual_rows`.
#[message]
#[derive(Default)]
pub struct Transaction {
    /// The statements.
    pub statements: Vec<Statement>,
}

impl Transaction {
    /// And then this one.
    pub fn then(mut self, statement: Statement) -> Self {
        self.statements.push(statement);
        self
    }
}

impl Request for Transaction {
    const OPERATION: &'static str = "transaction";
    type Response = Committed;
}

/// A transaction that took effect.
#[message]
#[derive(PartialEq)]
pub struct Committed {
    /// What each statement did, in their order.
    pub results: Vec<Executed>,
}

/// Brings the tables of an owner to their newest version: applies what is not recorded yet, each version with its
/// record in one transaction. Several hosts may do so at once.
///
/// An applied version is history: it stays in the list, its SQL does not change, and new versions come after it.
/// Anything else is a `conflict`.
#[message]
pub struct Migrate {
    /// Whose tables: the plugin's name, which is also the prefix of its tables. Letters, digits and `_`.
    pub owner: String,
    /// All versions there ever were, in ascending order.
    pub migrations: Vec<Migration>,
}

impl Migrate {
    /// No migrations so far.
    pub fn new(owner: impl Into<String>) -> Self {
        Self { owner: owner.into(), migrations: Vec::new() }
    }

    /// The next version, by the same SQL for both dialects.
    pub fn version(self, name: &str, sql: &str) -> Self {
        self.next(name, Script::Common(sql.to_owned()))
    }

    /// The next version, by different SQL for each dialect.
    pub fn version_of(self, name: &str, sqlite: &str, postgres: &str) -> Self {
        self.next(name, Script::PerDialect { sqlite: sqlite.to_owned(), postgres: postgres.to_owned() })
    }

    fn next(mut self, name: &str, sql: Script) -> Self {
        let version = self.migrations.last().map_or(1, |last| last.version + 1);
        self.migrations.push(Migration { version, name: name.to_owned(), sql });
        self
    }
}

impl Request for Migrate {
    const OPERATION: &'static str = "migrate";
    type Response = Migrated;
}

/// One version of an owner's tables.
#[message]
pub struct Migration {
    /// From 1 up.
    pub version: u32,
    /// What it does, in a few words.
    pub name: String,
    /// How.
    pub sql: Script,
}

/// Statements separated by `;`, without parameters and without `begin` and `commit`.
#[message]
#[serde(untagged)]
pub enum Script {
    /// The same for both dialects.
    Common(String),
    /// One for each.
    PerDialect {
        /// For SQLite.
        sqlite: String,
        /// For PostgreSQL.
        postgres: String,
    },
}

impl Script {
    /// The SQL for this dialect.
    pub fn of(&self, dialect: Dialect) -> &str {
        match (self, dialect) {
            (Self::Common(sql), _) => sql,
            (Self::PerDialect { sqlite, .. }, Dialect::Sqlite) => sqlite,
            (Self::PerDialect { postgres, .. }, Dialect::Postgres) => postgres,
        }
    }
}

/// The tables of the owner are up to date.
#[message]
#[derive(PartialEq, Eq)]
pub struct Migrated {
    /// The versions that this request applied; empty when another one had done it before.
    pub applied: Vec<u32>,
    /// The newest version that is applied; 0 if there is none.
    pub version: u32,
}

/// Asks what kind of database it is.
#[message]
#[derive(Default)]
pub struct Describe {}

impl Request for Describe {
    const OPERATION: &'static str = "describe";
    type Response = Description;
}

/// What kind of database it is.
#[message]
#[derive(PartialEq, Eq)]
pub struct Description {
    /// Which SQL it speaks.
    pub dialect: Dialect,
    /// The version of the server or library.
    pub version: String,
    /// How it stores and searches vectors, if it can.
    #[serde(default)]
    pub vector: Option<Vector>,
}

/// The two kinds of SQL.
#[message]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Dialect {
    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    /// What `now_ms()` stands for in a statement.
    pub fn now_ms(self) -> &'static str {
        match self {
            Self::Sqlite => "cast(unixepoch('subsec') * 1000 as integer)",
            // As stable as a parameter: an index can be used. A cast alone rounds, to a moment that has not come.
            Self::Postgres => "cast(floor(extract(epoch from statement_timestamp()) * 1000) as bigint)",
        }
    }

    /// The texts of the JSON list in this parameter, as a list to be `in`.
    pub fn texts(self, parameter: u8) -> String {
        match self {
            Self::Sqlite => format!("(select value from json_each(${parameter}))"),
            Self::Postgres => format!("(select jsonb_array_elements_text(${parameter}))"),
        }
    }
}

/// An extension for vectors.
#[message]
#[derive(PartialEq, Eq)]
pub struct Vector {
    /// `sqlite-vec` or `pgvector`.
    pub extension: String,
    /// Its version.
    pub version: String,
    /// Whether it can be used as it is; a pgvector that is not needs `create extension vector` once.
    pub installed: bool,
}

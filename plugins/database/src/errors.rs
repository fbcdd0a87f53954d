//! What the drivers say into what callers and dashboards are told. The words of the database itself go into
//! `details.database_message`, for a developer; the driver's own go to the log at debug level.

mod sqlite_codes;
pub mod outage;
mod postgres;
mod sqlite;

use plugin_api::{
    prelude::*,
    serde_json::{Map, Value as Json, json},
    tracing,
};
use sqlx::{
    postgres::{PgDatabaseError, PgSeverity},
    sqlite::SqliteError,
};

use crate::place::Place;

/// Why an operation failed: what its caller is told, and what it means for the database as a whole.
#[derive(Debug)]
pub struct Trouble {
    pub error: OperationError,
    /// Set if the database as a whole is not usable.
    pub outage: Option<Failure>,
    /// Whether the connection is in an unknown state, and must not serve anybody else.
    pub lost: bool,
    /// Whether the server takes no writes from this connection; another one may fare better.
    pub refuses_writes: bool,
}

impl Trouble {
    /// The time was up, and the statement was given up in the middle.
    pub fn deadline() -> Self {
        Self { lost: true, ..out_of_time().into() }
    }

    /// The database as a whole is not usable.
    pub fn outage(failure: Failure) -> Self {
        let error = OperationError::unavailable(failure.message.clone());
        Self { outage: Some(failure), lost: true, ..error.into() }
    }

    /// The database takes no writes from this connection.
    fn refused_writes(place: &Place) -> Self {
        Self { refuses_writes: true, ..Self::outage(outage::read_only(place)) }
    }

    /// The database as a whole is not usable, but this connection is in order.
    fn kept(self) -> Self {
        Self { lost: false, ..self }
    }

    /// Says of a write that the database could not take that it had no effect.
    pub fn nothing_changed(mut self) -> Self {
        if self.outage.is_some() && self.error.kind == ErrorKind::Unavailable {
            self.error.message.push_str("; nothing was changed");
        }
        self
    }

    /// The answer to a commit was lost.
    pub fn unknown_outcome(self) -> Self {
        let error = OperationError::unknown_outcome(
            "the answer to the commit was lost: it may have taken effect, so read before it is repeated",
        );
        Self { error, lost: true, ..self }
    }

    /// Says more about where it happened.
    pub fn in_context(mut self, context: &str) -> Self {
        self.error.message = format!("{context}: {}", self.error.message);
        self
    }

    /// Adds a detail to those that are there.
    pub fn detail(mut self, key: &str, value: impl Into<Json>) -> Self {
        let mut details = match self.error.details.take() {
            Some(Json::Object(details)) => details,
            _ => Map::new(),
        };
        details.insert(key.to_owned(), value.into());
        self.error.details = Some(Json::Object(details));
        self
    }
}

/// The request is at fault; the connection is not.
impl From<OperationError> for Trouble {
    fn from(error: OperationError) -> Self {
        Self { error, outage: None, lost: false, refuses_writes: false }
    }
}

/// What a driver says about a statement; `writing`: of a transaction that may write.
pub fn trouble(error: &sqlx::Error, place: &Place, writing: bool) -> Trouble {
    tracing::debug!(%error, "the driver reports an error");
    match error {
        sqlx::Error::Database(database) => {
            let database = database.as_ref();
            match (database.try_downcast_ref::<PgDatabaseError>(), database.try_downcast_ref::<SqliteError>())
            {
                (Some(error), _) => postgres::trouble(error, place, writing),
                (_, Some(error)) => sqlite::trouble(error, place, writing),
                _ => internal("the database answers by an error of an unknown kind"),
            }
        }
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            Trouble::outage(outage::lost(place))
        }
        sqlx::Error::TypeNotFound { type_name } => {
            OperationError::invalid(format!("the database knows no type `{type_name}`")).into()
        }
        _ => internal("the exchange with the database does not follow its protocol"),
    }
}

/// Whether the connection died, perhaps while it idled, so that a new one may be all it takes.
pub fn connection_died(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => {
            database.try_downcast_ref::<PgDatabaseError>().is_some_and(postgres::ends_the_connection)
        }
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            true
        }
        _ => false,
    }
}

/// Whether the database itself refused a commit, so that it surely did not take effect.
pub fn commit_refused(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(database) = error else { return false };
    match (database.try_downcast_ref::<PgDatabaseError>(), database.try_downcast_ref::<SqliteError>()) {
        (Some(error), _) => error.severity() == PgSeverity::Error,
        (_, Some(error)) => sqlite_codes::leaves_no_commit(error),
        _ => false,
    }
}

fn internal(message: &str) -> Trouble {
    Trouble { lost: true, ..OperationError::internal(message).into() }
}

/// What of a database's own words a developer is shown.
struct Words<'a> {
    message: &'a str,
    code: &'a str,
}

impl Words<'_> {
    fn details(&self) -> Json {
        json!({ "database_message": self.message, "code": self.code })
    }
}

/// A violated constraint, as far as the database tells which.
#[derive(Default)]
struct Constraint {
    kind: &'static str,
    name: Option<String>,
    table: Option<String>,
    columns: Vec<String>,
}

impl Constraint {
    fn trouble(self, words: &Words<'_>) -> Trouble {
        let kind = self.kind.replace('_', " ");
        let columns = self.columns.join("`, `");
        let place = match (&self.table, &self.name) {
            (Some(table), _) if !columns.is_empty() => format!(": `{columns}` of table `{table}`"),
            (Some(table), Some(name)) => format!(": `{name}` of table `{table}`"),
            (Some(table), None) => format!(" in table `{table}`"),
            (None, Some(name)) => format!(": `{name}`"),
            (None, None) => String::new(),
        };
        let error = OperationError::conflict(format!("a constraint ({kind}) does not hold{place}"));
        let mut trouble = Trouble::from(error.details(words.details())).detail("constraint", self.kind);
        for (key, value) in [("table", self.table), ("name", self.name)] {
            if let Some(value) = value {
                trouble = trouble.detail(key, value);
            }
        }
        if self.columns.is_empty() { trouble } else { trouble.detail("columns", self.columns) }
    }
}

fn out_of_time() -> OperationError {
    OperationError::deadline("the statement took too long and was ended: nothing was changed")
}

fn in_the_way() -> OperationError {
    OperationError::overloaded("another transaction got in the way: nothing was changed, try again")
}

/// The statement itself is refused.
fn refused(by: &str, words: &Words<'_>) -> OperationError {
    OperationError::invalid(format!(
        "{by} refuses the statement: its own words are in `details.database_message`"
    ))
    .details(words.details())
}

fn only_reads(words: &Words<'_>) -> OperationError {
    OperationError::invalid("`query` only reads: use `execute`, which also gives what `returning` returns")
        .details(words.details())
}

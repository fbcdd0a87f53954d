//! What a PostgreSQL server says of itself: whether it is a standby, and whether it is set read-only, and where.

use plugin_api::error::Failure;
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _, raw_sql};

use crate::{errors::outage, place::Place};

/// The last one looks for a flag that counts for new connections only.
const ASK: &str = "select pg_is_in_recovery(), current_setting('transaction_read_only') = 'on',
    exists (
        select 1 from pg_db_role_setting, unnest(setconfig) as entry
        where setdatabase in (0, (select oid from pg_database where datname = current_database()))
            and entry like 'default_transaction_read_only=%'
    )";
const ASK_WHERE: &str = "select source from pg_settings where name = 'default_transaction_read_only'";

/// What a connection finds.
#[derive(Debug, Clone, Copy)]
pub struct Server {
    standby: bool,
    read_only: bool,
    flagged: bool,
}

impl Server {
    /// Asks by what a pooler passes on, too.
    pub async fn ask(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let row = connection.fetch_one(raw_sql(ASK)).await?;
        Ok(Self { standby: row.try_get(0)?, read_only: row.try_get(1)?, flagged: row.try_get(2)? })
    }

    /// Whether this connection may write.
    pub fn takes_writes(self) -> bool {
        !self.standby && !self.read_only
    }

    /// Whether a new connection may find something else.
    pub fn may_have_changed(self) -> bool {
        self.flagged || !self.takes_writes()
    }

    /// Why it takes no writes.
    pub async fn explain(self, connection: &mut PgConnection, place: &Place) -> Failure {
        if self.standby {
            return outage::standby(place);
        }
        let source = connection.fetch_one(raw_sql(ASK_WHERE)).await.and_then(|row| row.try_get(0));
        outage::set_read_only(place, &source.unwrap_or_else(|_| String::new()))
    }

    /// Ends a connection that was made to ask.
    pub async fn take_leave(connection: PgConnection) {
        // It has answered already.
        let _ = connection.close().await;
    }
}

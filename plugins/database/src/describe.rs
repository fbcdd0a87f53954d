//! The operation `describe`: which dialect and version it is, and what it can do with vectors.

use std::time::Duration;

use plugin_api::{
    prelude::*,
    requests::sql::{Description, Dialect, Query, Vector},
};

use crate::{client::Client, errors::Trouble};

const SQLITE: &str = "select sqlite_version() as version, vec_version() as vector";
const POSTGRES: &str = "select current_setting('server_version') as version, default_version as available,
        installed_version as vector
    from (values (1)) as one left join pg_available_extensions on name = 'vector'";

impl Client {
    /// What kind of database it is.
    pub async fn describe(&self, caller: Option<Duration>) -> Result<Description, Trouble> {
        let dialect = self.dialect();
        let sql = match dialect {
            Dialect::Sqlite => SQLITE,
            Dialect::Postgres => POSTGRES,
        };
        let rows = self.query(&Query::new(sql), caller).await?;
        let row =
            rows.first().ok_or_else(|| OperationError::internal("the database does not tell its version"))?;
        let installed: Option<String> = row.get("vector")?;
        let vector = match dialect {
            Dialect::Sqlite => installed.map(|version| vector("sqlite-vec", &version, true)),
            Dialect::Postgres => match installed {
                Some(version) => Some(vector("pgvector", &version, true)),
                None => {
                    row.get::<Option<String>>("available")?.map(|version| vector("pgvector", &version, false))
                }
            },
        };
        Ok(Description { dialect, version: row.get("version")?, vector })
    }
}

fn vector(extension: &str, version: &str, installed: bool) -> Vector {
    let version = version.trim_start_matches('v').to_owned();
    Vector { extension: extension.to_owned(), version, installed }
}

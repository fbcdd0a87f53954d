//! The operation `doctor`: a row written and read back, the migrations, and the room that is left -> a check each. It
//! leaves an empty table of its own behind.

use std::time::Duration;

use plugin_api::{
    error::OperationError,
    jiff::Timestamp,
    requests::{
        doctor::{Check, Verdict},
        sql::{Dialect, Execute, Migrate, Query},
    },
};

use crate::{client::Client, errors::Trouble};

const TABLE: &str = "create table database_doctor (id text primary key, written_at text not null)";
const WRITE: &str = "insert into database_doctor (id, written_at) values ($1, $2)";
const READ: &str = "select written_at from database_doctor where id = $1";
const REMOVE: &str = "delete from database_doctor where id = $1";
const MIGRATIONS: &str =
    "select owner, max(version) as version from database_migrations group by owner order by owner";
const SIZE: &str = "select pg_database_size(current_database()) as bytes";

impl Client {
    /// Looks at all of it.
    pub async fn examine(&self, caller: Option<Duration>) -> Vec<Check> {
        let written = Check::of_call("write_and_read", self.write_and_read(caller).await.map_err(error));
        let written = match self.dialect() {
            Dialect::Postgres => {
                mended(written, "let the user of `DATABASE_URL` create tables and write in its schema")
            }
            Dialect::Sqlite => mended(written, "let the user of this process write the file and its folder"),
        };
        let migrations = Check::of_call("migrations", self.migrations(caller).await.map_err(error));
        vec![written, migrations, self.room(caller).await]
    }

    /// Written in one transaction, read in another, and removed in a third.
    async fn write_and_read(&self, caller: Option<Duration>) -> Result<String, Trouble> {
        self.migrate(&Migrate::new("database").version("doctor", TABLE), caller).await?;
        let now = Timestamp::now();
        let id = format!("{}-{}", std::process::id(), now.as_nanosecond());
        let write = Execute::new(WRITE).bind(id.as_str()).bind(now.to_string());
        self.execute(write, caller).await?;
        let read = self.query(&Query::new(READ).bind(id.as_str()), caller).await;
        self.execute(Execute::new(REMOVE).bind(id.as_str()), caller).await?;
        let found: Option<String> = read?.first().map(|row| row.get("written_at")).transpose()?;
        if found != Some(now.to_string()) {
            return Err(OperationError::internal("what was written was not read back").into());
        }
        Ok(format!("{} took a row and gave it back", self.place))
    }

    async fn migrations(&self, caller: Option<Duration>) -> Result<String, Trouble> {
        let rows = self.query(&Query::new(MIGRATIONS), caller).await?;
        let owners = rows.iter().map(|row| {
            let (owner, version): (String, i64) = (row.get("owner")?, row.get("version")?);
            Ok(format!("{owner} {version}"))
        });
        let owners: Vec<String> = owners.collect::<Result<_, Trouble>>()?;
        Ok(format!("the tables stand at {}", owners.join(", ")))
    }

    /// Of a server, only the size of the database can be seen from here.
    async fn room(&self, caller: Option<Duration>) -> Check {
        if let Some(file) = self.file() {
            return Check::disk("disk", file.parent().unwrap_or(file));
        }
        let size = async {
            let rows = self.query(&Query::new(SIZE), caller).await?;
            let bytes: Option<i64> = rows.first().map(|row| row.get("bytes")).transpose()?;
            let mib = bytes.unwrap_or_default() / (1024 * 1024);
            Ok(format!("the database has {mib} MiB; the room on its server is not seen from here"))
        };
        Check::of_call("size", size.await.map_err(error))
    }
}

fn error(trouble: Trouble) -> OperationError {
    trouble.error
}

fn mended(check: Check, fix: &str) -> Check {
    if check.verdict == Verdict::Failed { check.fix(fix) } else { check }
}

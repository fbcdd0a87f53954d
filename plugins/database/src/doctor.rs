//! The operation `doctor`: a row written and read back, the migrations, the room that is left, and of a server whether
//! it is set to keep what it confirms -> a check each. It
//! leaves an empty table of its own behind.

use std::time::Duration;

use plugin_api::{
    error::{ErrorKind, OperationError},
    jiff::Timestamp,
    requests::{
        doctor::Check,
        sql::{Execute, Query},
    },
};

use crate::{
    client::Client,
    errors::{Trouble, outage::GRANT},
    writes::own_tables,
};

const WRITE: &str = "insert into database_doctor (id, written_at) values ($1, $2)";
const READ: &str = "select written_at from database_doctor where id = $1";
const REMOVE: &str = "delete from database_doctor where id = $1";
const MIGRATIONS: &str =
    "select owner, max(version) as version from database_migrations group by owner order by owner";
const UNSAFE: &str = "select name from pg_settings where name in ('fsync', 'full_page_writes') and setting = 'off' order by name";
const SIZE: &str = "select pg_database_size(current_database()) as bytes";

impl Client {
    /// Looks at all of it.
    pub async fn examine(&self, caller: Option<Duration>) -> Vec<Check> {
        let written = check("write_and_read", self.write_and_read(caller).await);
        let migrations = check("migrations", self.migrations(caller).await);
        let mut checks = vec![written, migrations, self.room(caller).await];
        checks.extend(self.durability(caller).await);
        checks
    }

    /// Written in one transaction, read in another, and removed in a third.
    async fn write_and_read(&self, caller: Option<Duration>) -> Result<String, Trouble> {
        self.migrate(&own_tables(), caller).await?;
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

    /// Of a server: whether what it confirms survives a loss of power.
    async fn durability(&self, caller: Option<Duration>) -> Option<Check> {
        if self.file().is_some() {
            return None;
        }
        let unsafe_settings = async {
            let rows = self.query(&Query::new(UNSAFE), caller).await?;
            let off = rows.iter().map(|row| row.get("name")).collect::<Result<Vec<String>, _>>()?;
            Ok(match off.is_empty() {
                true => Ok("a commit that it confirms is on its disk".to_owned()),
                false => Err(off.join(" and ")),
            })
        };
        Some(match unsafe_settings.await {
            Ok(Err(off)) => Check::failed(
                "durability",
                format!("the server runs with {off} off: a power failure may lose data"),
            )
            .fix(format!("switch {off} on in postgresql.conf, and reload it")),
            Ok(Ok(seen)) => Check::ok("durability", seen),
            Err(trouble) => check("durability", Err(trouble)),
        })
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
        check("size", size.await)
    }
}

/// What is known of the database as a whole has its own advice; else the kind of the error has.
fn check(name: &str, outcome: Result<String, Trouble>) -> Check {
    let Trouble { error, outage, .. } = match outcome {
        Ok(seen) => return Check::ok(name, seen),
        Err(trouble) => trouble,
    };
    match outage {
        Some(failure) => Check::of(name, Err(failure)),
        None => Check::failed(name, error.message).fix(advice(error.kind)),
    }
}

fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Denied => GRANT,
        ErrorKind::Overloaded | ErrorKind::Deadline => "ask again when the database is less busy",
        ErrorKind::UnknownOutcome => "ask again: the answer to a commit was lost",
        _ => {
            "drop what else has the names `database_doctor`, `database_writes` and `database_migrations`, which are the \
              tables of this plugin"
        }
    }
}

//! What must last, in the database: the grant, sealed; consents under way; how far each reader has read. Nothing secret
//! lies there in the clear, and every host on the same database sees the same.

use plugin_api::{
    lease,
    prelude::*,
    process::Leases,
    requests::sql::{Execute, Migrate, Query, Statement},
    tables::Tables,
};

/// How long a host may take for one refresh before another takes over.
const LEASE: Duration = Duration::from_secs(20);
/// Consents that ended are remembered this long, so that a page can say what happened.
const MEMORY: Duration = Duration::from_secs(24 * 3600);

/// Moments are milliseconds since 1970: whole numbers are the same on every database.
const TABLES: &str = "
    create table google_calendar_key (
        id bigint primary key,
        fingerprint text not null
    );
    create table google_calendar_grants (
        id bigint primary key,
        version bigint not null,
        ended bigint not null,
        sealed text not null,
        lease text,
        lease_until bigint
    );
    create table google_calendar_consents (
        state text primary key,
        browser text not null,
        sealed text not null,
        back_to text not null,
        expires_at bigint not null,
        used_at bigint
    );
    create table google_calendar_cursors (
        calendar text not null,
        reader text not null,
        cursor text not null,
        primary key (calendar, reader)
    )";

/// The tables.
#[derive(Clone)]
pub struct Store {
    tables: Arc<Tables>,
}

/// The grant as it lies there.
#[plugin_api::row]
#[derive(PartialEq, Eq)]
pub struct StoredGrant {
    /// Counts up with every change.
    pub version: i64,
    /// Google does not honour it any more.
    pub ended: bool,
    pub sealed: String,
}

/// A consent under way.
#[plugin_api::row]
#[derive(PartialEq, Eq)]
pub struct Consent {
    /// The hash of `state`.
    pub state: String,
    /// The hash of the browser's cookie.
    pub browser: String,
    pub sealed: String,
    pub back_to: String,
}

/// What became of a `state` that came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is this browser's, in time, and for the first time.
    Good(Consent),
    Unknown,
    OtherBrowser,
    Used,
    Expired,
}

impl Store {
    pub fn new(context: Context) -> Self {
        let versions = Migrate::new("google_calendar").version("grants and consents", TABLES);
        let leases = Leases { table: "google_calendar_grants", owner: "lease", until: "lease_until" };
        let tables = Tables::new(context, versions, "the grant cannot be kept").leases(leases, "ended = 0");
        Self { tables: Arc::new(tables) }
    }

    /// Brings the tables to their newest version.
    pub async fn migrate(&self) -> Result<(), OperationError> {
        self.tables.migrate().await
    }

    /// The fingerprint of the secret key under which everything here is sealed: ours, if there is none yet.
    pub async fn key_fingerprint(&self, ours: &str) -> Result<String, OperationError> {
        let select = "select fingerprint from google_calendar_key where id = 1";
        if let Some(known) = self.tables.query(Query::new(select)).await?.read_first()? {
            return Ok(known);
        }
        let insert =
            "insert into google_calendar_key (id, fingerprint) values (1, $1) on conflict (id) do nothing";
        self.tables.execute(Execute::new(insert).bind(ours)).await?;
        let known = self.tables.query(Query::new(select)).await?.read_first()?;
        known.ok_or_else(|| OperationError::conflict("the key's fingerprint was just removed"))
    }

    /// The grant, if there is one.
    pub async fn grant(&self) -> Result<Option<StoredGrant>, OperationError> {
        let sql = "select version, ended, sealed from google_calendar_grants where id = 1";
        self.tables.query(Query::new(sql)).await?.read_first()
    }

    /// Puts a new grant in the place of any other; answers its version.
    pub async fn put_grant(&self, sealed: &str) -> Result<i64, OperationError> {
        let sql = "insert into google_calendar_grants (id, version, ended, sealed) values (1, 1, 0, $1)
            on conflict (id) do update set version = google_calendar_grants.version + 1, ended = 0,
                sealed = excluded.sealed, lease = null, lease_until = null
            returning version";
        let put = Statement::new(sql).bind(sealed);
        // Another account's calendars have other cursors.
        let forget = Statement::new("delete from google_calendar_cursors");
        let put = self.tables.transaction(vec![put, forget]).await?.swap_remove(0);
        put.returned.read_one()
    }

    /// Asks to be the one host that refreshes this version. `false`: another one is at it, or has done it.
    pub async fn lease(&self, version: i64, holder: &str) -> Result<bool, OperationError> {
        let sql = format!(
            "update google_calendar_grants set lease = $1, lease_until = now_ms() + $2
            where id = 1 and version = $3 and (lease is null or lease = $1 or {})",
            lease::is_over("lease_until", LEASE)
        );
        let claim = Execute::new(sql).bind(holder).bind(lease::millis(LEASE)).bind(version);
        Ok(self.tables.execute(claim).await?.rows_affected == 1)
    }

    /// Puts a renewed grant in the place of exactly this version. `false`: it is another one by now.
    pub async fn renew(&self, version: i64, sealed: &str) -> Result<bool, OperationError> {
        let sql = "update google_calendar_grants set version = version + 1, sealed = $1, lease = null,
            lease_until = null where id = 1 and version = $2";
        Ok(self.tables.execute(Execute::new(sql).bind(sealed).bind(version)).await?.rows_affected == 1)
    }

    /// Lets another host try to refresh.
    pub async fn release(&self, version: i64, holder: &str) -> Result<(), OperationError> {
        let sql = "update google_calendar_grants set lease = null, lease_until = null
            where id = 1 and version = $1 and lease = $2";
        self.tables.execute(Execute::new(sql).bind(version).bind(holder)).await.map(drop)
    }

    /// Google does not honour this version any more. `false`: it is another one by now.
    pub async fn end(&self, version: i64) -> Result<bool, OperationError> {
        let sql = "update google_calendar_grants set ended = 1, lease = null, lease_until = null
            where id = 1 and version = $1";
        Ok(self.tables.execute(Execute::new(sql).bind(version)).await?.rows_affected == 1)
    }

    /// Forgets everything, the key's fingerprint included.
    pub async fn forget(&self) -> Result<(), OperationError> {
        let tables = ["grants", "consents", "cursors", "key"];
        let statements = tables.map(|table| Statement::new(format!("delete from google_calendar_{table}")));
        self.tables.transaction(statements.to_vec()).await.map(drop)
    }

    /// Remembers a consent under way, which may take so long, and forgets old ones.
    pub async fn begin(&self, consent: &Consent, lifetime: Duration) -> Result<(), OperationError> {
        let forget = "delete from google_calendar_consents where expires_at < now_ms() - $1";
        let insert = "insert into google_calendar_consents (state, browser, sealed, back_to, expires_at)
            values ($1, $2, $3, $4, now_ms() + $5)";
        let insert = Statement::new(insert)
            .bind(consent.state.as_str())
            .bind(consent.browser.as_str())
            .bind(consent.sealed.as_str())
            .bind(consent.back_to.as_str())
            .bind(lease::millis(lifetime));
        let forget = Statement::new(forget).bind(lease::millis(MEMORY));
        self.tables.transaction(vec![forget, insert]).await.map(drop)
    }

    /// Takes a consent, once. Only the browser that began it can use it up.
    pub async fn claim(&self, state: &str, browser: &str) -> Result<Claim, OperationError> {
        let sql = "update google_calendar_consents set used_at = now_ms()
            where state = $1 and browser = $2 and used_at is null and expires_at > now_ms()";
        let claim = Execute::new(sql).bind(state).bind(browser);
        let won = self.tables.execute(claim).await?.rows_affected == 1;
        let sql = "select state, browser, sealed, back_to, used_at from google_calendar_consents
            where state = $1";
        let rows = self.tables.query(Query::new(sql).bind(state)).await?;
        let Some(row) = rows.first() else { return Ok(Claim::Unknown) };
        if won {
            return row.read().map(Claim::Good);
        }
        Ok(match (row.get::<String>("browser")? == browser, row.get::<Option<i64>>("used_at")?) {
            (false, _) => Claim::OtherBrowser,
            (true, Some(_)) => Claim::Used,
            (true, None) => Claim::Expired,
        })
    }

    /// How far a reader has read.
    pub async fn cursor(&self, calendar: &str, reader: &str) -> Result<Option<String>, OperationError> {
        let sql = "select cursor from google_calendar_cursors where calendar = $1 and reader = $2";
        self.tables.query(Query::new(sql).bind(calendar).bind(reader)).await?.read_first()
    }

    /// Remembers how far a reader has read.
    pub async fn put_cursor(&self, calendar: &str, reader: &str, cursor: &str) -> Result<(), OperationError> {
        let sql = "insert into google_calendar_cursors (calendar, reader, cursor) values ($1, $2, $3)
            on conflict (calendar, reader) do update set cursor = excluded.cursor";
        self.tables.execute(Execute::new(sql).bind(calendar).bind(reader).bind(cursor)).await.map(drop)
    }
}

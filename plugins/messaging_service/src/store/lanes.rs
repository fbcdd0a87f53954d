//! Who is at work on whose messages: taken by a lease, let go with the moment of the next work. Leases and moments are those
//! of the database's clock; a lane that this host is at work on is not taken by it again, whatever that clock says.

use std::{
    sync::{Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use plugin_api::{
    error::{ErrorKind, OperationError},
    lease::{self, AtWork, NEVER},
    requests::sql::{Dialect, Execute, Query, Row, Statement, Value},
    serde_json::json,
};

use super::{LEASE, LONGEST_WAIT, Outcome, Store};

/// Which messages of a person.
#[plugin_api::row]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    In,
    Out,
}

impl Direction {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }

    /// The name of the lane of a person.
    pub fn of(self, person: &str) -> String {
        format!("{}:{person}", self.as_str())
    }
}

/// A call may take almost as long as this.
const LEAST_LEFT: Duration = Duration::from_secs(22);

/// A lane, and the name of its claim.
pub(super) type Claim = (String, String);

/// A lane that is ours for now.
#[derive(Debug)]
pub struct Lane {
    pub person: String,
    pub direction: Direction,
    /// The name of this claim.
    owner: String,
    /// What had been put into it when it was taken.
    wanted: i64,
    /// Until when it is ours.
    until: Mutex<Instant>,
    at_work: AtWork<Claim>,
}

impl Store {
    /// Takes lanes that are due and nobody's, those first that wait longest.
    pub async fn claim(&self, most: usize) -> Outcome<Vec<Lane>> {
        let dialect = self.tables.dialect().await?;
        // Mostly there is nothing: that is learned without writing.
        let due = format!(
            "select now_ms() as now_ms, case when exists
                (select 1 from messaging_service_lanes where {} and lane not in {}) then 1 else 0 end as is_any",
            is_free(),
            dialect.texts(1)
        );
        let due = self.query(Query::new(due).bind(self.working())).await?;
        if let Some(row) = due.first() {
            self.tables.set_clock(row)?;
            if !row.get::<bool>("is_any")? {
                return Ok(Vec::new());
            }
        }
        let skip = if dialect == Dialect::Postgres { "for update skip locked" } else { "" };
        let claim = format!(
            "update messaging_service_lanes set owner = $1, lease_ms = now_ms() + $2
            where lane in (
                select lane from messaging_service_lanes where {} and lane not in {}
                order by due_ms limit $3 {skip})
            returning person, direction, wanted",
            is_free(),
            dialect.texts(4)
        );
        let owner = self.claim_name();
        let claim = Execute::new(claim).bind(&owner).bind(lease::millis(LEASE)).bind(count(most));
        self.take(claim.bind(self.working()), &owner).await
    }

    /// Takes this lane, if it is due and nobody's.
    pub async fn claim_of(&self, direction: Direction, person: &str) -> Outcome<Option<Lane>> {
        let claim = format!(
            "update messaging_service_lanes set owner = $1, lease_ms = now_ms() + $2
            where lane = $3 and {} and lane not in {} returning person, direction, wanted",
            is_free(),
            self.tables.dialect().await?.texts(4)
        );
        let owner = self.claim_name();
        let claim = Execute::new(claim).bind(&owner).bind(lease::millis(LEASE)).bind(direction.of(person));
        Ok(self.take(claim.bind(self.working()), &owner).await?.into_iter().next())
    }

    /// The lanes that this host is at work on.
    fn working(&self) -> Value {
        Value::Json(self.working.all().iter().map(|(lane, _)| json!(lane)).collect())
    }

    fn claim_name(&self) -> String {
        format!("{}{}", self.owner, self.claims.fetch_add(1, Ordering::Relaxed))
    }

    async fn take(&self, claim: Execute, owner: &str) -> Outcome<Vec<Lane>> {
        let until = Instant::now() + LEASE;
        self.execute(claim).await?.returned.iter().map(|row| self.lane(row, owner, until)).collect()
    }

    fn lane(&self, row: Row<'_>, owner: &str, until: Instant) -> Outcome<Lane> {
        let (person, direction, wanted): (String, Direction, i64) = row.read()?;
        let at_work = self.working.begin((direction.of(&person), owner.to_owned()));
        Ok(Lane { person, direction, owner: owner.to_owned(), wanted, until: until.into(), at_work })
    }

    /// Sees to it that a lane is ours for longer than a call takes; `conflict` if it was lost.
    pub async fn hold(&self, lane: &Lane) -> Outcome<()> {
        if lane.until().saturating_duration_since(Instant::now()) > LEAST_LEFT {
            return Ok(());
        }
        self.commit(vec![self.renewal(lane)]).await.map(drop)
    }

    /// Lets a lane go, to be taken up at this moment, or when something is put into it; at once, if that happened
    /// meanwhile.
    pub async fn release(&self, lane: &Lane, due_ms: Option<i64>) -> Outcome<()> {
        let release = "update messaging_service_lanes
            set owner = '', lease_ms = 0, due_ms = case when wanted = $3 then $4 else now_ms() end
            where lane = $1 and owner = $2";
        let release = Execute::new(release)
            .bind(lane.direction.of(&lane.person))
            .bind(&lane.owner)
            .bind(lane.wanted)
            .bind(due_ms.unwrap_or(NEVER));
        // Whatever is put into it from now on may be taken up at once.
        lane.at_work.end();
        self.execute(release).await.map(drop)
    }

    /// Lets all lanes go, as they are.
    pub async fn release_all(&self) -> Outcome<()> {
        let release = "update messaging_service_lanes set owner = '', lease_ms = 0, due_ms = now_ms()
            where substr(owner, 1, length($1)) = $1";
        self.execute(Execute::new(release).bind(&self.owner)).await.map(drop)
    }

    /// The first statement of every step on a lane: it is still ours, and for another while.
    pub(super) fn renewal(&self, lane: &Lane) -> Statement {
        // Should the step fail, the lane is given up as a whole.
        *lane.until() = Instant::now() + LEASE;
        let renew =
            "update messaging_service_lanes set lease_ms = now_ms() + $3 where lane = $1 and owner = $2";
        Statement::new(renew)
            .bind(lane.direction.of(&lane.person))
            .bind(&lane.owner)
            .bind(lease::millis(LEASE))
            .expect_rows(1)
    }
}

impl Lane {
    fn until(&self) -> MutexGuard<'_, Instant> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lane is due and nobody's.
fn is_free() -> String {
    format!("{} and {}", lease::is_over("due_ms", LONGEST_WAIT), lease::is_over("lease_ms", LEASE))
}

/// Whether the error of a step says that the lane is somebody else's by now.
pub fn is_lost(error: &OperationError) -> bool {
    let details = error.details.as_ref();
    error.kind == ErrorKind::Conflict && details.is_some_and(|details| details.get("expected_rows").is_some())
}

/// Puts something into a lane, which is due at once. It makes the lane where there is none.
pub(super) fn put_into(direction: Direction, person: &str, condition: &str) -> Statement {
    Statement::new(format!(
        "insert into messaging_service_lanes (lane, person, direction, wanted, owner, lease_ms, due_ms)
        select $1, $2, $3, 1, '', 0, now_ms() where {condition}
        on conflict (lane) do update set
            wanted = messaging_service_lanes.wanted + 1,
            due_ms = case when messaging_service_lanes.due_ms < excluded.due_ms
                then messaging_service_lanes.due_ms else excluded.due_ms end"
    ))
    .bind(direction.of(person))
    .bind(person)
    .bind(direction.as_str())
}

fn count(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

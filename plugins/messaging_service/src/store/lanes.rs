//! Who is at work on whose messages: taken by a lease, let go with the moment of the next work.

use std::sync::atomic::{AtomicI64, Ordering};

use plugin_api::{
    error::{ErrorKind, OperationError},
    requests::sql::{Dialect, Execute, Query, Row, Statement},
};

use super::{LEASE_MS, NEVER, Outcome, Store, now_ms};

/// Which messages of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
const LEAST_LEFT_MS: i64 = 22_000;

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
    until_ms: AtomicI64,
}

impl Store {
    /// Takes lanes that are due and nobody's, those first that wait longest.
    pub async fn claim(&self, most: usize) -> Outcome<Vec<Lane>> {
        let now = now_ms();
        // Mostly there is nothing: that is learned without writing.
        let due = "select lane from messaging_service_lanes where due_ms <= $1 and lease_ms < $1";
        if self.query(Query::new(due).bind(now).row_limit(1)).await?.is_empty() {
            return Ok(Vec::new());
        }
        let skip = if self.dialect().await? == Dialect::Postgres { "for update skip locked" } else { "" };
        let claim = format!(
            "update messaging_service_lanes set owner = $1, lease_ms = $2
            where lane in (
                select lane from messaging_service_lanes where due_ms <= $3 and lease_ms < $3
                order by due_ms limit $4 {skip})
            returning person, direction, wanted"
        );
        let owner = self.claim_name();
        let claim = Execute::new(claim).bind(&owner).bind(now + LEASE_MS).bind(now).bind(count(most));
        self.take(claim, &owner).await
    }

    /// Takes this lane, if it is due and nobody's.
    pub async fn claim_of(&self, direction: Direction, person: &str) -> Outcome<Option<Lane>> {
        let now = now_ms();
        let claim = "update messaging_service_lanes set owner = $1, lease_ms = $2
            where lane = $3 and due_ms <= $4 and lease_ms < $4 returning person, direction, wanted";
        let owner = self.claim_name();
        let claim =
            Execute::new(claim).bind(&owner).bind(now + LEASE_MS).bind(direction.of(person)).bind(now);
        Ok(self.take(claim, &owner).await?.into_iter().next())
    }

    fn claim_name(&self) -> String {
        format!("{}{}", self.owner, self.claims.fetch_add(1, Ordering::Relaxed))
    }

    async fn take(&self, claim: Execute, owner: &str) -> Outcome<Vec<Lane>> {
        let until = now_ms() + LEASE_MS;
        self.execute(claim).await?.returned.iter().map(|row| lane(row, owner, until)).collect()
    }

    /// Sees to it that a lane is ours for longer than a call takes; `conflict` if it was lost.
    pub async fn hold(&self, lane: &Lane) -> Outcome<()> {
        if lane.until_ms.load(Ordering::Relaxed) - now_ms() > LEAST_LEFT_MS {
            return Ok(());
        }
        self.commit(vec![self.renewal(lane)]).await.map(drop)
    }

    /// Lets a lane go, to be taken up at this moment, or when something is put into it; at once, if that happened
    /// meanwhile.
    pub async fn release(&self, lane: &Lane, due_ms: Option<i64>) -> Outcome<()> {
        let release = "update messaging_service_lanes
            set owner = '', lease_ms = 0, due_ms = case when wanted = $3 then $4 else $5 end
            where lane = $1 and owner = $2";
        let release = Execute::new(release)
            .bind(lane.direction.of(&lane.person))
            .bind(&lane.owner)
            .bind(lane.wanted)
            .bind(due_ms.unwrap_or(NEVER))
            .bind(now_ms());
        self.execute(release).await.map(drop)
    }

    /// Lets all lanes go, as they are.
    pub async fn release_all(&self) -> Outcome<()> {
        let release = "update messaging_service_lanes set owner = '', lease_ms = 0, due_ms = $2
            where substr(owner, 1, length($1)) = $1";
        self.execute(Execute::new(release).bind(&self.owner).bind(now_ms())).await.map(drop)
    }

    /// The first statement of every step on a lane: it is still ours, and for another while.
    pub(super) fn renewal(&self, lane: &Lane) -> Statement {
        let until = now_ms() + LEASE_MS;
        // Should the step fail, the lane is given up as a whole.
        lane.until_ms.store(until, Ordering::Relaxed);
        Statement::new("update messaging_service_lanes set lease_ms = $3 where lane = $1 and owner = $2")
            .bind(lane.direction.of(&lane.person))
            .bind(&lane.owner)
            .bind(until)
            .expect_rows(1)
    }
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
        select $1, $2, $3, 1, '', 0, $4 where {condition}
        on conflict (lane) do update set
            wanted = messaging_service_lanes.wanted + 1,
            due_ms = case when messaging_service_lanes.due_ms < excluded.due_ms
                then messaging_service_lanes.due_ms else excluded.due_ms end"
    ))
    .bind(direction.of(person))
    .bind(person)
    .bind(direction.as_str())
    .bind(now_ms())
}

fn lane(row: Row<'_>, owner: &str, until_ms: i64) -> Outcome<Lane> {
    let direction: String = row.get("direction")?;
    Ok(Lane {
        person: row.get("person")?,
        direction: if direction == Direction::Out.as_str() { Direction::Out } else { Direction::In },
        owner: owner.to_owned(),
        wanted: row.get("wanted")?,
        until_ms: until_ms.into(),
    })
}

fn count(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

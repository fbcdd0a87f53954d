//! Threads and people out, by pages.

use plugin_api::requests::{
    memory::{Person, Turn},
    sql::{Query, Row},
};

use super::{Binds, Outcome, Store};

/// Where in a thread a turn stands: by the database's sequence, because the clocks of hosts differ and are put back.
#[plugin_api::row]
#[derive(Copy, PartialEq, Eq)]
pub struct Place(pub i64);

impl Place {
    /// Before everything.
    pub const START: Self = Self(i64::MIN);
    /// After everything.
    pub const END: Self = Self(i64::MAX);

    /// The next one, whether a turn stands there or not.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A turn, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    pub place: Place,
    pub turn: Turn,
}

/// A person, as the head of their thread.
#[plugin_api::row]
#[derive(Default)]
pub struct Heading {
    pub display_name: Option<String>,
    /// Changes with everything that is forgotten; 0 if nobody is known by this name.
    pub epoch: i64,
}

const TURN: &str =
    "seq, id, speaker, medium, body as text, attachments, source, at_ms, nullif(origin, '') as origin";

impl Store {
    /// The newest turns before a place, the newest first; and whether it was fewer than were asked for because they are
    /// large.
    pub async fn turns_before(
        &self,
        person: &str,
        before: Place,
        limit: u32,
    ) -> Outcome<(Vec<Placed>, bool)> {
        self.ready().await?;
        let sql = format!(
            "select {TURN} from memory_service_memories
             where person = $1 and kind = 'turn' and seq < $2
             order by seq desc limit $3"
        );
        let query = Query::new(sql).bind(person).bind(before.0).bind(limit);
        let rows = self.query(query.row_limit(limit)).await?;
        let turns = rows.iter().map(placed).collect::<Outcome<_>>()?;
        Ok((turns, rows.truncated))
    }

    /// The oldest turns between two places, the oldest first; neither of the two.
    pub async fn turns_between(
        &self,
        person: &str,
        (after, before): (Place, Place),
        limit: u32,
    ) -> Outcome<Vec<Placed>> {
        self.ready().await?;
        let sql = format!(
            "select {TURN} from memory_service_memories
             where person = $1 and kind = 'turn' and seq > $2 and seq < $3
             order by seq limit $4"
        );
        let query = Query::new(sql).bind(person).bind(after.0).bind(before.0).bind(limit);
        self.query(query.row_limit(limit)).await?.iter().map(placed).collect()
    }

    /// How many turns there are after one place and before another.
    pub async fn count_between(&self, person: &str, (after, before): (Place, Place)) -> Outcome<u64> {
        self.ready().await?;
        let sql = "select count(*) as number from memory_service_memories
             where person = $1 and kind = 'turn' and seq > $2 and seq < $3";
        self.query(Query::new(sql).bind(person).bind(after.0).bind(before.0)).await?.read_one()
    }

    pub async fn heading(&self, person: &str) -> Outcome<Heading> {
        self.ready().await?;
        let sql = "select display_name, epoch from memory_service_people where person = $1";
        Ok(self.query(Query::new(sql).bind(person)).await?.read_first()?.unwrap_or_default())
    }

    /// Who is known, the one heard of last first. `after` is the last one of the page before.
    pub async fn people(&self, after: Option<(i64, String)>, limit: u32) -> Outcome<Vec<Person>> {
        self.ready().await?;
        let mut binds = Binds::default();
        let condition = match after {
            Some((last_ms, person)) => {
                let (last_ms, person) = (binds.put(last_ms), binds.put(person));
                format!("where last_ms < {last_ms} or (last_ms = {last_ms} and person > {person})")
            }
            None => String::new(),
        };
        let limit_at = binds.put(limit);
        let count = |kind: &str| {
            format!(
                "(select count(*) from memory_service_memories m where m.person = p.person and m.kind = '{kind}')"
            )
        };
        let (turns, facts) = (count("turn"), count("fact"));
        let sql = format!(
            "select person, display_name, first_ms, last_ms, {turns} as turns, {facts} as facts
             from memory_service_people p {condition} order by last_ms desc, person limit {limit_at}"
        );
        self.query(binds.query(sql).row_limit(limit)).await?.read()
    }
}

fn placed(row: Row<'_>) -> Outcome<Placed> {
    Ok(Placed { place: row.get("seq")?, turn: row.read()? })
}

//! A space is all vectors that may be compared: of one model, of one length, kept one way. Another model is another space,
//! and what was embedded for the old one waits for a vector of the new one in the queue `pending`.
//!
//! Hosts that share a database claim what they embed, so that nothing is paid for twice; a claim that its host did not
//! live to keep ends with its lease. Two hosts of different settings fill two spaces, and neither empties the other's
//! while that one is in use.

use plugin_api::{
    lease::{self, millis},
    prelude::*,
    requests::sql::{Execute, Query, Statement},
};

use super::{Outcome, Store, vectors_table};
use crate::vectors::Keeping;

/// How long a host may take for what it claimed.
const LEASE: Duration = Duration::from_secs(60);
/// The longest that a memory which the model refuses may be left alone; a later moment was written by a wrong clock.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);
/// A space that no host has used for so long is emptied.
const UNUSED: Duration = Duration::from_secs(3600);
/// More of a text is embedded by no model.
const MOST_LETTERS: u32 = 20_000;
/// So many rows are deleted at once.
const AT_ONCE: u32 = 1000;

/// Vectors that may be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    pub id: String,
    pub model: String,
    pub dimensions: usize,
}

/// A memory that is to get its vector.
#[plugin_api::row]
#[derive(PartialEq, Eq)]
pub struct Claimed {
    pub seq: i64,
    pub id: String,
    pub body: String,
    pub attempts: i64,
}

impl Store {
    /// The space of a model, made if there is none, with everything in the queue that has no vector in it.
    pub async fn open_space(&self, model: &str, dimensions: usize) -> Outcome<Space> {
        let keeping = self.ready().await?.keeping;
        let id = format!("{model}/{dimensions}/{}", keeping.as_str());
        let sql = "insert into memory_service_spaces (id, model, dimensions, keeping, used_ms)
            values ($1, $2, $3, $4, now_ms()) on conflict (id) do update set used_ms = excluded.used_ms";
        let length = i64::try_from(dimensions).unwrap_or(i64::MAX);
        let put = Execute::new(sql).bind(&id).bind(model).bind(length).bind(keeping.as_str());
        self.execute(put).await?;
        self.fill_queue(&id).await?;
        Ok(Space { id, model: model.to_owned(), dimensions })
    }

    /// Puts into the queue what has no vector and does not wait for one; answers how much that was.
    ///
    /// What another host keeps while this one makes the space may be missed, and is found by the next time.
    pub async fn fill_queue(&self, space: &str) -> Outcome<u64> {
        let sql = "insert into memory_service_pending (space, memory, person, holder, lease_ms, attempts)
            select $1, m.seq, m.person, '', 0, 0 from memory_service_memories m
            where m.wordy = 1 and not exists
                (select 1 from memory_service_bits b where b.memory = m.seq and b.space = $1)
            on conflict do nothing";
        Ok(self.execute(Execute::new(sql).bind(space)).await?.rows_affected)
    }

    /// Takes the oldest of the queue, for this holder alone. Memories put there again by a host that did not see their
    /// vectors yet are taken out.
    pub async fn claim(&self, space: &str, holder: &str, most: u32) -> Outcome<Vec<Claimed>> {
        let skip = self.ready().await?.pick("", "for update skip locked");
        let longest =
            format!("case attempts when 0 then {} else {} end", millis(LEASE), millis(LONGEST_PAUSE));
        let is_impossible = lease::is_impossible("lease_ms", &longest);
        let claim = Statement::new(format!(
            "update memory_service_pending set holder = $2, lease_ms = now_ms() + $3
             where space = $1 and memory in
                (select memory from memory_service_pending
                 where space = $1 and (lease_ms <= now_ms() or {is_impossible}) order by memory limit $4 {skip})"
        ))
        .bind(space)
        .bind(holder)
        .bind(millis(LEASE))
        .bind(most);
        let done = Statement::new(
            "delete from memory_service_pending where space = $1 and holder = $2 and exists
                (select 1 from memory_service_bits b
                 where b.memory = memory_service_pending.memory and b.space = $1)",
        );
        let read = Statement::new(format!(
            "select m.seq, m.id, substr(m.body, 1, {MOST_LETTERS}) as body, p.attempts from memory_service_pending p
             join memory_service_memories m on m.seq = p.memory
             where p.space = $1 and p.holder = $2 and p.lease_ms > now_ms() order by p.memory limit $3"
        ));
        let read = read.bind(space).bind(holder).bind(most);
        let committed = self.transaction(vec![claim, done.bind(space).bind(holder), read]).await?;
        committed.last().map_or(Ok(Vec::new()), |read| read.returned.read())
    }

    /// Gives back everything that this holder claimed.
    pub async fn release(&self, holder: &str) -> Outcome<()> {
        let sql = "update memory_service_pending set holder = '', lease_ms = 0 where holder = $1";
        self.execute(Execute::new(sql).bind(holder)).await.map(drop)
    }

    /// Gives one memory back, not to be tried again for a while.
    pub async fn postpone(&self, space: &str, memory: i64, pause: Duration) -> Outcome<()> {
        let sql =
            "update memory_service_pending set holder = '', lease_ms = now_ms() + $3, attempts = attempts + 1
            where space = $1 and memory = $2";
        let postpone = Execute::new(sql).bind(space).bind(memory).bind(millis(pause));
        self.execute(postpone).await.map(drop)
    }

    /// Whoever began to make this memory's vector does not.
    pub async fn release_memory(&self, memory: i64) -> Outcome<()> {
        let sql = "update memory_service_pending set lease_ms = 0 where memory = $1 and holder = ''";
        self.execute(Execute::new(sql).bind(memory)).await.map(drop)
    }

    /// Claims of an earlier run: on SQLite there is no other host whose they could be.
    pub async fn void_claims(&self) -> Outcome<()> {
        if self.ready().await?.is_sqlite() {
            let sql = "update memory_service_pending set holder = '', lease_ms = 0 where attempts = 0";
            self.execute(Execute::new(sql)).await?;
        }
        Ok(())
    }

    /// How many memories hold words.
    pub async fn count_wordy(&self) -> Outcome<u64> {
        self.ready().await?;
        let sql = "select count(*) as number from memory_service_memories where wordy = 1";
        self.query(Query::new(sql)).await?.read_one()
    }

    /// How many memories wait for a vector.
    pub async fn count_pending(&self, space: &str) -> Outcome<u64> {
        self.ready().await?;
        let sql = "select count(*) as number from memory_service_pending where space = $1";
        self.query(Query::new(sql).bind(space)).await?.read_one()
    }

    /// How many of them the model has failed on before.
    pub async fn count_refused(&self, space: &str) -> Outcome<u64> {
        let sql = "select count(*) as number from memory_service_pending where space = $1 and attempts > 0";
        self.query(Query::new(sql).bind(space)).await?.read_one()
    }

    /// Whether any memory of this person waits for a vector.
    pub async fn is_waiting(&self, space: &str, person: &str) -> Outcome<bool> {
        let sql = "select case when exists
                (select 1 from memory_service_pending where space = $1 and person = $2)
            then 1 else 0 end as number";
        Ok(self.query(Query::new(sql).bind(space).bind(person)).await?.read_one::<u64>()? > 0)
    }

    /// Whether this memory has its vector.
    pub async fn is_embedded(&self, space: &str, memory: i64) -> Outcome<bool> {
        let sql = "select count(*) as number from memory_service_bits where memory = $1 and space = $2";
        Ok(self.query(Query::new(sql).bind(memory).bind(space)).await?.read_one::<u64>()? > 0)
    }

    /// Notes that the space is in use, and deletes some of what lies in one that is not. `true`: there may be more.
    pub async fn tidy_spaces(&self, space: &str) -> Outcome<bool> {
        let used = "update memory_service_spaces set used_ms = now_ms() where id = $1";
        self.execute(Execute::new(used).bind(space)).await?;
        let sql = "select id, keeping from memory_service_spaces where id <> $1 and used_ms < now_ms() - $2 limit 1";
        let unused = self.query(Query::new(sql).bind(space).bind(millis(UNUSED))).await?;
        let Some((id, keeping)) = unused.read_first::<(String, String)>()? else { return Ok(false) };
        self.empty_space(&id, &keeping).await?;
        Ok(true)
    }

    async fn empty_space(&self, space: &str, keeping: &str) -> Outcome<()> {
        let keeping = if keeping == Keeping::Pgvector.as_str() { Keeping::Pgvector } else { Keeping::Bytes };
        // Without the extension there is no table of its vectors any more.
        let has_table = keeping != Keeping::Pgvector || self.ready().await?.keeping == Keeping::Pgvector;
        let vectors = has_table.then(|| vectors_table(keeping));
        let tables = ["memory_service_pending", "memory_service_bits"].into_iter().chain(vectors);
        for table in tables {
            let sql = format!(
                "delete from {table} where space = $1 and memory in
                    (select memory from {table} where space = $1 limit {AT_ONCE})"
            );
            if self.execute(Execute::new(sql).bind(space)).await?.rows_affected > 0 {
                return Ok(());
            }
        }
        let sql = "delete from memory_service_spaces where id = $1";
        self.execute(Execute::new(sql).bind(space)).await.map(drop)
    }
}

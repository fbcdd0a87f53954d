//! Out for good: a memory with its vector, its words, and every summary that was made from it. SQLite overwrites what it
//! deletes; see the setting `secure_delete` of its connections, and of its index of words.

use plugin_api::requests::sql::{Query, Statement};

use super::{Binds, Outcome, Shape, Store};

/// So many at once: each batch is gone as a whole, and nobody waits long for it.
const AT_ONCE: u32 = 500;

/// What of a person is to go.
#[derive(Debug, Clone, Default)]
pub struct Which {
    /// These alone; if none are named, all within the time.
    pub ids: Vec<String>,
    pub since_ms: Option<i64>,
    pub until_ms: Option<i64>,
}

impl Store {
    /// Deletes memories; answers how many facts and how many turns.
    pub async fn erase(&self, person: &str, which: &Which) -> Outcome<(u64, u64)> {
        let shape = self.ready().await?;
        let (mut facts, mut turns) = (0, 0);
        loop {
            let seqs: Vec<i64> = self.query(which.query(person)).await?.read()?;
            if seqs.is_empty() {
                return Ok((facts, turns));
            }
            let committed = self.transaction(deletions(shape, person, &seqs)).await?;
            let affected: Vec<u64> = committed.iter().map(|done| done.rows_affected).collect();
            if let [.., more_facts, more_turns] = affected.as_slice() {
                facts += more_facts;
                turns += more_turns;
            }
        }
    }

    /// Deletes the person, and whatever of them came in meanwhile.
    pub async fn erase_person(&self, person: &str) -> Outcome<()> {
        let shape = self.ready().await?;
        let mut statements = Vec::new();
        if shape.is_sqlite() {
            let sql = "delete from memory_service_words where rowid in
                (select seq from memory_service_memories where person = $1)";
            statements.push(Statement::new(sql).bind(person));
        }
        statements.push(Statement::new("delete from memory_service_people where person = $1").bind(person));
        self.transaction(statements).await.map(drop)
    }
}

impl Which {
    fn query(&self, person: &str) -> Query {
        let mut binds = Binds::default();
        let mut sql = format!("select seq from memory_service_memories where person = {}", binds.put(person));
        if !self.ids.is_empty() {
            sql += &format!(" and id in ({})", binds.list(self.ids.iter().map(String::as_str)));
        }
        if let Some(since) = self.since_ms {
            sql += &format!(" and at_ms >= {}", binds.put(since));
        }
        if let Some(until) = self.until_ms {
            sql += &format!(" and at_ms < {}", binds.put(until));
        }
        binds.query(format!("{sql} limit {AT_ONCE}")).row_limit(AT_ONCE)
    }
}

/// The last two tell how many facts and turns there were. A summary under way is not kept, as the epoch has changed.
fn deletions(shape: Shape, person: &str, seqs: &[i64]) -> Vec<Statement> {
    let of_these = |condition: &str| {
        let mut binds = Binds::default();
        let seqs = binds.list(seqs.iter().copied());
        binds.statement(format!("delete from {condition} in ({seqs})"))
    };
    let epoch = "update memory_service_people set epoch = epoch + 1 where person = $1";
    let mut statements = vec![Statement::new(epoch).bind(person), delete_summary(person, seqs)];
    if shape.is_sqlite() {
        statements.push(of_these("memory_service_words where rowid"));
    }
    statements.push(of_these("memory_service_memories where kind = 'fact' and seq"));
    statements.push(of_these("memory_service_memories where kind = 'turn' and seq"));
    statements
}

/// If it stands for any of these.
fn delete_summary(person: &str, seqs: &[i64]) -> Statement {
    let mut binds = Binds::default();
    let person = binds.put(person);
    let seqs = binds.list(seqs.iter().copied());
    binds.statement(format!(
        "delete from memory_service_summaries where person = {person} and seq >=
            (select min(seq) from memory_service_memories where kind = 'turn' and seq in ({seqs}))"
    ))
}

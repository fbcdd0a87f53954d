//! What is near by its vector, and what holds the words: among one person's memories, and through a filter.
//!
//! The bits of all the person's vectors tell the nearest few hundred, their numbers tell the order. No index over the
//! vectors of all people is asked: it finds those that are near whosever they are, and so too few of one person's.

use plugin_api::requests::{
    memory::{Medium, MemoryKind},
    sql::{Query, Rows, Value},
};

use super::{Binds, Outcome, Shape, Space, Store, vectors_table};
use crate::{
    vectors::{self, Keeping},
    words,
};

/// So many are compared by their numbers.
const CANDIDATES: u32 = 256;
/// So many are ranked by their words, beside those of the rarest word.
const MOST_RANKED: u64 = 5_000;
/// Further is not counted.
const TOO_MANY: u64 = MOST_RANKED + 1;

/// Which memories count.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub kinds: Vec<MemoryKind>,
    pub medium: Option<Medium>,
    pub tags: Vec<String>,
    pub since_ms: Option<i64>,
    pub until_ms: Option<i64>,
}

/// A memory that was found.
#[plugin_api::row]
#[derive(PartialEq, Eq)]
pub struct Found {
    pub id: String,
    pub kind: String,
    pub body: String,
    pub speaker: Option<String>,
    pub medium: Option<String>,
    pub caller: String,
    pub tags: Vec<String>,
    pub at_ms: i64,
}

/// Of longer ones the beginning is answered; a thread has all of it.
const FOUND: &str =
    "m.id, m.kind, substr(m.body, 1, 8000) as body, m.speaker, m.medium, m.caller, m.tags, m.at_ms";

impl Store {
    /// The memories whose meaning is nearest, the nearest first.
    pub async fn near(
        &self,
        person: &str,
        space: &Space,
        vector: &[f32],
        filter: &Filter,
        limit: u32,
    ) -> Outcome<Vec<Found>> {
        let shape = self.ready().await?;
        let query = near(shape, person, space, vector, filter, limit);
        let rows = self.query(query).await?;
        match shape.keeping {
            Keeping::Bytes => compared(&rows, vector, limit),
            Keeping::SqliteVec | Keeping::Pgvector => rows.read(),
        }
    }

    /// The memories that hold any of the words, the best first.
    pub async fn worded(
        &self,
        person: &str,
        asked: &[String],
        filter: &Filter,
        limit: u32,
    ) -> Outcome<Vec<Found>> {
        let shape = self.ready().await?;
        // Through a filter, what a frequent word finds may be all there is.
        let asked = match shape.is_sqlite() && asked.len() > 1 && filter.is_open() {
            true => self.telling(person, asked).await?,
            false => asked.to_vec(),
        };
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        self.query(worded(shape, person, &asked, filter, limit)).await?.read()
    }

    /// The words that tell memories apart, the rarest first: SQLite ranks everything that it finds, and a word that is in
    /// every other memory would cost much and change nothing.
    async fn telling(&self, person: &str, asked: &[String]) -> Outcome<Vec<String>> {
        let frequencies: Vec<u64> = self.query(frequencies(person, asked)).await?.read()?;
        let mut words: Vec<_> = frequencies.into_iter().zip(asked).collect();
        words.sort_by_key(|(memories, _)| *memories);
        let mut found = 0;
        let telling = words.into_iter().filter(|(memories, _)| {
            let is_first = found == 0;
            found += memories;
            *memories > 0 && (is_first || found <= MOST_RANKED)
        });
        Ok(telling.map(|(_, word)| word.clone()).collect())
    }
}

/// How many of the person's memories hold each of the words, in the order of the words; of too many, that it is too many.
fn frequencies(person: &str, asked: &[String]) -> Query {
    let mut binds = Binds::default();
    let counts = asked.iter().map(|word| {
        let matched = binds.put(words::match_sqlite(std::slice::from_ref(word), person));
        format!(
            "select count(*) as memories from
                (select 1 from memory_service_words where memory_service_words match {matched} limit {TOO_MANY})"
        )
    });
    let sql = counts.collect::<Vec<_>>().join(" union all ");
    binds.query(sql)
}

/// SQLite is told by `cross join` to ask its index of words first: left to itself, it asks it once for each memory.
fn worded(shape: Shape, person: &str, asked: &[String], filter: &Filter, limit: u32) -> Query {
    let mut binds = Binds::default();
    let matched = binds.put(shape.pick(words::match_sqlite(asked, person), words::match_postgres(asked)));
    let person = binds.put(person);
    let is_open = filter.is_open();
    let filter = filter.sql(shape, &mut binds);
    let limit = binds.put(limit);
    let sql = match shape.is_sqlite() {
        // Where everything passes, only what is answered is looked up.
        true if is_open => format!(
            "select {FOUND} from (
                select rowid as seq, rank from memory_service_words
                where memory_service_words match {matched} order by rank limit {limit}
             ) best cross join memory_service_memories m on m.seq = best.seq
             where m.person = {person} order by best.rank"
        ),
        true => format!(
            "select {FOUND} from memory_service_words
             cross join memory_service_memories m on m.seq = memory_service_words.rowid
             where memory_service_words match {matched} and m.person = {person}{filter}
             order by memory_service_words.rank limit {limit}"
        ),
        false => format!(
            "select {FOUND} from memory_service_memories m
             where m.person = {person} and m.words @@ cast({matched} as tsquery){filter}
             order by ts_rank(m.words, cast({matched} as tsquery), 1) desc, m.at_ms desc limit {limit}"
        ),
    };
    binds.query(sql)
}

fn near(shape: Shape, person: &str, space: &Space, vector: &[f32], filter: &Filter, limit: u32) -> Query {
    let mut binds = Binds::default();
    let (person, space) = (binds.put(person), binds.put(&space.id));
    let far = match shape.is_sqlite() {
        true => {
            format!("vec_distance_hamming(vec_bit(b.bits), vec_bit({}))", binds.put(vectors::bits(vector)))
        }
        false => {
            format!("bit_count(b.bits # cast({} as bit varying))", binds.put(vectors::bits_text(vector)))
        }
    };
    let filter = match filter.sql(shape, &mut binds) {
        none if none.is_empty() => none,
        some => format!(" and exists (select 1 from memory_service_memories m where m.seq = b.memory{some})"),
    };
    let nearest = format!(
        "select b.memory from memory_service_bits b where b.person = {person} and b.space = {space}{filter}
         order by {far} limit {CANDIDATES}"
    );
    let table = vectors_table(shape.keeping);
    let compared = format!("{table} v on v.memory = nearest.memory and v.space = {space}");
    let memories = "memory_service_memories m on m.seq = nearest.memory";
    let distance = match shape.keeping {
        Keeping::SqliteVec => format!("vec_distance_cosine(v.vector, {})", binds.put(vectors::bytes(vector))),
        Keeping::Pgvector => format!("v.vector <=> cast({} as vector)", binds.put(vectors::text(vector))),
        Keeping::Bytes => {
            let sql =
                format!("select {FOUND}, v.vector from ({nearest}) nearest join {compared} join {memories}");
            return binds.query(sql);
        }
    };
    let limit = binds.put(limit);
    binds.query(format!(
        "select {FOUND} from (
            select nearest.memory, {distance} as distance from ({nearest}) nearest join {compared}
            order by distance limit {limit}
         ) nearest join {memories} order by nearest.distance"
    ))
}

/// Where the database cannot compare, we do.
fn compared(rows: &Rows, vector: &[f32], limit: u32) -> Outcome<Vec<Found>> {
    let measured = rows.iter().map(|row| {
        let other = vectors::numbers(&row.get::<Vec<u8>>("vector")?);
        Ok((vectors::distance(vector, &other), row.read()?))
    });
    let mut measured: Vec<(f64, Found)> = measured.collect::<Outcome<_>>()?;
    measured.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    Ok(measured.into_iter().map(|(_, found)| found).take(limit as usize).collect())
}

impl Filter {
    /// Whether everything passes.
    fn is_open(&self) -> bool {
        let Self { kinds, medium, tags, since_ms, until_ms } = self;
        kinds.is_empty() && medium.is_none() && tags.is_empty() && since_ms.is_none() && until_ms.is_none()
    }

    /// As conditions on `m`, each after an `and`.
    fn sql(&self, shape: Shape, binds: &mut Binds) -> String {
        let mut sql = String::new();
        if !self.kinds.is_empty() {
            let kinds = binds.list(self.kinds.iter().map(|kind| kind_name(*kind)));
            sql += &format!(" and m.kind in ({kinds})");
        }
        if let Some(medium) = self.medium {
            sql += &format!(" and m.medium = {}", binds.put(medium_name(medium)));
        }
        if !self.tags.is_empty() {
            let tags = binds.list(self.tags.iter().map(|tag| Value::from(tag.as_str())));
            let each = shape.pick(
                "json_each(m.tags) as each where each.value",
                "jsonb_array_elements_text(cast(m.tags as jsonb)) as each (value) where each.value",
            );
            sql += &format!(" and exists (select 1 from {each} in ({tags}))");
        }
        if let Some(since) = self.since_ms {
            sql += &format!(" and m.at_ms >= {}", binds.put(since));
        }
        if let Some(until) = self.until_ms {
            sql += &format!(" and m.at_ms < {}", binds.put(until));
        }
        sql
    }
}

pub fn kind_name(kind: MemoryKind) -> &'static str {
    match kind {
        MemoryKind::Fact => "fact",
        MemoryKind::Turn => "turn",
    }
}

pub fn medium_name(medium: Medium) -> &'static str {
    match medium {
        Medium::Sms => "sms",
        Medium::Whatsapp => "whatsapp",
        Medium::Rcs => "rcs",
        Medium::Voice => "voice",
        Medium::Other => "other",
    }
}

#[cfg(test)]
mod tests {
    use plugin_api::requests::sql::Dialect;

    use super::*;
    use crate::{store::tables, tests::setup::database};

    /// The other way round, a person with many memories is never answered.
    #[test]
    fn sqlite_asks_its_index_of_words_first() {
        let database = database();
        database.migrate(tables::migrate()).expect("the tables can be made");
        let shape = Shape { dialect: Dialect::Sqlite, keeping: Keeping::SqliteVec };
        let filter = Filter { kinds: vec![MemoryKind::Fact], since_ms: Some(1), ..Filter::default() };
        for filter in [Filter::default(), filter] {
            let asked = ["tea".to_owned(), "dog".to_owned()];
            let Query { sql, params, .. } = worded(shape, "+15551234567", &asked, &filter, 40);
            let plan = Query { sql: format!("explain query plan {sql}"), params, row_limit: None };
            let steps = database.query(plan).expect("it has a plan");
            let steps: Vec<String> =
                steps.iter().map(|step| step.get("detail").expect("it is told")).collect();
            let at = |start: &str| steps.iter().position(|step| step.starts_with(start));
            let words = at("SCAN memory_service_words VIRTUAL TABLE").expect("the index is asked");
            let memories = at("SEARCH m USING INTEGER PRIMARY KEY").expect("memories are looked up");
            assert!(words < memories && at("SCAN m ").is_none(), "{steps:#?}");
        }
    }
}

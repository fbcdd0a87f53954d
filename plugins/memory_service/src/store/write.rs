//! People, facts and turns in, each once: one transaction, so that a memory, its words and its place in the queue for a
//! vector are there together or not at all.

use plugin_api::{
    lease::millis,
    prelude::*,
    requests::sql::{Statement, Value},
    serde_json::Value as Json,
};

use super::{Binds, Outcome, Shape, Store, tables, vectors_table};
use crate::{
    vectors::{self, Keeping},
    words,
};

/// Who is heard of.
#[derive(Debug, Clone)]
pub struct NewPerson<'a> {
    pub person: &'a str,
    pub display_name: Option<&'a str>,
    /// Whether something was said.
    pub is_heard: bool,
}

/// What is to be kept.
#[derive(Debug, Clone)]
pub struct NewMemory<'a> {
    pub id: String,
    pub kind: &'static str,
    pub body: &'a str,
    pub speaker: Option<&'static str>,
    pub medium: Option<&'static str>,
    pub source: Option<&'a str>,
    /// The same again is no other memory.
    pub once: Option<String>,
    pub caller: &'a str,
    pub attachments: Json,
    pub tags: &'a [String],
    pub at_ms: i64,
    /// Who wrote it; empty: whoever said it.
    pub origin: &'static str,
    /// For so long its vector is made by whoever writes it, and by nobody else.
    pub lease: Duration,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub id: String,
    pub seq: i64,
    pub repeated: bool,
}

impl Store {
    /// Keeps a memory, unless it is known.
    pub async fn write(&self, person: &NewPerson<'_>, memory: &NewMemory<'_>) -> Outcome<Written> {
        let shape = self.ready().await?;
        let words = words::of(memory.body);
        let mut statements = vec![put_person(person, memory.at_ms)];
        statements.push(put_memory(shape, person.person, memory, &words));
        if shape.is_sqlite() && !words.is_empty() {
            statements.push(put_words(person.person, &memory.id, &words));
        }
        if is_wordy(memory.body) {
            statements.push(put_pending(&memory.id, memory.lease));
        }
        statements.push(find(person.person, memory));
        let committed = self.transaction(statements).await?;
        let found = committed.last().map(|found| found.returned.read_one()).transpose()?;
        let (id, seq): (String, i64) =
            found.ok_or_else(|| OperationError::internal("the database answered less than it was asked"))?;
        Ok(Written { repeated: id != memory.id, id, seq })
    }

    /// Keeps vectors of a space, of what is still there, and takes it out of the queue.
    pub async fn write_vectors(&self, space: &str, vectors: &[(i64, Vec<f32>)]) -> Outcome<()> {
        let shape = self.ready().await?;
        let of_one = |(memory, vector): &(i64, Vec<f32>)| {
            [
                put_vector(shape, space, *memory, vector),
                put_bits(shape, space, *memory, vector),
                Statement::new("delete from memory_service_pending where space = $1 and memory = $2")
                    .bind(space)
                    .bind(*memory),
            ]
        };
        self.transaction(vectors.iter().flat_map(of_one).collect()).await.map(drop)
    }
}

/// Whether there is something to be found by its meaning.
fn is_wordy(body: &str) -> bool {
    !body.trim().is_empty()
}

/// `epoch` counts what was forgotten, so that what was made from it is not kept afterwards.
fn put_person(person: &NewPerson<'_>, at_ms: i64) -> Statement {
    let heard_ms = person.is_heard.then_some(at_ms);
    Statement::new(
        "insert into memory_service_people (person, display_name, epoch, first_ms, last_ms)
         values ($1, $2, $3, $4, $4)
         on conflict (person) do update set
            display_name = coalesce(excluded.display_name, memory_service_people.display_name),
            last_ms = case when $5 > memory_service_people.last_ms then $5 else memory_service_people.last_ms end",
    )
    .bind(person.person)
    .bind(person.display_name.map_or(Value::Null, Value::from))
    .bind(super::now_ms())
    .bind(at_ms)
    .bind(heard_ms.unwrap_or(i64::MIN))
}

fn put_memory(shape: Shape, person: &str, memory: &NewMemory<'_>, words: &[String]) -> Statement {
    let mut binds = Binds::default();
    let values = binds.list([
        Value::from(&memory.id),
        Value::from(person),
        Value::from(memory.kind),
        Value::from(memory.body),
        text_or_null(memory.speaker),
        text_or_null(memory.medium),
        text_or_null(memory.source),
        text_or_null(memory.once.as_deref()),
        Value::from(memory.caller),
        Value::from(memory.attachments.to_string()),
        Value::from(Json::from(memory.tags.to_vec()).to_string()),
        Value::from(i64::from(is_wordy(memory.body))),
        Value::from(memory.at_ms),
        Value::from(memory.origin),
    ]);
    let (column, value) = match shape.is_sqlite() {
        true => ("", String::new()),
        false => {
            let list = binds.put(Json::from(words.to_vec()));
            (
                ", words",
                format!(", array_to_tsvector(array(select distinct jsonb_array_elements_text({list})))"),
            )
        }
    };
    binds.statement(format!(
        "insert into memory_service_memories
            (id, person, kind, body, speaker, medium, source, once, caller, attachments, tags, wordy, at_ms,
             origin{column})
         values ({values}{value}) on conflict do nothing"
    ))
}

fn text_or_null(text: Option<&str>) -> Value {
    match text {
        Some(text) => Value::from(text),
        // PostgreSQL is told that it is text.
        None => Value::Null,
    }
}

fn put_words(person: &str, id: &str, words: &[String]) -> Statement {
    Statement::new(
        "insert into memory_service_words (rowid, words)
         select seq, $1 from memory_service_memories where id = $2",
    )
    .bind(words::owned(words, person))
    .bind(id)
}

fn put_pending(id: &str, lease: Duration) -> Statement {
    Statement::new(
        // What is to be embedded at once is due also after the clock was put back.
        "insert into memory_service_pending (space, memory, person, holder, lease_ms, attempts)
         select s.id, m.seq, m.person, '', case when $2 > 0 then now_ms() + $2 else 0 end, 0
         from memory_service_spaces s, memory_service_memories m
         where m.id = $1 on conflict do nothing",
    )
    .bind(id)
    .bind(millis(lease))
}

/// The memory itself, or the one that it repeats.
fn find(person: &str, memory: &NewMemory<'_>) -> Statement {
    Statement::new(
        "select id, seq from (
            select id, seq, 0 as place from memory_service_memories where person = $1 and id = $2 union all
            select id, seq, 1 as place from memory_service_memories where person = $1 and source = $3 union all
            select id, seq, 1 as place from memory_service_memories where person = $1 and once = $4
         ) as known order by place, seq limit 1",
    )
    .bind(person)
    .bind(&memory.id)
    .bind(memory.source.unwrap_or(tables::NEVER))
    .bind(memory.once.as_deref().unwrap_or(tables::NEVER))
}

fn put_vector(shape: Shape, space: &str, memory: i64, vector: &[f32]) -> Statement {
    let (value, parameter) = match shape.keeping {
        Keeping::Pgvector => (Value::from(vectors::text(vector)), "cast($3 as vector)"),
        Keeping::SqliteVec | Keeping::Bytes => (Value::from(vectors::bytes(vector)), "$3"),
    };
    let table = vectors_table(shape.keeping);
    Statement::new(format!(
        "insert into {table} (memory, space, vector)
         select seq, $1, {parameter} from memory_service_memories where seq = $2 on conflict do nothing"
    ))
    .bind(space)
    .bind(memory)
    .bind(value)
}

fn put_bits(shape: Shape, space: &str, memory: i64, vector: &[f32]) -> Statement {
    let (value, parameter) = shape.pick(
        (Value::from(vectors::bits(vector)), "$3"),
        (Value::from(vectors::bits_text(vector)), "cast($3 as bit varying)"),
    );
    Statement::new(format!(
        "insert into memory_service_bits (person, space, memory, bits)
         select person, $1, seq, {parameter} from memory_service_memories where seq = $2 on conflict do nothing"
    ))
    .bind(space)
    .bind(memory)
    .bind(value)
}

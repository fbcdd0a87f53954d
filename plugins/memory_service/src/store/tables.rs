//! What is kept where. Everything about a memory hangs on its row and goes with it; only SQLite's index of words must be
//! told.
//!
//! Vectors lie apart from their bits: to look through the bits of a person is to read one short stretch of the file.
//! `pending` holds what waits for a vector of a space; a row there is claimed by its lease.

use plugin_api::{
    prelude::*,
    requests::sql::{Execute, Migrate},
    tables::Tables,
};

use crate::words::OWNER_ENDS;

/// No memory has this source or key.
pub const NEVER: &str = "";

const OWNER: &str = "memory_service";

const PEOPLE: &str = "
    create table memory_service_people (
        person text primary key,
        display_name text,
        epoch bigint not null,
        first_ms bigint not null,
        last_ms bigint not null
    );
    create index memory_service_people_last on memory_service_people (last_ms, person);
    create table memory_service_summaries (
        person text primary key references memory_service_people (person) on delete cascade,
        summary text not null,
        at_ms bigint not null,
        seq bigint not null,
        turns bigint not null
    );
    create table memory_service_spaces (
        id text primary key,
        model text not null,
        dimensions bigint not null,
        keeping text not null,
        used_ms bigint not null
    );";

const MEMORIES: &str = "
        id text not null unique,
        person text not null references memory_service_people (person) on delete cascade,
        kind text not null,
        body text not null,
        speaker text,
        medium text,
        source text,
        once text,
        caller text not null,
        attachments text not null,
        tags text not null,
        wordy bigint not null,
        at_ms bigint not null";

const AROUND: &str = "
    create unique index memory_service_memories_source on memory_service_memories (person, source);
    create unique index memory_service_memories_once on memory_service_memories (person, once);
    create index memory_service_memories_thread on memory_service_memories (person, kind, at_ms, seq);
    create table memory_service_pending (
        space text not null,
        memory bigint not null references memory_service_memories (seq) on delete cascade,
        person text not null,
        holder text not null,
        lease_ms bigint not null,
        attempts bigint not null,
        primary key (space, memory)
    );
    create index memory_service_pending_memory on memory_service_pending (memory);
    create index memory_service_pending_person on memory_service_pending (space, person);";

const SQLITE: &str = "
    create table memory_service_vectors (
        memory bigint not null references memory_service_memories (seq) on delete cascade,
        space text not null,
        vector blob not null,
        primary key (memory, space)
    );
    create index memory_service_vectors_space on memory_service_vectors (space);
    create table memory_service_bits (
        person text not null,
        space text not null,
        memory bigint not null references memory_service_memories (seq) on delete cascade,
        bits blob not null,
        primary key (person, space, memory)
    ) without rowid;
    create index memory_service_bits_memory on memory_service_bits (memory);
    create virtual table memory_service_words using fts5 (owner, words, tokenize = 'unicode61 remove_diacritics 0');
    insert into memory_service_words (memory_service_words, rank) values ('secure-delete', 1);
    insert into memory_service_words (memory_service_words, rank) values ('rank', 'bm25(0.0, 1.0)');";

const POSTGRES: &str = "
    create index memory_service_memories_words on memory_service_memories using gin (words);
    create table memory_service_vectors (
        memory bigint not null references memory_service_memories (seq) on delete cascade,
        space text not null,
        vector bytea not null,
        primary key (memory, space)
    );
    create index memory_service_vectors_space on memory_service_vectors (space);
    create table memory_service_bits (
        person text not null,
        space text not null,
        memory bigint not null references memory_service_memories (seq) on delete cascade,
        bits bit varying not null,
        primary key (person, space, memory)
    );
    create index memory_service_bits_memory on memory_service_bits (memory);";

/// The owner stands before each word instead of beside them, which is quicker by half.
fn owned_words() -> String {
    format!(
        "create virtual table memory_service_owned using fts5 (words, tokenize = 'unicode61 remove_diacritics 0');
         insert into memory_service_owned (memory_service_owned, rank) values ('secure-delete', 1);
         insert into memory_service_owned (rowid, words)
            select rowid, replace(' ' || words, ' ', ' ' || owner || '{OWNER_ENDS}') from memory_service_words;
         drop table memory_service_words;
         alter table memory_service_owned rename to memory_service_words"
    )
}

/// Threads are in the order of `seq`.
const IN_SEQUENCE: &str = "
    drop index memory_service_memories_thread;
    create index memory_service_memories_thread on memory_service_memories (person, kind, seq);
    alter table memory_service_summaries drop column at_ms";

/// A summary that was made in the order of time is dropped where that differs: it would stand for as many turns, but not
/// for the same. The turn that it goes up to tells its moment.
const SUMMARIES: &str = "
    delete from memory_service_summaries where
        not exists (select 1 from memory_service_memories l where l.seq = memory_service_summaries.seq)
        or exists
            (select 1 from memory_service_memories m, memory_service_memories l
             where l.seq = memory_service_summaries.seq
                and m.person = memory_service_summaries.person and m.kind = 'turn'
                and ((m.seq <= l.seq and m.at_ms > l.at_ms) or (m.seq > l.seq and m.at_ms < l.at_ms)))";

/// Who wrote a turn; empty: whoever said it.
const ORIGIN: &str = "alter table memory_service_memories add column origin text not null default ''";

/// Not a version: whether the server has the extension may change between two starts.
const PGVECTOR: [&str; 2] = [
    "create table if not exists memory_service_pgvectors (
        memory bigint not null references memory_service_memories (seq) on delete cascade,
        space text not null,
        vector vector not null,
        primary key (memory, space)
    )",
    "create index if not exists memory_service_pgvectors_space on memory_service_pgvectors (space)",
];

/// All versions there ever were.
pub fn migrate() -> Migrate {
    let sqlite = format!(
        "{PEOPLE} create table memory_service_memories (seq integer primary key autoincrement, {MEMORIES}); {AROUND} \
         {SQLITE}"
    );
    let postgres = format!(
        "{PEOPLE} create table memory_service_memories (seq bigint generated always as identity primary key, \
         {MEMORIES}, words tsvector not null); {AROUND} {POSTGRES}"
    );
    Migrate::new(OWNER)
        .version_of("people, memories, vectors, words", &sqlite, &postgres)
        .version_of("words with their owner", &owned_words(), "select 1")
        .version("threads in sequence", IN_SEQUENCE)
        .version("summaries in sequence", SUMMARIES)
        .version("who wrote what was said", ORIGIN)
}

/// The table for vectors of pgvector. Of several hosts that make it at once, all but one may be refused.
pub async fn make_pgvector(tables: &Tables) -> Result<(), OperationError> {
    for sql in PGVECTOR {
        let made = tables.execute(Execute::new(sql)).await;
        match made {
            Err(error) if error.kind == ErrorKind::Conflict => tables.execute(Execute::new(sql)).await?,
            other => other?,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use plugin_api::{
        requests::sql::{Dialect, Query, Statement, Transaction},
        testing::database::Database,
    };

    use super::*;
    use crate::{tests::setup::database, words};

    /// A database of the first version, with these rows, brought to the newest.
    fn migrated(rows: &[&str]) -> Database {
        let database = database();
        let Migrate { owner, mut migrations } = migrate();
        let later = migrations.split_off(1);
        database.migrate(Migrate { owner, migrations }).expect("the first version");
        for row in rows {
            database.run(row);
        }
        for version in later {
            let script = version.sql.of(Dialect::Sqlite).to_owned();
            for sql in script.split(';') {
                let statements = vec![Statement::new(sql)];
                database.transaction(Transaction { statements }).expect("the next version");
            }
        }
        database
    }

    #[test]
    fn a_summary_of_other_turns_than_those_before_it_in_sequence_is_dropped() {
        let check = |moments: [i64; 4], expected: i64| {
            let turn = |(seq, at_ms): (usize, i64)| {
                format!(
                    "insert into memory_service_memories
                        (seq, id, person, kind, body, speaker, medium, caller, attachments, tags, wordy, at_ms)
                     values ({seq}, 'turn_{seq}', '+1', 'turn', 'words', 'person', 'sms', '', '[]', '[]', 0, {at_ms})"
                )
            };
            // Of the first two in the order of time.
            let mut turns: Vec<(usize, i64)> = (1..).zip(moments).collect();
            turns.sort_by_key(|(seq, at_ms)| (*at_ms, *seq));
            let (seq, at_ms) = turns[1];
            let person = "insert into memory_service_people values ('+1', null, 1, 0, 9)".to_owned();
            let summary =
                format!("insert into memory_service_summaries values ('+1', 'Summary.', {at_ms}, {seq}, 2)");
            let rows: Vec<String> =
                [person].into_iter().chain(turns.into_iter().map(turn)).chain([summary]).collect();
            let database = migrated(&rows.iter().map(String::as_str).collect::<Vec<_>>());
            let kept = database.number("select count(*) from memory_service_summaries");
            assert_eq!(kept, expected, "{moments:?}");
        };
        check([1, 2, 3, 4], 1);
        check([1, 1, 1, 1], 1);
        check([2, 1, 3, 4], 0);
        check([1, 3, 2, 4], 0);
        check([1, 2, 4, 3], 1);
        check([5, 2, 3, 4], 0);
    }

    #[test]
    fn what_was_kept_without_an_owner_before_each_word_is_found() {
        let words = "insert into memory_service_words (rowid, owner, words) values (7, '15551234567', 'ada drinks tea')";
        let database = migrated(&[words]);
        let matched = words::match_sqlite(&["tea".to_owned()], "+15551234567");
        let query = "select rowid as seq from memory_service_words where memory_service_words match $1";
        let found = database.query(Query::new(query).bind(matched)).expect("it is searched");
        assert_eq!(found.rows, [[7_i64.into()]]);
    }
}

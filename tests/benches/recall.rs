//! Row 7: recalling over 100,000 memories of one person through a host, less what embedding the question takes, beside the
//! plain query of sqlite-vec on the same file: the nearest 256 by their bits, the best 40 of them by their numbers.
//!
//! Both are timed alternately in one run. Our time is that of `memory_service.recall`, called by another plugin, less
//! that of `openai.embed` of the same question, called by the same plugin: words, fusing, JSON and the host are in it. The
//! memories are written into the plugin's own tables, with random vectors, and words of which some are in every other
//! memory, as in a language.

/// The very registration of sqlite-vec that `database` uses.
#[path = "../../plugins/database/src/vec.rs"]
mod vec;

use std::{hint::black_box, path::Path, time::Instant};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use switchboard_tests::{Setup, TestHost, partners::ideas::Ideas};

use crate::{measure::by_turns, table::Row};

const MEMORIES: i64 = 100_000;
const DIMENSIONS: usize = 1536;
const ADA: &str = "+15551234567";
/// How many there are of each in a round.
const AT_ONCE: u32 = 5;
/// One of them is in every other memory, the next in one of twenty, the last in some.
const QUESTION: &str = "w0 w40 w700 w2500 w4800";
const WORDS: f64 = 5000.0;
const WORDS_OF_MEMORY: usize = 12;

const PLUGINS: &str = "[plugins.database]\n[plugins.openai]\n[plugins.memory_service]\n[plugins.friend]\n";

/// The same shape as the plugin's.
const BY_BITS: &str = "
    select nearest.memory, vec_distance_cosine(v.vector, ?1) as distance from (
        select memory from memory_service_bits where person = ?2 and space = ?3
        order by vec_distance_hamming(vec_bit(bits), vec_bit(?4)) limit 256
    ) nearest join memory_service_vectors v on v.memory = nearest.memory and v.space = ?3
    order by distance limit 40";
/// The same by the virtual table of sqlite-vec.
const BY_VEC0: &str = "
    select nearest.memory, vec_distance_cosine(v.vector, ?1) as distance from (
        select memory from beside.bits where person = ?2 and bits match vec_bit(?4) and k = 256
    ) nearest join memory_service_vectors v on v.memory = nearest.memory and v.space = ?3
    order by distance limit 40";

pub fn recalls(rounds: usize) -> Vec<Row> {
    let model = Ideas::start(DIMENSIONS);
    let host = start(&model);
    let space = space(&host);
    let connection = open(host.setup().folder());
    fill(&connection, &space);
    let ours = || {
        let recalled = time(&host, "memory_service", "recall", &json!({ "query": QUESTION }));
        recalled - time(&host, "openai", "embed", &json!({ "texts": [QUESTION] }))
    };
    let plain = |sql: &str| query(&connection, sql, &space);
    let by_bits = by_turns(rounds, ours, || plain(BY_BITS));
    let by_vec0 = by_turns(rounds, ours, || plain(BY_VEC0));
    vec![
        Row::ratio(
            7,
            "recall in 100,000 memories, less embedding; the same by sqlite-vec",
            "ms",
            by_bits,
            1.2,
        ),
        Row::comparison(7, "the same; by vec0 of sqlite-vec", "ms", by_vec0),
    ]
}

fn start(model: &Ideas) -> TestHost {
    let host = Setup::new(PLUGINS)
        .env("OPENAI_API_KEY", "sk-battery-staple")
        .env("OPENAI_BASE_URL", &format!("http://{}/v1", model.address()))
        .start();
    for name in ["database", "openai", "memory_service", "friend"] {
        host.wait_for_status(name, "connected");
    }
    host
}

/// What the plugin calls the space of the model, once it has met it; and the person, once heard of.
fn space(host: &TestHost) -> String {
    let kept = call(host, "relay", &relay("memory_service", "remember", &json!({ "text": QUESTION })));
    assert_eq!(kept["embedded"], true, "{kept}");
    let sql = "select id from memory_service_spaces";
    let rows = host.call("database", "query", &json!({ "sql": sql })).json();
    rows["rows"][0][0].as_str().expect("the model is known").to_owned()
}

fn relay(plugin: &str, operation: &str, request: &Value) -> Value {
    json!({ "plugin": plugin, "operation": operation, "request": request, "person": ADA })
}

fn call(host: &TestHost, operation: &str, request: &Value) -> Value {
    let answer = host.call("friend", operation, request);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

/// Milliseconds for one.
fn time(host: &TestHost, plugin: &str, operation: &str, request: &Value) -> f64 {
    let time = json!({ "relay": relay(plugin, operation, request), "count": AT_ONCE });
    let timed = call(host, "time", &time);
    timed["ns"].as_f64().expect("it tells nanoseconds") / 1e6 / f64::from(AT_ONCE)
}

fn open(folder: &Path) -> Connection {
    vec::register();
    let connection = Connection::open(folder.join("data/switchboard.db")).expect("the file is there");
    connection.execute_batch("pragma synchronous = off").expect("it is known");
    let beside = folder.join("beside.db");
    connection.execute("attach ?1 as beside", [beside.to_string_lossy()]).expect("a file can be made");
    let sql = format!(
        "create virtual table beside.bits using vec0
            (memory integer primary key, person text partition key, bits bit[{DIMENSIONS}])"
    );
    connection.execute_batch(&sql).expect("sqlite-vec is there");
    connection
}

/// As the plugin writes them.
fn fill(connection: &Connection, space: &str) {
    let mut random = StdRng::seed_from_u64(7);
    connection.execute_batch("begin immediate").expect("nobody else writes");
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        let mut statement = connection.prepare(sql).expect("the tables are there");
        statement.execute(values).expect("a row can be written");
    };
    for number in 1..=MEMORIES {
        let seq = number + 1_000_000;
        let words: Vec<_> = (0..WORDS_OF_MEMORY).map(|_| word(&mut random)).collect();
        let text = words.join(" ");
        let vector: Vec<f32> = (0..DIMENSIONS).map(|_| random.random_range(-1.0..1.0)).collect();
        let (numbers, bits) = (bytes(&vector), bits(&vector));
        run(
            "insert into memory_service_memories
                (seq, id, person, kind, body, caller, attachments, tags, wordy, at_ms)
             values (?1, 'fact_' || ?1, ?2, 'fact', ?3, 'friend', '[]', '[]', 1, ?1)",
            params![seq, ADA, text],
        );
        run("insert into memory_service_vectors values (?1, ?2, ?3)", params![seq, space, numbers]);
        run("insert into memory_service_bits values (?1, ?2, ?3, ?4)", params![ADA, space, seq, bits]);
        run(
            "insert into memory_service_words (rowid, words) values (?1, ?2)",
            params![seq, text.replace('w', &format!("{}xw", ADA.trim_start_matches('+')))],
        );
        run("insert into beside.bits values (?1, ?2, vec_bit(?3))", params![seq, ADA, bits]);
    }
    connection.execute_batch("commit").expect("it can be written");
    connection.execute_batch("pragma wal_checkpoint(truncate)").expect("it is known");
}

/// Some words are much more frequent than others.
fn word(random: &mut StdRng) -> String {
    let place = random.random_range(0.0..1.0_f64).powi(3) * WORDS;
    format!("w{place:.0}")
}

fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn bits(vector: &[f32]) -> Vec<u8> {
    let byte = |numbers: &[f32]| {
        numbers
            .iter()
            .enumerate()
            .fold(0_u8, |byte, (place, number)| byte | (u8::from(*number > 0.0) << place))
    };
    vector.chunks(8).map(byte).collect()
}

/// Milliseconds for one.
fn query(connection: &Connection, sql: &str, space: &str) -> f64 {
    let question = vec![-0.01_f32; DIMENSIONS];
    let begun = Instant::now();
    for _ in 0..AT_ONCE {
        let mut statement = connection.prepare(sql).expect("the SQL is good");
        let rows = statement
            .query_map(params![bytes(&question), ADA, space, bits(&question)], |row| row.get::<_, i64>(0))
            .expect("it runs");
        let found = rows.collect::<Result<Vec<_>, _>>().expect("ids are numbers");
        assert_eq!(black_box(found).len(), 40);
    }
    begun.elapsed().as_secs_f64() * 1000.0 / f64::from(AT_ONCE)
}

//! Row 11: a signed webhook until it is stored and answered, beside an axum route that inserts one row by sqlx into the
//! same database. Ours checks the signature, names the person, recognises what was delivered before, and goes on to
//! remember the message: the row of the processors counts all of that. Nobody answers, for there is no assistant.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;
use serde_json::json;
use switchboard_tests::{
    Setup, TestHost,
    partners::{free_port, postgres::Postgres},
    wait::wait_until,
};

use crate::{
    client::Connection,
    cpu,
    inserting::{self, Inserting},
    measure::{Pair, by_turns, percentile},
    table::Row,
};

/// Webhooks in a round.
const WEBHOOKS: usize = 200;
const PEOPLE: usize = 20;
const TOKEN: &str = "a-token-of-the-benchmark";
const PUBLIC: &str = "https://example.com";
const INBOUND: &str = "/webhooks/twilio/inbound-message";
const PAUSE: Duration = Duration::from_millis(200);

pub fn stored(rounds: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    {
        let host = start(None);
        let file = host.setup().path("data/switchboard.db").display().to_string();
        rows.extend(compare("SQLite", host, &file, rounds));
    }
    match Postgres::start() {
        Ok(postgres) => {
            rows.extend(compare("PostgreSQL", start(Some(&postgres.url())), &postgres.url(), rounds))
        }
        Err(missing) => eprintln!("row 11 leaves PostgreSQL out: {missing:?}"),
    }
    rows
}

/// A host whose Twilio and OpenAI are away: neither is needed to take a message.
fn start(database: Option<&str>) -> TestHost {
    let plugins = format!(
        "[plugins.database]\n[plugins.openai]\n[plugins.twilio]\n[plugins.memory_service]\n[plugins.messaging_service]\n\
         [plugins.twilio_service]\nsettings = {{ public_base_url = \"{PUBLIC}\" }}\n"
    );
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let setup = Setup::new(&plugins)
        .env("TWILIO_ACCOUNT_SID", "AC0000000000000000000000000000000a")
        .env("TWILIO_AUTH_TOKEN", TOKEN)
        .env("TWILIO_PHONE_NUMBER", "+15551234567")
        .env("TWILIO_API_BASE_URL", &nobody)
        .env("OPENAI_API_KEY", "sk-of-the-benchmark")
        .env("OPENAI_BASE_URL", &nobody);
    let setup = match database {
        Some(url) => setup.env("DATABASE_URL", url),
        None => setup,
    };
    let host = setup.start();
    host.wait_until_ready();
    host.wait_for_status("messaging_service", "connected");
    host
}

fn compare(name: &str, mut host: TestHost, database: &str, rounds: usize) -> [Row; 2] {
    let process = host.process().id();
    let bare = Inserting::start(database);
    let mut round = 0;
    let mut ours = || {
        round += 1;
        measure(host.address(), INBOUND, process, round, || processed(&host))
    };
    let mut reference_round = 0;
    let mut reference = || {
        reference_round += 1;
        measure(bare.address(), inserting::PATH, bare.process(), reference_round, || {})
    };
    let (mut our_cpu, mut reference_cpu) = (Vec::new(), Vec::new());
    let p99 = by_turns(rounds, || kept(ours(), &mut our_cpu), || kept(reference(), &mut reference_cpu));
    let cpu = Pair { ours: percentile(our_cpu, 0.5), reference: percentile(reference_cpu, 0.5) };
    [
        Row::comparison(11, &format!("webhook to stored, p99, {name}; axum, one insert by sqlx"), "us", p99),
        Row::comparison(11, &format!("the same until it is remembered, CPU, {name}"), "us", cpu),
    ]
}

fn kept((p99, cpu): (f64, f64), all: &mut Vec<f64>) -> f64 {
    all.push(cpu);
    p99
}

/// The 99th percentile of a round, and the time on the processors for one, both in microseconds.
fn measure(address: &str, path: &str, process: u32, round: usize, until: impl Fn()) -> (f64, f64) {
    let requests: Vec<_> = (0..WEBHOOKS).map(|number| request(address, path, round, number)).collect();
    let mut connection = Connection::open(address);
    let before = cpu::time(process);
    let mut times = Vec::with_capacity(WEBHOOKS);
    for request in &requests {
        let began = Instant::now();
        assert_eq!(connection.exchange(request), 200, "it is stored");
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    until();
    let used = (cpu::time(process) - before) as f64 / 1000.0 / WEBHOOKS as f64;
    (percentile(times, 0.99), used)
}

/// Nothing is under way any more. It is seldom asked, for that costs too.
fn processed(host: &TestHost) {
    let open = || {
        std::thread::sleep(PAUSE);
        let answer = host.call("messaging_service", "unprocessed", &json!({ "limit": 1 }));
        answer.json()["open"].as_u64()
    };
    wait_until("everything to be remembered", open, |open| *open == Some(0));
}

/// A message as Twilio delivers it, signed.
fn request(address: &str, path: &str, round: usize, number: usize) -> Vec<u8> {
    let sid = format!("SM{round}x{number}");
    let from = format!("+1555{:07}", number % PEOPLE);
    let fields = [
        ("Body", "What is the weather like today?"),
        ("From", &from),
        ("MessageSid", &sid),
        ("NumMedia", "0"),
        ("To", "+15551234567"),
    ];
    let signed: String = fields.iter().map(|(name, value)| format!("{name}{value}")).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, TOKEN.as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, format!("{PUBLIC}{INBOUND}{signed}").as_bytes()));
    let encode = |text: &str| text.replace('+', "%2B").replace('?', "%3F").replace(' ', "+");
    let body: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let body = body.join("&");
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         x-twilio-signature: {signature}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

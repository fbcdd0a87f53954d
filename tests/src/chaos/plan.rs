//! A seed becomes what people do and what fails, and when. The same seed draws the same plan; only the machine decides how
//! both meet. Pure.

use std::{fmt, time::Duration};

use fastrand::Rng;

/// Which database the hosts of a round use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// One host.
    Sqlite,
    /// One or two hosts.
    Postgresql,
}

/// Everything that is drawn for a round.
#[derive(Debug)]
pub struct Plan {
    /// What it was drawn from.
    pub seed: u64,
    /// The database of the hosts.
    pub database: Database,
    /// How many hosts.
    pub hosts: usize,
    /// Whether the hosts have clocks that are stepped: they cost some speed.
    pub clocks: bool,
    /// What fails, one after the other in each track; the tracks run at once.
    pub tracks: Vec<Vec<Step>>,
    /// The people, each with what they write, in order.
    pub people: Vec<Vec<Text>>,
    /// When jobs are scheduled, and how long after that they are due.
    pub jobs: Vec<(Duration, Duration)>,
    /// When runs are started that need approval.
    pub acts: Vec<Act>,
}

/// A fault, and the pause before it.
#[derive(Debug)]
pub struct Step {
    /// The pause.
    pub after: Duration,
    /// The fault.
    pub what: Fault,
    /// How long it lasts; what is dead or cut comes back then.
    pub lasts: Duration,
}

/// What fails. A number names a host.
#[derive(Debug, Clone)]
pub enum Fault {
    /// `kill -9`, and a start.
    Kill(usize),
    /// SIGTERM, and a start.
    Terminate(usize),
    /// SIGSTOP, SIGCONT.
    Pause(usize),
    /// The clock is off by so many seconds from now on.
    Clock(usize, i64),
    /// A setting of this plugin changes.
    Reload(usize, &'static str),
    /// The way from a host to a partner.
    Way(usize, Partner, Trouble),
    /// PostgreSQL is killed, or stopped, and started.
    Restart { is_crash: bool },
    /// The disk of SQLite is full.
    FullDisk,
    /// Twilio misbehaves.
    Twilio(Partnership),
    /// The model misbehaves.
    Model(Partnership),
}

/// Where a way leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partner {
    /// PostgreSQL.
    Database,
    /// Twilio's REST.
    Twilio,
    /// The model.
    Model,
    /// The mail server.
    Mail,
}

/// What happens to a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Connections end, and none is taken.
    Cut,
    /// Connections stay, and nothing arrives.
    Frozen,
    /// All arrives late.
    Slow,
}

/// How a partner answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Partnership {
    /// As it should.
    #[default]
    Good,
    /// 500, and did nothing.
    Refuses,
    /// 500, and did it all the same.
    TakesAndFails,
    /// Ends the connection instead of an answer, and did it all the same.
    TakesAndGoes,
    /// 429, come again in so many seconds.
    TooMany(u64),
    /// Does it after so many milliseconds, whether or not anybody still waits.
    Slow(u64),
    /// Did it, and answers when this is over.
    TakesAndHangs,
    /// Does nothing, and ends the connection when this is over.
    Hangs,
}

/// What a person writes, and the pause before it.
#[derive(Debug)]
pub struct Text {
    /// The pause.
    pub after: Duration,
    /// The words.
    pub body: String,
    /// Whether it is a STOP or a START.
    pub keyword: Option<Keyword>,
    /// How often it is delivered once more after it was taken.
    pub repeats: u32,
    /// Whether it is delivered twice at once.
    pub is_doubled: bool,
}

/// A word that is an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keyword {
    /// Write to me no more.
    Stop,
    /// Write to me again.
    Start,
}

/// A run whose one tool call is decided by two people at once, one for and one against it.
#[derive(Debug)]
pub struct Act {
    /// When it is started.
    pub at: Duration,
    /// By mail, which has no keys; else by SMS.
    pub is_mail: bool,
    /// How much later the one against it decides; below zero, earlier.
    pub lead_ms: i64,
}

/// The plugins whose settings are changed.
const RELOADED: [&str; 7] = [
    "smtp",
    "openai",
    "twilio",
    "twilio_service",
    "messaging_service",
    "orchestrator_service",
    "scheduler_service",
];

impl Plan {
    /// Draws one.
    pub fn draw(seed: u64, database: Database) -> Self {
        let mut rng = Rng::with_seed(seed);
        let hosts = if database == Database::Postgresql && rng.u8(0..3) > 0 { 2 } else { 1 };
        let clocks = rng.bool();
        let length = millis(&mut rng, 10_000, 25_000);
        let mut draw = |what: &mut dyn FnMut(&mut Rng) -> Fault| track(&mut rng, length, what);
        let mut tracks: Vec<_> = (0..hosts).map(|host| draw(&mut |rng| of_host(rng, host, clocks))).collect();
        tracks.push(draw(&mut |rng| of_database(rng, database, hosts)));
        tracks.push(draw(&mut |rng| of_partner(rng, hosts, Partner::Twilio)));
        tracks.push(draw(&mut |rng| of_partner(rng, hosts, Partner::Model)));
        tracks.push(draw(&mut |rng| Fault::Way(rng.usize(..hosts), Partner::Mail, trouble(rng))));
        let mut people: Vec<_> = (0..5).map(|person| talker(&mut rng, person)).collect();
        people.extend((5..7).map(|person| stopper(&mut rng, person)));
        let jobs = (0..8).map(|_| (millis(&mut rng, 0, 12_000), millis(&mut rng, 500, 6000))).collect();
        let act = |_| Act { at: millis(&mut rng, 0, 10_000), is_mail: rng.bool(), lead_ms: rng.i64(-30..30) };
        let acts = (0..4).map(act).collect();
        Self { seed, database, hosts, clocks, tracks, people, jobs, acts }
    }
}

fn millis(rng: &mut Rng, least: u64, most: u64) -> Duration {
    Duration::from_millis(rng.u64(least..=most))
}

/// Faults until the time is over.
fn track(rng: &mut Rng, length: Duration, what: &mut dyn FnMut(&mut Rng) -> Fault) -> Vec<Step> {
    let (mut steps, mut passed) = (Vec::new(), Duration::ZERO);
    loop {
        let (after, what) = (millis(rng, 300, 5000), what(rng));
        let longest = if matches!(what, Fault::Pause(_)) { 9000 } else { 4000 };
        let lasts = millis(rng, 200, longest);
        passed += after + lasts;
        if passed > length {
            return steps;
        }
        steps.push(Step { after, what, lasts });
    }
}

fn of_host(rng: &mut Rng, host: usize, clocks: bool) -> Fault {
    match rng.u8(0..10) {
        0..=3 => Fault::Kill(host),
        4 => Fault::Terminate(host),
        5..=6 => Fault::Pause(host),
        7 if clocks => {
            let seconds = [2, 31, 130, 3600, 90_000][rng.usize(..5)];
            Fault::Clock(host, if rng.bool() { seconds } else { -seconds })
        }
        _ => Fault::Reload(host, RELOADED[rng.usize(..RELOADED.len())]),
    }
}

fn of_database(rng: &mut Rng, database: Database, hosts: usize) -> Fault {
    match (database, rng.u8(0..4)) {
        (Database::Sqlite, _) => Fault::FullDisk,
        (Database::Postgresql, 0) => Fault::Restart { is_crash: rng.bool() },
        (Database::Postgresql, _) => Fault::Way(rng.usize(..hosts), Partner::Database, trouble(rng)),
    }
}

fn of_partner(rng: &mut Rng, hosts: usize, partner: Partner) -> Fault {
    let how = match rng.u8(0..10) {
        0 => Partnership::Refuses,
        1..=2 => Partnership::TakesAndFails,
        3 => Partnership::TakesAndGoes,
        4 => Partnership::TooMany(rng.u64(1..=8)),
        5 => Partnership::Slow(rng.u64(200..5000)),
        6 => Partnership::TakesAndHangs,
        7 => Partnership::Hangs,
        _ => return Fault::Way(rng.usize(..hosts), partner, trouble(rng)),
    };
    if partner == Partner::Twilio { Fault::Twilio(how) } else { Fault::Model(how) }
}

fn trouble(rng: &mut Rng) -> Trouble {
    [Trouble::Cut, Trouble::Frozen, Trouble::Slow][rng.usize(..3)]
}

/// Each text is like no other in the round.
fn text(rng: &mut Rng, person: usize, number: usize) -> Text {
    Text {
        after: millis(rng, 0, 2500),
        body: format!("word-{person}-{number}."),
        keyword: None,
        repeats: if rng.u8(0..10) < 3 { rng.u32(1..3) } else { 0 },
        is_doubled: rng.u8(0..10) < 2,
    }
}

fn talker(rng: &mut Rng, person: usize) -> Vec<Text> {
    (0..rng.usize(5..9)).map(|number| text(rng, person, number)).collect()
}

/// Somebody who says STOP and START among their texts.
fn stopper(rng: &mut Rng, person: usize) -> Vec<Text> {
    let mut number = 0;
    let mut texts = Vec::new();
    let mut say = |rng: &mut Rng, count: usize, keyword: Option<Keyword>| {
        for _ in 0..count {
            texts.push(text(rng, person, number));
            number += 1;
        }
        let Some(keyword) = keyword else { return };
        let body = if keyword == Keyword::Stop { "STOP" } else { "START" }.to_owned();
        texts.push(Text { body, keyword: Some(keyword), ..text(rng, person, number) });
        number += 1;
    };
    for _ in 0..rng.usize(1..3) {
        let (before, between) = (rng.usize(1..4), rng.usize(0..3));
        say(rng, before, Some(Keyword::Stop));
        say(rng, between, Some(Keyword::Start));
    }
    let rest = rng.usize(0..3);
    say(rng, rest, None);
    texts
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, database, hosts, clocks, .. } = self;
        writeln!(formatter, "seed {seed}, {database:?}, {hosts} hosts, clocks that step: {clocks}")?;
        for (number, track) in self.tracks.iter().enumerate() {
            writeln!(formatter, "track {number}")?;
            for Step { after, what, lasts } in track {
                writeln!(formatter, "    after {after:?}: {what:?} for {lasts:?}")?;
            }
        }
        for (number, texts) in self.people.iter().enumerate() {
            let words: Vec<_> = texts.iter().map(|text| text.body.as_str()).collect();
            writeln!(formatter, "person {number} writes {}", words.join(", "))?;
        }
        writeln!(formatter, "jobs {:?}\nacts {:?}", self.jobs, self.acts)
    }
}

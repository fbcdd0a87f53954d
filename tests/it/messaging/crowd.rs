//! Many people who write many messages, each delivered twice; and what must be true of the answers.

use std::{
    collections::HashMap,
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use serde_json::Value;
use switchboard_tests::{
    partners::{Missing, twilio::sign_all},
    wait::poll,
};

use super::{INBOUND, PUBLIC, TOKEN, carrier::Carrier, form, post};

/// How many deliver at once.
const AT_ONCE: usize = 8;
/// An answer that was under way when a host was killed is looked for at Twilio for two minutes.
const PATIENCE: Duration = Duration::from_secs(600);
const LOOK: Duration = Duration::from_millis(500);
/// As Twilio does: again, until somebody takes it.
const TRIES: usize = 200;

/// The people, and what they write.
pub struct Crowd {
    people: usize,
    messages: usize,
    webhooks: Vec<(Value, String)>,
}

impl Crowd {
    /// So many people who write so many messages each, all signed.
    pub fn new(people: usize, messages: usize) -> Result<Self, Missing> {
        let all = (0..people).flat_map(|person| (0..messages).map(move |number| (person, number)));
        let forms: Vec<_> = all
            .map(|(person, number)| form(&sid(person, number), &address(person), &format!("{number}"), &[]))
            .collect();
        let signatures = sign_all(TOKEN, &format!("{PUBLIC}{INBOUND}"), &forms)?;
        Ok(Self { people, messages, webhooks: forms.into_iter().zip(signatures).collect() })
    }

    /// Delivers these messages of everybody, each to two of the hosts. Nobody writes the next one before the last is
    /// taken.
    pub fn deliver(&self, hosts: &[String], numbers: Range<usize>) {
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    while let Some(person) =
                        Some(next.fetch_add(1, Ordering::Relaxed)).filter(|next| *next < self.people)
                    {
                        numbers.clone().for_each(|number| self.deliver_one(hosts, person, number));
                    }
                });
            }
        });
    }

    fn deliver_one(&self, hosts: &[String], person: usize, number: usize) {
        let (form, signature) = &self.webhooks[person * self.messages + number];
        for copy in 0..2 {
            let taken = (0..TRIES).any(|attempt| {
                let host = &hosts[(person + number + copy + attempt) % hosts.len()];
                let taken = post(host, form, signature).is_ok_and(|answer| answer.status == 200);
                if !taken {
                    thread::sleep(Duration::from_millis(50));
                }
                taken
            });
            assert!(taken, "nobody takes message {number} of {person}");
        }
    }

    /// Everybody is answered once a message, in the order in which they wrote, and nothing is left over.
    #[track_caller]
    pub fn is_answered_once_and_in_order(&self, carrier: &Carrier, unprocessed: impl Fn() -> Value) {
        // To ask more often would slow down what is waited for.
        let left = || {
            thread::sleep(LOOK);
            unprocessed()
        };
        let done = |left: &Value| left["open"] == 0;
        let left = poll(PATIENCE, left, done).unwrap_or_else(|last| panic!("still at work: {last:#}"));
        assert_eq!(left["failed"], 0, "{left:#}");
        let mut answers: HashMap<String, Vec<String>> = HashMap::new();
        for (to, text) in carrier.taken() {
            let answered = text.split(' ').nth(1).unwrap_or_default().to_owned();
            answers.entry(to).or_default().push(answered);
        }
        let expected: Vec<_> = (0..self.messages).map(|number| number.to_string()).collect();
        for person in 0..self.people {
            let theirs = answers.remove(&address(person)).unwrap_or_default();
            assert_eq!(theirs, expected, "{}", address(person));
        }
        assert!(answers.is_empty(), "{answers:?}");
    }
}

fn address(person: usize) -> String {
    format!("+1555{person:07}")
}

fn sid(person: usize, number: usize) -> String {
    format!("SM{person}x{number}")
}

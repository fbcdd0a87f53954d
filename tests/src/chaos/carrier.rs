//! Stands for Twilio's REST: remembers what it took, and when it was asked to, and fails as it is told. Its clock is right.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use plugin_api::{
    jiff::{Timestamp, fmt::rfc2822, tz::TimeZone},
    requests::http::HttpRequest,
};
use serde_json::{Value, json};

use super::plan::Partnership;
use crate::peer::{Asked, Peer, Reply};

/// The account.
pub const ACCOUNT: &str = "AC0000000000000000000000000000000a";
/// How often a request that hangs looks whether it goes on.
const LOOK: Duration = Duration::from_millis(20);

/// A server; it ends with the process.
pub struct Carrier {
    peer: Peer,
    shared: Arc<Shared>,
}

struct Shared {
    begun: Instant,
    how: Mutex<Partnership>,
    taken: Mutex<Vec<Taken>>,
}

/// A message that it took.
#[derive(Debug, Clone)]
pub struct Taken {
    /// When the request was read, within the round.
    pub asked_at: Duration,
    /// The recipient.
    pub to: String,
    /// The text.
    pub body: String,
    /// Its name at Twilio.
    pub sid: String,
    /// The entry that the address for its reports names.
    pub callback: String,
    shown: Value,
}

impl Carrier {
    /// Starts one, in a round that began then.
    pub fn start(begun: Instant) -> Self {
        let shared = Arc::new(Shared { begun, how: Mutex::default(), taken: Mutex::default() });
        let known = shared.clone();
        Self { peer: Peer::start_with(move |asked| known.answer(asked)), shared }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        self.peer.address()
    }

    /// How it takes messages from now on.
    pub fn set(&self, how: Partnership) {
        *self.shared.how.lock().unwrap_or_else(PoisonError::into_inner) = how;
    }

    /// Everything that it took, in order.
    pub fn taken(&self) -> Vec<Taken> {
        self.shared.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shared {
    fn answer(&self, asked: &Asked) -> Option<Reply> {
        let is_message = asked.method == "POST" && asked.path.ends_with("/Messages.json");
        if !is_message {
            return Some(reply(200, self.read(asked)));
        }
        let asked_at = self.begun.elapsed();
        let how = *self.how.lock().unwrap_or_else(PoisonError::into_inner);
        match how {
            Partnership::Good => Some(reply(201, self.take(asked, asked_at))),
            Partnership::Refuses => Some(reply(500, failure(500))),
            Partnership::TakesAndFails => {
                self.take(asked, asked_at);
                Some(reply(500, failure(500)))
            }
            Partnership::TakesAndGoes => {
                self.take(asked, asked_at);
                None
            }
            Partnership::TooMany(seconds) => {
                let mut reply = reply(429, failure(429));
                reply.headers.push(("retry-after", seconds.to_string()));
                Some(reply)
            }
            Partnership::Slow(millis) => {
                thread::sleep(Duration::from_millis(millis));
                Some(reply(201, self.take(asked, asked_at)))
            }
            Partnership::TakesAndHangs => {
                let message = self.take(asked, asked_at);
                self.hang(how);
                Some(reply(201, message))
            }
            Partnership::Hangs => {
                self.hang(how);
                None
            }
        }
    }

    /// Until it behaves otherwise.
    fn hang(&self, how: Partnership) {
        while *self.how.lock().unwrap_or_else(PoisonError::into_inner) == how {
            thread::sleep(LOOK);
        }
    }

    fn take(&self, asked: &Asked, asked_at: Duration) -> Value {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let sid = format!("SM{:032x}", taken.len() + 1);
        let [to, from, body, callback] =
            ["To", "From", "Body", "StatusCallback"].map(|name| field(&asked.body, name));
        let shown = json!({
            "sid": sid, "status": "queued", "direction": "outbound-api", "num_media": "0", "to": to, "from": from,
            "body": body, "messaging_service_sid": null, "date_created": now(),
        });
        taken.push(Taken { asked_at, to, body, sid, callback, shown: shown.clone() });
        shown
    }

    fn read(&self, asked: &Asked) -> Value {
        match asked.path.rsplit('/').next() {
            Some("Messages.json") => {
                let to = field(&asked.query, "To");
                let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
                let theirs = taken.iter().rev().filter(|message| message.to == to);
                let listed: Vec<_> = theirs.map(|message| message.shown.clone()).collect();
                json!({ "messages": listed, "next_page_uri": null })
            }
            Some("IncomingPhoneNumbers.json") => {
                let number = field(&asked.query, "PhoneNumber");
                json!({ "incoming_phone_numbers": [{ "phone_number": number, "capabilities": { "sms": true } }] })
            }
            _ => json!({ "sid": ACCOUNT, "status": "active", "type": "Full", "friendly_name": "test" }),
        }
    }
}

fn reply(status: u16, body: Value) -> Reply {
    Reply { status, headers: Vec::new(), body }
}

fn failure(status: u16) -> Value {
    json!({ "code": 20000 + u32::from(status), "message": "told to fail", "status": status })
}

fn now() -> String {
    rfc2822::to_string(&Timestamp::now().to_zoned(TimeZone::UTC)).expect("it is a date")
}

/// A field of a form or query, decoded.
fn field(form: &str, name: &str) -> String {
    let request = HttpRequest { query: form.to_owned(), ..HttpRequest::default() };
    request.query().into_iter().find(|(key, _)| key == name).map(|(_, value)| value).unwrap_or_default()
}

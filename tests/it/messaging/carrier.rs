//! Stands for Twilio's REST where thousands of messages go out: takes them, and tells in which order. It does as little as
//! it can, for it shares the machine with the hosts.

use std::sync::{Arc, Mutex, mpsc};

use plugin_api::jiff::{Timestamp, fmt::rfc2822, tz::TimeZone};
use serde_json::{Value, json};
use switchboard_tests::peer::{Asked, Peer};

/// A server; it ends with the test.
pub struct Carrier {
    peer: Peer,
    taken: Arc<Mutex<Vec<Value>>>,
    refused: Arc<Mutex<Option<(String, u32)>>>,
    busy: Arc<Mutex<bool>>,
    held: Arc<Mutex<Option<mpsc::Receiver<()>>>>,
}

impl Carrier {
    /// Starts one, for an account of this SID.
    pub fn start(account: &'static str) -> Self {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let refused = Arc::new(Mutex::new(None));
        let (busy, held) = (Arc::new(Mutex::new(false)), Arc::<Mutex<Option<mpsc::Receiver<()>>>>::default());
        let (shared, refusals) = (taken.clone(), refused.clone());
        let (is_busy, holds) = (busy.clone(), held.clone());
        let peer = Peer::start(move |asked| {
            let is_message = asked.method == "POST";
            if is_message && *is_busy.lock().expect("no thread panics") {
                return (429, json!({ "code": 20429, "message": "Too Many Requests", "status": 429 }));
            }
            let hold = holds.lock().expect("no thread panics").take_if(|_| is_message);
            // Released or gone, it goes on.
            let _ = hold.map(|hold| hold.recv());
            refusal(asked, &refusals).unwrap_or_else(|| answer(asked, account, &shared))
        });
        Self { peer, taken, refused, busy, held }
    }

    /// Messages are turned away as too many from now on, or are taken again.
    pub fn set_busy(&self, is_busy: bool) {
        *self.busy.lock().expect("no thread panics") = is_busy;
    }

    /// The next message is taken only when the sender is used, or gone.
    pub fn hold(&self) -> mpsc::Sender<()> {
        let (release, hold) = mpsc::channel();
        *self.held.lock().expect("no thread panics") = Some(hold);
        release
    }

    /// Whether a message is being held.
    pub fn is_holding(&self) -> bool {
        self.held.lock().expect("no thread panics").is_none()
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        self.peer.address()
    }

    /// Recipient and text of all messages, in the order in which they were taken.
    pub fn taken(&self) -> Vec<(String, String)> {
        let text = |message: &Value, name: &str| message[name].as_str().unwrap_or_default().to_owned();
        let taken = self.taken.lock().expect("no thread panics");
        taken.iter().map(|message| (text(message, "to"), text(message, "body"))).collect()
    }

    /// Messages to this recipient are refused by this code from now on.
    pub fn refuse(&self, to: &str, code: u32) {
        *self.refused.lock().expect("no thread panics") = Some((to.to_owned(), code));
    }

    /// The senders of all messages, in the same order.
    pub fn senders(&self) -> Vec<String> {
        let taken = self.taken.lock().expect("no thread panics");
        taken.iter().map(|message| message["from"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.taken.lock().expect("no thread panics").len()
    }
}

/// As Twilio words a refusal.
fn refusal(asked: &Asked, refused: &Mutex<Option<(String, u32)>>) -> Option<(u16, Value)> {
    let refused = refused.lock().expect("no thread panics");
    let (to, code) = refused.as_ref()?;
    let is_meant = asked.method == "POST" && field(&asked.body, "To") == *to;
    is_meant.then(|| {
        let more = format!("https://www.twilio.com/docs/errors/{code}");
        let message = format!("Invalid 'To' Phone Number: {to}");
        (400, json!({ "code": code, "message": message, "more_info": more, "status": 400 }))
    })
}

fn answer(asked: &Asked, account: &str, taken: &Mutex<Vec<Value>>) -> (u16, Value) {
    match (asked.method.as_str(), asked.path.rsplit('/').next()) {
        ("POST", Some("Messages.json")) => {
            let mut taken = taken.lock().expect("no thread panics");
            let message = message(&asked.body, taken.len() + 1);
            taken.push(message.clone());
            (201, message)
        }
        (_, Some("Messages.json")) => {
            let taken = taken.lock().expect("no thread panics");
            let to = field(&asked.query, "To");
            let theirs = taken.iter().rev().filter(|message| message["to"] == to.as_str());
            (200, json!({ "messages": theirs.collect::<Vec<_>>(), "next_page_uri": null }))
        }
        (_, Some("IncomingPhoneNumbers.json")) => {
            let number = json!({ "phone_number": field(&asked.query, "PhoneNumber"), "capabilities": { "sms": true } });
            (200, json!({ "incoming_phone_numbers": [number] }))
        }
        _ => (200, json!({ "sid": account, "status": "active", "type": "Full", "friendly_name": "test" })),
    }
}

fn message(form: &str, number: usize) -> Value {
    let now = rfc2822::to_string(&Timestamp::now().to_zoned(TimeZone::UTC)).expect("it is a date");
    json!({
        "sid": format!("SM{number:032x}"), "status": "queued", "direction": "outbound-api", "num_media": "0",
        "to": field(form, "To"), "from": field(form, "From"), "body": field(form, "Body"),
        "messaging_service_sid": null, "date_created": now,
    })
}

/// A field of a form or query, decoded.
fn field(form: &str, name: &str) -> String {
    let request = plugin_api::requests::http::HttpRequest { query: form.to_owned(), ..Default::default() };
    request.query().into_iter().find(|(key, _)| key == name).map(|(_, value)| value).unwrap_or_default()
}

//! Stands for Twilio's REST where thousands of messages go out: takes them, and tells in which order. It does as little as
//! it can, for it shares the machine with the hosts.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use plugin_api::jiff::{Timestamp, fmt::rfc2822, tz::TimeZone};
use serde_json::{Value, json};

/// A server; it ends with the test.
pub struct Carrier {
    address: String,
    taken: Arc<Mutex<Vec<Value>>>,
}

impl Carrier {
    /// Starts one, for an account of this SID.
    pub fn start(account: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let shared = taken.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let taken = shared.clone();
                thread::spawn(move || serve(client, account, &taken));
            }
        });
        Self { address, taken }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Recipient and text of all messages, in the order in which they were taken.
    pub fn taken(&self) -> Vec<(String, String)> {
        let text = |message: &Value, name: &str| message[name].as_str().unwrap_or_default().to_owned();
        let taken = self.taken.lock().expect("no thread panics");
        taken.iter().map(|message| (text(message, "to"), text(message, "body"))).collect()
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.taken.lock().expect("no thread panics").len()
    }
}

/// One request after the other, until the client goes.
fn serve(client: TcpStream, account: &str, taken: &Mutex<Vec<Value>>) -> Option<()> {
    client.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut client = client;
    loop {
        let (line, body) = read(&mut reader)?;
        let (status, answer) = answer(&line, &body, account, taken);
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}",
            answer.len()
        );
        client.write_all(format!("{head}\r\n\r\n{answer}").as_bytes()).ok()?;
    }
}

/// The first line of a request, and its body.
fn read(reader: &mut impl BufRead) -> Option<(String, String)> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|length| *length > 0)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(announced) = line.to_lowercase().strip_prefix("content-length:") {
            length = announced.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first, String::from_utf8(body).ok()?))
}

fn answer(line: &str, body: &str, account: &str, taken: &Mutex<Vec<Value>>) -> (&'static str, Value) {
    let (path, query) =
        line.split(' ').nth(1).map_or(("", ""), |path| path.split_once('?').unwrap_or((path, "")));
    match (line.split(' ').next(), path.rsplit('/').next()) {
        (Some("POST"), Some("Messages.json")) => {
            let mut taken = taken.lock().expect("no thread panics");
            let message = message(body, taken.len() + 1);
            taken.push(message.clone());
            ("201 Created", message)
        }
        (_, Some("Messages.json")) => {
            let taken = taken.lock().expect("no thread panics");
            let to = field(query, "To");
            let theirs = taken.iter().rev().filter(|message| message["to"] == to.as_str());
            ("200 OK", json!({ "messages": theirs.collect::<Vec<_>>(), "next_page_uri": null }))
        }
        (_, Some("IncomingPhoneNumbers.json")) => {
            let number =
                json!({ "phone_number": field(query, "PhoneNumber"), "capabilities": { "sms": true } });
            ("200 OK", json!({ "incoming_phone_numbers": [number] }))
        }
        _ => {
            ("200 OK", json!({ "sid": account, "status": "active", "type": "Full", "friendly_name": "test" }))
        }
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

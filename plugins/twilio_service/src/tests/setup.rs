//! An instance of the plugin with a stand-in for `twilio`, as the tests want it.

use std::sync::{Arc, Mutex, mpsc};

use plugin_api::{
    jiff::{SignedDuration, Timestamp, fmt::rfc2822, tz::TimeZone},
    prelude::*,
    protocol::CallHeader,
    requests::{
        http::Body,
        twilio::{
            Identify, Identity, RestMethod, RestRequest, RestResponse, TwilioTrouble, Verified,
            VerifySignature,
        },
        twilio_service::SendMessage,
    },
    serde_json::{self, Value, json},
    testing::{TestInstance, TestPlugin, database::Database},
    tokio,
};

use crate::TwilioService;

pub const NUMBER: &str = "+15551234567";
pub const ADA: &str = "+15550000001";

/// What Twilio answers.
pub type Answer = Result<Value, OperationError>;

/// A stand-in that answers creates by a script, and keeps what it took.
#[derive(Clone, Default)]
pub struct Twilio(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    taken: Vec<Value>,
    creates: Vec<RestRequest>,
    reads: Vec<RestRequest>,
    lost: Option<fn() -> OperationError>,
    refusal: Option<fn() -> OperationError>,
    held: Option<mpsc::Receiver<()>>,
    /// How far Twilio's clock is ahead of ours.
    ahead_ms: i64,
    has_no_clock: bool,
    identities_left: Option<u32>,
    once: Option<Box<dyn FnOnce() -> OperationError + Send>>,
}

impl Twilio {
    /// From now on creates are taken, and the answers lost.
    pub fn loses(&self, error: fn() -> OperationError) {
        self.lock().lost = Some(error);
    }

    /// From now on creates are refused.
    pub fn refuses(&self, error: fn() -> OperationError) {
        self.lock().refusal = Some(error);
    }

    /// The next create is refused.
    pub fn refuses_once(&self, error: impl FnOnce() -> OperationError + Send + 'static) {
        self.lock().once = Some(Box::new(error));
    }

    /// The next create is held until the sender is used, or gone.
    pub fn holds_once(&self) -> mpsc::Sender<()> {
        let (release, held) = mpsc::channel();
        self.lock().held = Some(held);
        release
    }

    /// From now on Twilio's clock is so much ahead of ours.
    pub fn set_ahead(&self, ahead_ms: i64) {
        self.lock().ahead_ms = ahead_ms;
    }

    /// Whether Twilio's clock is not known, as before its first answer.
    pub fn set_without_clock(&self, has_no_clock: bool) {
        self.lock().has_no_clock = has_no_clock;
    }

    /// Tells so often who we are, and then fails.
    pub fn identifies(&self, times: u32) {
        self.lock().identities_left = Some(times);
    }

    pub fn works(&self) {
        let mut state = self.lock();
        (state.lost, state.refusal, state.identities_left) = (None, None, None);
    }

    pub fn creates(&self) -> Vec<RestRequest> {
        self.lock().creates.clone()
    }

    /// Waits until something is to be created.
    pub async fn wait_for_a_create(&self) {
        let created = async {
            while self.creates().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), created).await.expect("something is created");
    }

    pub fn reads(&self) -> usize {
        self.lock().reads.len()
    }

    fn answer(&self, request: RestRequest) -> Answer {
        let mut state = self.lock();
        match request.method {
            RestMethod::Get => {
                state.reads.push(request.clone());
                state.read(&request)
            }
            RestMethod::Post => {
                state.creates.push(request.clone());
                if let Some(held) = state.held.take() {
                    drop(state);
                    // Released or gone, it goes on.
                    let _ = tokio::task::block_in_place(|| held.recv());
                    state = self.lock();
                }
                state.create(&request)
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_millis(self.ahead_ms)
    }

    fn create(&mut self, request: &RestRequest) -> Answer {
        if let Some(once) = self.once.take() {
            return Err(once());
        }
        if let Some(refusal) = self.refusal {
            return Err(refusal());
        }
        if !request.path.ends_with("s.json") {
            return self.read(request);
        }
        let get =
            |name: &str| request.form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let prefix = if request.path.starts_with("Calls") { "CA" } else { "SM" };
        let created = json!({
            "sid": format!("{prefix}{:032x}", self.taken.len() + 1), "status": "queued", "direction": "outbound-api",
            "to": get("To"), "from": get("From"), "body": get("Body"), "num_media": "0",
            "messaging_service_sid": get("MessagingServiceSid"), "date_created": written(self.now()),
        });
        self.taken.push(created.clone());
        match self.lost {
            Some(error) => Err(error()),
            None => Ok(created),
        }
    }

    fn read(&self, request: &RestRequest) -> Answer {
        let list = if request.path.starts_with("Calls") { "calls" } else { "messages" };
        if request.path.ends_with("s.json") {
            return Ok(json!({ list: self.taken, "next_page_uri": null }));
        }
        let sid = request.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".json").to_owned();
        let found = self.taken.iter().find(|item| item["sid"] == sid.as_str()).cloned();
        found.ok_or_else(|| OperationError::not_found("Twilio knows no such thing"))
    }
}

/// A moment as Twilio writes it.
fn written(moment: Timestamp) -> String {
    rfc2822::to_string(&moment.to_zoned(TimeZone::UTC)).unwrap()
}

/// An instance beside this stand-in.
pub fn plugin(twilio: &Twilio, settings: Value) -> TestInstance<TwilioService> {
    beside(twilio, TestPlugin::new(settings))
}

/// One that keeps its ledger in this database.
pub async fn plugin_with(twilio: &Twilio, database: &Database) -> TestInstance<TwilioService> {
    let plugin = beside(twilio, database.serve(TestPlugin::new(json!({}))));
    plugin.init().await.expect("it comes up");
    plugin
}

fn beside(twilio: &Twilio, plugin: TestPlugin<TwilioService>) -> TestInstance<TwilioService> {
    let (answers, clock) = (twilio.clone(), twilio.clone());
    plugin
        .fake("twilio", move |request: RestRequest| {
            answers.answer(request).map(|body| RestResponse { status: 201, body })
        })
        .fake("twilio", move |_: Identify| {
            let mut state = clock.lock();
            if let Some(left) = &mut state.identities_left {
                *left = left
                    .checked_sub(1)
                    .ok_or_else(|| OperationError::unknown_outcome("the plugin panicked"))?;
            }
            let now_ms = (!state.has_no_clock).then(|| state.now().as_millisecond());
            Ok(Identity { now_ms, ..identity() })
        })
        .fake("twilio", |request: VerifySignature| match request.request.header("x-twilio-signature") {
            Some("good") => Ok(Verified { params: request.request.form()? }),
            _ => Err(OperationError::denied("not signed")),
        })
        .create()
        .unwrap_or_else(|failure| panic!("the settings are refused: {failure}"))
}

pub fn identity() -> Identity {
    Identity {
        account_sid: "AC00000000000000000000000000000001".to_owned(),
        phone_number: NUMBER.to_owned(),
        can_verify_webhooks: true,
        now_ms: None,
    }
}

/// An SMS to Ada.
pub fn sms(body: &str) -> SendMessage {
    SendMessage { to: Some(ADA.to_owned()), body: Some(body.to_owned()), ..SendMessage::default() }
}

/// A call with an idempotency key.
pub fn keyed(key: &str) -> CallHeader {
    CallHeader { idempotency_key: Some(key.to_owned()), ..CallHeader::default() }
}

/// A form as a route receives it.
pub fn form(url: &str, body: &str) -> HttpRequest {
    HttpRequest {
        method: "POST".to_owned(),
        url: url.to_owned(),
        query: url.split_once('?').map_or(String::new(), |(_, query)| query.to_owned()),
        headers: vec![("x-twilio-signature".to_owned(), "good".to_owned())],
        body: Body::Text(body.to_owned()),
        ..HttpRequest::default()
    }
}

/// A refusal with Twilio's code.
pub fn refusal(kind: ErrorKind, code: u32) -> OperationError {
    let trouble = TwilioTrouble { code: Some(code), http_status: Some(400) };
    OperationError::new(kind, "Twilio did not do it").details(serde_json::to_value(trouble).unwrap())
}

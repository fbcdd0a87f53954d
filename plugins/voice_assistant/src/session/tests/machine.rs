//! A conversation as a machine: events in, and what comes of it in words that a test can compare.

use std::{sync::Arc, time::Duration};

use plugin_api::{
    requests::{
        memory::Speaker,
        voice::{BridgeEvent, Heard, MediaReport, SessionEvent, read_spoken},
    },
    serde_json::{self, Value, json},
};

use crate::{
    call::{Entry, Next},
    session::{
        core::{Beginning, Core, Effect, tools::ToolDone, voice::Out},
        model::{Content, Event, Fault, FaultKind, FunctionCall, Loss, Outcome, Request},
        settings::{Common, Config, Settings},
    },
};

pub fn config(settings: Value) -> Arc<Config> {
    let settings: Settings = serde_json::from_value(settings).expect("good settings");
    Arc::new(Config::check(settings, common()).expect("good settings"))
}

pub fn common() -> Common {
    Common {
        persona: "You are Max.".to_owned(),
        greeting: "Hello!".to_owned(),
        language: "en-GB".to_owned(),
        transfer: [("reception".to_owned(), "+15551234567".to_owned())].into(),
        memory_tokens: 500,
        call_time_limit: Duration::from_secs(24 * 60 * 60),
    }
}

/// The machine and its clock.
pub struct Machine {
    pub core: Core,
    pub now: Duration,
    /// Everything that came out so far and was not asked for yet.
    pub done: Vec<String>,
}

impl Machine {
    /// Without a greeting, which most tests are not about.
    pub fn new(settings: Value) -> Self {
        let mut machine = Self::greeting(settings);
        machine.model(created("r0"));
        machine.model(completed("r0", &[]));
        machine.take();
        machine
    }

    pub fn greeting(settings: Value) -> Self {
        Self::begin(config(settings), Beginning::default())
    }

    /// A call that has lasted so long already.
    pub fn after(lasted: Duration, call_time_limit: Duration) -> Self {
        let mut config = Arc::unwrap_or_clone(config(json!({})));
        config.common.call_time_limit = call_time_limit;
        let mut machine = Self::begin(Arc::new(config), Beginning { lasted, ..Beginning::default() });
        machine.says("r0", "i0", "Hello!", 100);
        machine.bridge(BridgeEvent::Played { utterance: 1 });
        machine.take();
        machine
    }

    fn begin(config: Arc<Config>, beginning: Beginning) -> Self {
        let core = Core::new(config, beginning, Duration::ZERO);
        let mut machine = Self { core, now: Duration::ZERO, done: Vec::new() };
        machine.pump();
        machine
    }

    pub fn model(&mut self, event: Event) {
        self.core.model(self.now, event);
        self.pump();
    }

    pub fn bridge(&mut self, event: BridgeEvent) {
        self.core.bridge(self.now, event);
        self.pump();
    }

    pub fn tool(&mut self, call: &str, output: &str) {
        let (call_id, tool, output) = (call.to_owned(), "t.o".to_owned(), output.to_owned());
        self.core.tool(self.now, ToolDone { call_id, tool, output, is_ok: true, took_ms: 1 });
        self.pump();
    }

    pub fn lost(&mut self, reason: &str) {
        self.core.lost(self.now, Loss { reason: reason.to_owned(), is_final: false });
        self.pump();
    }

    pub fn opened(&mut self) {
        self.core.opened(self.now);
        self.pump();
    }

    pub fn not_opened(&mut self) {
        self.core.not_opened(self.now, Loss { reason: "refused".to_owned(), is_final: false });
        self.pump();
    }

    /// Time passes, with a stop at each deadline.
    pub fn wait(&mut self, ms: u64) {
        self.wait_for_deadlines(ms);
        self.core.tick(self.now);
        self.pump();
    }

    /// The same, but nothing happens at the end: what is not due when the machine says so is never done.
    pub fn wait_for_deadlines(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(due) = self.core.deadline().filter(|due| *due <= end) {
            self.now = due;
            self.core.tick(self.now);
            self.pump();
        }
        self.now = end;
    }

    /// An utterance of the caller, heard and answered by the server itself.
    pub fn caller_says(&mut self, item: &str, words: &str) {
        self.model(Event::SpeechStarted { at_ms: 0 });
        self.model(Event::SpeechStopped { at_ms: 0 });
        self.model(Event::Committed { item: item.to_owned() });
        self.model(Event::Heard { item: item.to_owned(), text: Some(words.to_owned()) });
    }

    /// The model begins to say something.
    pub fn begins(&mut self, response: &str, item: &str, words: &str, ms: usize) {
        self.model(created(response));
        self.model(spoken_words(response, item, words));
        self.model(audio(response, item, ms));
    }

    /// The model says something, to its end.
    pub fn says(&mut self, response: &str, item: &str, words: &str, ms: usize) {
        self.begins(response, item, words, ms);
        self.model(Event::AudioDone { item: item.to_owned() });
        self.model(completed(response, &[]));
    }

    /// What came out since this was asked last.
    pub fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.done)
    }

    /// The same, without what begins so.
    pub fn take_without(&mut self, prefix: &str) -> Vec<String> {
        self.take().into_iter().filter(|line| !line.starts_with(prefix)).collect()
    }

    fn pump(&mut self) {
        for effect in self.core.effects() {
            self.done.push(effect_words(effect));
        }
        while let Some(request) = self.core.next_request() {
            self.done.push(request_words(&request));
        }
        while let Some(out) = self.core.next_frame() {
            self.done.push(out_words(&out));
        }
    }
}

pub fn created(response: &str) -> Event {
    Event::ResponseCreated { response: response.to_owned() }
}

pub fn audio(response: &str, item: &str, ms: usize) -> Event {
    Event::Audio { response: response.to_owned(), item: item.to_owned(), audio: vec![1; ms * 8] }
}

pub fn spoken_words(response: &str, item: &str, text: &str) -> Event {
    Event::Words { response: response.to_owned(), item: item.to_owned(), text: text.to_owned() }
}

/// It ends as intended, and wants these called, by `id name arguments`.
pub fn completed(response: &str, calls: &[&str]) -> Event {
    let calls = calls.iter().map(|call| function_call(call)).collect();
    Event::ResponseDone { response: response.to_owned(), outcome: Outcome::Completed { calls } }
}

pub fn ended(response: &str, outcome: Outcome) -> Event {
    Event::ResponseDone { response: response.to_owned(), outcome }
}

pub fn function_call(words: &str) -> FunctionCall {
    let mut words = words.splitn(3, ' ');
    let mut next = || words.next().unwrap_or("{}").to_owned();
    FunctionCall { call_id: next(), name: next(), arguments: next() }
}

pub fn fault(about: Option<&str>, kind: FaultKind) -> Event {
    Event::Fault(Fault { about: about.map(str::to_owned), message: "no".to_owned(), kind })
}

pub fn interrupted(heard: &[(u32, u64, u64)]) -> BridgeEvent {
    let heard = heard.iter().map(|(utterance, heard_ms, sent_ms)| Heard {
        utterance: *utterance,
        heard_ms: *heard_ms,
        sent_ms: *sent_ms,
    });
    BridgeEvent::Interrupted { heard: heard.collect(), after_ms: None }
}

pub fn call_over() -> BridgeEvent {
    BridgeEvent::Ended(MediaReport { reason: "the caller hung up".to_owned(), ..MediaReport::default() })
}

fn effect_words(effect: Effect) -> String {
    match effect {
        Effect::Record(Entry::Said { speaker, text, interrupted }) => {
            let who = if speaker == Speaker::Person { "caller" } else { "assistant" };
            format!("{who}: {text}{}", if interrupted { " (interrupted)" } else { "" })
        }
        Effect::Record(Entry::Tool { tool, result, ok, .. }) => format!("used {tool}: {result} ({ok})"),
        Effect::Record(Entry::Media(report)) => format!("media: {}", report.reason),
        Effect::Record(Entry::Reconnected { reason }) => format!("reconnected: {reason}"),
        Effect::Record(entry) => format!("record {entry:?}"),
        Effect::Decide(Next::HangUp { why }) => format!("decide to hang up: {why}"),
        Effect::Decide(next) => format!("decide {next:?}"),
        Effect::Call(wanted) => format!("call {} {}", wanted.call.name, wanted.call.arguments),
        Effect::Connect => "connect".to_owned(),
        Effect::Adopt => "adopt".to_owned(),
        Effect::Disconnect => "disconnect".to_owned(),
        Effect::Summarise(text) => format!("summarise {} bytes", text.len()),
    }
}

fn request_words(request: &Request) -> String {
    match request {
        Request::Hear { audio } => format!("hear {} ms", audio.len() / 8),
        Request::Commit { .. } => "commit".to_owned(),
        Request::Add { content, after, .. } => {
            let place = after.as_ref().map(|after| format!(" after {after}")).unwrap_or_default();
            format!("add{place} {}", content_words(content))
        }
        Request::Remove { item } => format!("remove {item}"),
        Request::Respond { name, directions, may_call } => {
            let directions = directions.as_deref().and_then(|words| words.split([':', '.', ',']).next());
            let calls = if *may_call { "" } else { ", no calls" };
            format!("{name}: {}{calls}", directions.unwrap_or("answer"))
        }
        Request::Cancel { response } => format!("cancel {response}"),
        Request::Truncate { item, audio_end_ms } => format!("truncate {item} at {audio_end_ms}"),
    }
}

fn content_words(content: &Content) -> String {
    match content {
        Content::Caller(text) => format!("caller: {text}"),
        Content::Assistant(text) => format!("assistant: {text}"),
        Content::Note(text) => format!("note: {text}"),
        Content::Data(text) => format!("data: {text}"),
        Content::Call(call) => format!("call {}", call.name),
        Content::Output { call_id, output } => format!("output {call_id}: {output}"),
    }
}

fn out_words(out: &Out) -> String {
    match out {
        Out::Audio(frame) => {
            let (utterance, audio) = read_spoken(frame).expect("a frame of audio");
            format!("> {} ms of {utterance}", audio.len() / 8)
        }
        Out::Event(event) => match event {
            SessionEvent::Utterance { utterance, response } => {
                format!("> utterance {utterance} of {response}")
            }
            event => format!("> {}", json!(event)),
        },
    }
}

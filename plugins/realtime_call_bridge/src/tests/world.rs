//! A call in virtual time: the core between a simulated Twilio and a conversation that the test speaks for.

use std::collections::VecDeque;

use plugin_api::{
    requests::voice::{BridgeEvent, SessionEvent, spoken},
    serde_json,
    stream::Frame,
};
use switchboard_tests::partners::media::{Simulation, simulation::FRAME_MS};

use crate::{
    machine::{Core, End, Input, Limits, Measure, Output},
    recording::{Header, Line, VERSION, What, write},
};

pub const CALL: &str = "CA0000000000000000000000000000000c";
pub const STREAM: &str = "MZ0000000000000000000000000000000d";

pub const LIMITS: Limits = Limits {
    ahead_ms: 10_000,
    queue_ms: 60_000,
    speech_gap_ms: 750,
    idle_ms: 120_000,
    media_ms: 30_000,
    longest_ms: 7_200_000,
};

/// The call, and all that was seen of it.
pub struct World {
    pub core: Core,
    pub twilio: Simulation,
    /// Milliseconds since the stream began.
    pub now: u64,
    /// How long a frame takes from Twilio to us.
    pub delay_ms: u64,
    on_their_way: VecDeque<(u64, String)>,
    /// What the conversation was told.
    pub events: Vec<BridgeEvent>,
    /// The audio that it was sent.
    pub heard: Vec<u8>,
    /// Every frame that went to Twilio.
    pub sent: Vec<String>,
    pub measures: Vec<Measure>,
    pub end: Option<End>,
    /// The recording.
    pub lines: String,
}

impl World {
    pub fn new(limits: Limits) -> Self {
        let header = Header {
            recording: VERSION,
            call: CALL.to_owned(),
            stream: STREAM.to_owned(),
            began_at: "2026-11-24T12:00:00Z".to_owned(),
            limits,
        };
        let mut twilio = Simulation::new(CALL, STREAM, &[]);
        twilio.start();
        Self {
            core: Core::new(STREAM, limits),
            twilio,
            now: 0,
            delay_ms: 0,
            on_their_way: VecDeque::new(),
            events: Vec::new(),
            heard: Vec::new(),
            sent: Vec::new(),
            measures: Vec::new(),
            end: None,
            lines: write(&header),
        }
    }

    /// So many frames of the caller's, of this byte.
    pub fn frames(&mut self, count: u64, byte: u8) {
        for _ in 0..count {
            let frame = self.twilio.media(&[byte; 160]);
            self.on_its_way(frame);
            self.pass(FRAME_MS);
        }
    }

    /// So much of what the caller says is lost.
    pub fn lose(&mut self, milliseconds: u64) {
        self.twilio.lose(milliseconds);
        self.pass(milliseconds);
    }

    /// A frame of Twilio's that comes at once.
    pub fn twilio(&mut self, frame: String) {
        self.handle(Input::Twilio(frame));
    }

    /// The conversation says something to the bridge.
    pub fn session(&mut self, event: &SessionEvent) {
        self.handle(Input::Session(Frame::Text(serde_json::to_string(event).unwrap())));
    }

    /// The conversation says something to the caller.
    pub fn say(&mut self, utterance: u32, audio: &[u8]) {
        self.handle(Input::Session(Frame::Binary(spoken(utterance, audio))));
    }

    pub fn begin(&mut self, utterance: u32, response: u32) {
        self.session(&SessionEvent::Utterance { utterance, response });
    }

    pub fn done(&mut self, utterance: u32) {
        self.session(&SessionEvent::UtteranceDone { utterance });
    }

    /// A whole utterance of this length.
    pub fn utter(&mut self, utterance: u32, response: u32, milliseconds: usize) {
        self.begin(utterance, response);
        self.say(utterance, &vec![byte_of(utterance); milliseconds * 8]);
        self.done(utterance);
    }

    pub fn interrupt(&mut self, speech_at_ms: Option<u64>) {
        self.session(&SessionEvent::Interrupt { speech_at_ms });
    }

    /// Time passes, and Twilio plays.
    pub fn pass(&mut self, milliseconds: u64) {
        let until = self.now + milliseconds;
        while self.now < until {
            let step = FRAME_MS.min(until - self.now);
            self.now += step;
            for mark in self.twilio.pass(step) {
                self.on_its_way(mark);
            }
            self.arrive();
            if self.now % 100 < step {
                self.handle(Input::Tick);
            }
        }
    }

    pub fn handle(&mut self, input: Input) {
        let what = What::of_input(&input);
        let is_tick = input == Input::Tick;
        let outputs = self.core.handle(self.now, input);
        if !(is_tick && outputs.is_empty()) {
            self.record(what);
        }
        for output in outputs {
            if let Some(what) = What::of_output(&output) {
                self.record(what);
            }
            self.take(output);
        }
    }

    /// The clock of the carrier: where its last frame ends.
    pub fn carrier_ms(&self) -> u64 {
        self.twilio.at_ms()
    }

    /// What the conversation was told last.
    pub fn last_event(&self) -> &BridgeEvent {
        self.events.last().expect("it was told something")
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Twilio(text) | Output::Clear(text) => {
                for mark in self.twilio.take(&text) {
                    self.on_its_way(mark);
                }
                self.sent.push(text);
            }
            Output::Session(Frame::Text(text)) => self.events.push(serde_json::from_str(&text).unwrap()),
            Output::Session(Frame::Binary(audio)) => self.heard.extend(audio),
            Output::Measured(measure) => self.measures.push(measure),
            Output::Ended(end) => self.end = Some(end),
        }
    }

    fn record(&mut self, what: What) {
        let line = Line { at: self.now, media: self.core.media_ms(), what };
        self.lines.push_str(&write(&line));
    }

    fn on_its_way(&mut self, frame: String) {
        self.on_their_way.push_back((self.now + self.delay_ms, frame));
    }

    fn arrive(&mut self) {
        while self.on_their_way.front().is_some_and(|(due, _)| *due <= self.now) {
            if let Some((_, frame)) = self.on_their_way.pop_front() {
                self.handle(Input::Twilio(frame));
            }
        }
    }
}

/// Every utterance has a byte of its own, so that Twilio's playback tells whose audio it played.
pub fn byte_of(utterance: u32) -> u8 {
    u8::try_from(utterance % 200 + 1).unwrap()
}

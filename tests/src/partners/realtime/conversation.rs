//! The state of one session: what the client sends, and time -> what the server says. No I/O: a socket, or a test in the
//! same process, carries it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    ear::{Ear, Heard},
    lock,
    reply::{Item, Reply},
    script::{Progress, Script},
};

/// A session.
pub struct Conversation {
    script: Arc<Script>,
    progress: Arc<Mutex<Progress>>,
    session: Value,
    ear: Ear,
    items: Vec<Item>,
    reply: Option<Reply>,
    /// The words of utterances, when they are known: when, which item, which turn.
    transcripts: Vec<(Duration, String, usize)>,
    /// The item of the speech in progress.
    speech: String,
    /// When, on the clock of the audio, somebody was last heard.
    quiet_since_ms: u64,
    /// Something was said in this session before.
    has_begun: bool,
    /// A message of the caller that nobody has answered.
    is_asked: bool,
    said: Vec<Value>,
}

impl Conversation {
    /// A session with a model, and what it says first.
    pub fn new(script: Arc<Script>, progress: Arc<Mutex<Progress>>, model: &str) -> Self {
        let session = json!({ "type": "realtime", "object": "realtime.session", "model": model,
            "output_modalities": ["audio"], "instructions": "", "tools": [], "tool_choice": "auto",
            "audio": {
                "input": { "format": { "type": "audio/pcm", "rate": 24000 }, "transcription": null,
                    "noise_reduction": null,
                    "turn_detection": { "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300,
                        "silence_duration_ms": 500, "create_response": true, "interrupt_response": true,
                        "idle_timeout_ms": null } },
                "output": { "format": { "type": "audio/pcm", "rate": 24000 }, "voice": "alloy", "speed": 1.0 } } });
        let mut conversation = Self {
            script,
            progress,
            session,
            ear: Ear::default(),
            items: Vec::new(),
            reply: None,
            transcripts: Vec::new(),
            speech: String::new(),
            quiet_since_ms: 0,
            has_begun: false,
            is_asked: false,
            said: Vec::new(),
        };
        let session = conversation.session.clone();
        conversation.say(json!({ "type": "session.created", "session": session }));
        conversation
    }

    /// What it has to say.
    pub fn take(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.said)
    }

    /// Takes an event of the client.
    pub fn client(&mut self, event: &Value, now: Duration) {
        let kind = event["type"].as_str().unwrap_or_default();
        match kind {
            "session.update" => self.update(event),
            "input_audio_buffer.append" => self.append(event, now),
            "input_audio_buffer.commit" => self.commit(event, now),
            "input_audio_buffer.clear" => self.say(json!({ "type": "input_audio_buffer.cleared" })),
            "conversation.item.create" => self.create_item(event),
            "conversation.item.truncate" => self.truncate(event),
            "conversation.item.delete" => self.delete(event),
            "response.create" => self.create_response(event, now),
            "response.cancel" => self.cancel(event),
            _ => self.fault(event, "invalid_value", &format!("Invalid value: '{kind}'."), Some("type")),
        }
    }

    /// Does what is due by now.
    pub fn tick(&mut self, now: Duration) {
        if let Some(reply) = &mut self.reply {
            let (events, is_over) = reply.due(now);
            if is_over {
                self.items.extend(reply.items());
                self.reply = None;
                self.quiet_since_ms = self.ear.heard_ms();
            }
            events.into_iter().for_each(|event| self.say(event));
        }
        let (due, later) = self.transcripts.drain(..).partition(|(due, ..)| *due <= now);
        self.transcripts = later;
        let due: Vec<(Duration, String, usize)> = due;
        due.into_iter().for_each(|(_, item, turn)| self.transcribe(&item, turn));
    }

    /// The error of a session that has lasted too long.
    pub fn expire(&mut self) {
        let message = "Your session hit the maximum duration of 60 minutes.";
        self.fault(&Value::Null, "session_expired", message, None);
    }

    /// Says an event as it stands.
    pub fn say(&mut self, mut event: Value) {
        if event.get("event_id").is_none() {
            event["event_id"] = lock(&self.progress).name("event").into();
        }
        self.said.push(event);
    }

    fn fault(&mut self, event: &Value, code: &str, message: &str, parameter: Option<&str>) {
        let error = json!({ "type": "invalid_request_error", "code": code, "message": message,
            "param": parameter, "event_id": event["event_id"] });
        self.say(json!({ "type": "error", "error": error }));
    }

    fn update(&mut self, event: &Value) {
        if event["session"]["type"] != "realtime" {
            let message = "Missing required parameter: 'session.type'.";
            return self.fault(event, "missing_required_parameter", message, Some("session.type"));
        }
        if let Some(unknown) = unknown_key(&event["session"]) {
            let message = format!("Unknown parameter: 'session.{unknown}'.");
            return self.fault(event, "unknown_parameter", &message, Some(&unknown));
        }
        merge(&mut self.session, &event["session"]);
        let session = self.session.clone();
        self.say(json!({ "type": "session.updated", "session": session }));
    }

    fn append(&mut self, event: &Value, now: Duration) {
        let Ok(audio) = STANDARD.decode(event["audio"].as_str().unwrap_or_default()) else {
            return self.fault(event, "invalid_value", "Invalid 'audio'.", Some("audio"));
        };
        let detection = self.session["audio"]["input"]["turn_detection"].clone();
        if detection.is_null() {
            return;
        }
        let padding = detection["prefix_padding_ms"].as_u64().unwrap_or(300);
        let silence = detection["silence_duration_ms"].as_u64().unwrap_or(500);
        for heard in self.ear.hear(&audio, padding, silence) {
            match heard {
                Heard::Started { audio_start_ms } => self.started(audio_start_ms, &detection),
                Heard::Stopped { audio_end_ms } => self.stopped(audio_end_ms, &detection, now),
            }
        }
        self.mind_silence(&detection, now);
    }

    fn started(&mut self, audio_start_ms: u64, detection: &Value) {
        self.speech = lock(&self.progress).name("item_user");
        let item = self.speech.clone();
        self.say(json!({ "type": "input_audio_buffer.speech_started", "audio_start_ms": audio_start_ms,
            "item_id": item }));
        if detection["interrupt_response"] != false {
            self.cancel_reply("turn_detected");
        }
    }

    fn stopped(&mut self, audio_end_ms: u64, detection: &Value, now: Duration) {
        let item = self.speech.clone();
        self.say(json!({ "type": "input_audio_buffer.speech_stopped", "audio_end_ms": audio_end_ms,
            "item_id": item }));
        self.take_utterance(item, now);
        self.quiet_since_ms = audio_end_ms;
        if detection["create_response"] != false {
            self.respond(false, now);
        }
    }

    fn take_utterance(&mut self, item: String, now: Duration) {
        self.say(
            json!({ "type": "input_audio_buffer.committed", "previous_item_id": null, "item_id": item }),
        );
        let shown = json!({ "id": item, "object": "realtime.item", "type": "message", "status": "completed",
            "role": "user", "content": [{ "type": "input_audio", "transcript": null }] });
        self.say(json!({ "type": "conversation.item.added", "previous_item_id": null, "item": shown }));
        self.say(json!({ "type": "conversation.item.done", "previous_item_id": null, "item": shown }));
        (self.has_begun, self.is_asked) = (true, false);
        let turn = {
            let mut progress = lock(&self.progress);
            progress.next_turn();
            progress.turn
        };
        if !self.session["audio"]["input"]["transcription"].is_null() {
            let due = now + Duration::from_millis(self.script.transcription_ms);
            self.transcripts.push((due, item, turn));
        }
    }

    fn transcribe(&mut self, item: &str, turn: usize) {
        let kind = "conversation.item.input_audio_transcription";
        let Some(words) = self.script.heard(turn).map(str::to_owned) else {
            let error = json!({ "type": "transcription_error", "code": "audio_unintelligible",
                "message": "The audio could not be transcribed.", "param": null });
            return self.say(json!({ "type": format!("{kind}.failed"), "item_id": item, "content_index": 0,
                "error": error }));
        };
        self.say(json!({ "type": format!("{kind}.delta"), "item_id": item, "content_index": 0,
            "delta": words }));
        self.say(json!({ "type": format!("{kind}.completed"), "item_id": item, "content_index": 0,
            "transcript": words, "usage": { "type": "duration", "seconds": 1 } }));
    }

    /// After so long a silence it speaks by itself.
    fn mind_silence(&mut self, detection: &Value, now: Duration) {
        let (Some(patience), heard) = (detection["idle_timeout_ms"].as_u64(), self.ear.heard_ms()) else {
            return;
        };
        if self.ear.is_speech() || self.reply.is_some() || heard < self.quiet_since_ms + patience {
            return;
        }
        let item = lock(&self.progress).name("item_user");
        self.say(
            json!({ "type": "input_audio_buffer.timeout_triggered", "audio_start_ms": self.quiet_since_ms,
            "audio_end_ms": heard, "item_id": item }),
        );
        self.say(
            json!({ "type": "input_audio_buffer.committed", "previous_item_id": null, "item_id": item }),
        );
        self.quiet_since_ms = heard;
        self.respond(false, now);
    }

    /// The speaker has ended. Audio taken already is gone.
    fn commit(&mut self, event: &Value, now: Duration) {
        if !self.session["audio"]["input"]["turn_detection"].is_null() {
            if !self.ear.end() {
                let message = "Error committing input audio buffer: buffer too small.";
                return self.fault(event, "input_audio_buffer_commit_empty", message, None);
            }
            return self.take_utterance(self.speech.clone(), now);
        }
        let item = lock(&self.progress).name("item_user");
        self.take_utterance(item, now);
    }

    fn create_item(&mut self, event: &Value) {
        let mut item = event["item"].clone();
        let kind = item["type"].as_str().unwrap_or_default().to_owned();
        if kind == "function_call_output" {
            let call = item["call_id"].as_str();
            if !self.items.iter().any(|known| known.is_call && known.call.as_deref() == call) {
                let message = "Item with call_id not found.";
                return self.fault(event, "invalid_tool_call_id", message, Some("item.call_id"));
            }
        }
        if !is_good_content(&item) {
            return self.fault(event, "invalid_value", "Invalid content type.", Some("item.content"));
        }
        if item.get("id").is_none() {
            item["id"] = lock(&self.progress).name("item").into();
        }
        self.is_asked |= kind == "message" && item["role"] == "user" && self.has_begun;
        let id = item["id"].as_str().unwrap_or_default().to_owned();
        let call = item["call_id"].as_str().map(str::to_owned);
        self.items.push(Item { id, audio_ms: 0, is_call: kind == "function_call", call });
        item["object"] = "realtime.item".into();
        item["status"] = "completed".into();
        self.say(json!({ "type": "conversation.item.added", "previous_item_id": null, "item": item }));
        self.say(json!({ "type": "conversation.item.done", "previous_item_id": null, "item": item }));
    }

    /// No more can be cut off than there is.
    fn truncate(&mut self, event: &Value) {
        let (id, end) = (event["item_id"].as_str().unwrap_or_default(), event["audio_end_ms"].as_u64());
        let running = self.reply.as_ref().into_iter().flat_map(Reply::items).find(|item| item.id == id);
        let known = self.items.iter().find(|item| item.id == id).cloned().or(running);
        let Some(item) = known else {
            let message = format!("Item with item_id '{id}' not found.");
            return self.fault(event, "item_not_found", &message, Some("item_id"));
        };
        let Some(end) = end.filter(|_| event["content_index"] == 0 && item.audio_ms > 0) else {
            let message = "Only model output audio messages can be truncated";
            return self.fault(event, "invalid_value", message, Some("item_id"));
        };
        if end > item.audio_ms {
            let message = format!("Audio content of {}ms is already shorter than {end}ms", item.audio_ms);
            return self.fault(event, "invalid_value", &message, Some("audio_end_ms"));
        }
        for known in self.items.iter_mut().filter(|known| known.id == id) {
            known.audio_ms = end;
        }
        self.say(json!({ "type": "conversation.item.truncated", "item_id": id, "content_index": 0,
            "audio_end_ms": end }));
    }

    fn delete(&mut self, event: &Value) {
        let id = event["item_id"].as_str().unwrap_or_default();
        let before = self.items.len();
        self.items.retain(|item| item.id != id);
        match self.items.len() < before {
            true => self.say(json!({ "type": "conversation.item.deleted", "item_id": id })),
            false => self.fault(event, "item_not_found", "Item not found.", Some("item_id")),
        }
    }

    fn create_response(&mut self, event: &Value, now: Duration) {
        if let Some(reply) = &self.reply {
            let message = format!(
                "Conversation already has an active response in progress: {}. Wait until \
                the response is finished before creating a new one.",
                reply.id
            );
            return self.fault(event, "conversation_already_has_active_response", &message, None);
        }
        if std::mem::take(&mut self.is_asked) {
            lock(&self.progress).next_turn();
        }
        self.respond(event["response"]["instructions"].is_string(), now);
    }

    fn respond(&mut self, is_directed: bool, now: Duration) {
        if self.reply.is_some() {
            return;
        }
        self.has_begun = true;
        let reply = {
            let mut progress = lock(&self.progress);
            let answer = self.script.next(&mut progress, is_directed);
            Reply::new(answer, &self.script, &mut progress, now)
        };
        self.say(reply.created());
        self.reply = Some(reply);
        self.tick(now);
    }

    fn cancel(&mut self, event: &Value) {
        let named = event["response_id"].as_str();
        let is_running = self.reply.as_ref().is_some_and(|reply| named.is_none_or(|id| id == reply.id));
        if is_running {
            return self.cancel_reply("client_cancelled");
        }
        let message = "Cancellation failed: no active response found";
        self.fault(event, "response_cancel_not_active", message, None);
    }

    fn cancel_reply(&mut self, reason: &str) {
        let Some(mut reply) = self.reply.take() else { return };
        reply.cancelled(reason).into_iter().for_each(|event| self.say(event));
        self.items.extend(reply.items());
    }
}

/// A key of the beta, or a mistake.
fn unknown_key(session: &Value) -> Option<String> {
    const KEYS: [&str; 14] = [
        "type",
        "model",
        "output_modalities",
        "instructions",
        "audio",
        "tools",
        "tool_choice",
        "max_output_tokens",
        "truncation",
        "reasoning",
        "parallel_tool_calls",
        "tracing",
        "include",
        "prompt",
    ];
    session.as_object()?.keys().find(|key| !KEYS.contains(&key.as_str())).cloned()
}

/// What a message is made of depends on who says it.
fn is_good_content(item: &Value) -> bool {
    if item["type"] != "message" {
        return matches!(item["type"].as_str(), Some("function_call" | "function_call_output"));
    }
    let expected: &[&str] = match item["role"].as_str() {
        Some("assistant") => &["output_text", "output_audio"],
        Some("user") => &["input_text", "input_audio", "input_image"],
        Some("system") => &["input_text"],
        _ => &[],
    };
    let parts = item["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    !parts.is_empty() && parts.iter().all(|part| expected.iter().any(|kind| part["type"] == *kind))
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

//! An answer of the script -> the events of a response, each at its time; and those that end it before its time.

use std::{collections::VecDeque, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    ear::BYTES_PER_MS,
    script::{Answer, Progress, Script},
};

/// A response in progress.
#[derive(Debug)]
pub struct Reply {
    pub id: String,
    answer: Answer,
    message: String,
    calls: Vec<Asked>,
    steps: VecDeque<(Duration, Step)>,
    has_begun: bool,
    /// Milliseconds of audio and words that went out.
    pub spoken_ms: u64,
    pub spoken: String,
}

/// A function call of a response.
#[derive(Debug)]
struct Asked {
    item: String,
    call: String,
    name: String,
    arguments: String,
}

#[derive(Debug)]
enum Step {
    Begin,
    Piece { ms: u64, words: String },
    Spoken,
    Call(usize),
    Done,
}

/// What a response leaves behind.
#[derive(Debug, Clone)]
pub struct Item {
    pub id: String,
    /// Milliseconds of its audio; 0 if it has none.
    pub audio_ms: u64,
    pub is_call: bool,
    pub call: Option<String>,
}

impl Reply {
    /// Begins one now.
    pub fn new(answer: Answer, script: &Script, progress: &mut Progress, now: Duration) -> Self {
        let calls = answer.calls.iter().map(|call| Asked {
            item: progress.name("item_call"),
            call: progress.name("call"),
            name: call.name.clone(),
            arguments: call.arguments.as_str().map_or_else(|| call.arguments.to_string(), str::to_owned),
        });
        let calls: Vec<Asked> = calls.collect();
        let mut steps = VecDeque::new();
        let mut due = now + Duration::from_millis(answer.think_ms);
        if !answer.say.is_empty() {
            steps.push_back((due, Step::Begin));
            for (ms, words) in pieces(&answer, script.piece_ms) {
                steps.push_back((due, Step::Piece { ms, words }));
                due += script.pace();
            }
            steps.push_back((due, Step::Spoken));
        }
        steps.extend((0..calls.len()).map(|call| (due, Step::Call(call))));
        steps.push_back((due, Step::Done));
        let (id, message) = (progress.name("resp"), progress.name("item"));
        Self { id, message, answer, calls, steps, has_begun: false, spoken_ms: 0, spoken: String::new() }
    }

    pub fn created(&self) -> Value {
        json!({ "type": "response.created", "response": self.response("in_progress", &Value::Null, false) })
    }

    /// What is due by now, and whether that was the end.
    pub fn due(&mut self, now: Duration) -> (Vec<Value>, bool) {
        let mut events = Vec::new();
        while self.steps.front().is_some_and(|(due, _)| *due <= now) {
            let Some((_, step)) = self.steps.pop_front() else { break };
            let is_end = matches!(step, Step::Done);
            events.extend(self.step(step));
            if is_end {
                return (events, true);
            }
        }
        (events, false)
    }

    /// Ends it before its time. Arguments are told to their end all the same, as the real one does.
    pub fn cancelled(&mut self, reason: &str) -> Vec<Value> {
        let mut events = Vec::new();
        if self.has_begun && self.steps.iter().any(|(_, step)| matches!(step, Step::Spoken)) {
            events.extend(self.message_done("incomplete"));
        }
        for index in 0..self.calls.len() {
            if self.steps.iter().any(|(_, step)| matches!(step, Step::Call(left) if *left == index)) {
                events.extend(self.call(index, "incomplete"));
            }
        }
        let details = json!({ "type": "cancelled", "reason": reason });
        events.push(self.done("cancelled", &details));
        events
    }

    /// What it leaves in the conversation.
    pub fn items(&self) -> Vec<Item> {
        let message = Item { id: self.message.clone(), audio_ms: self.spoken_ms, is_call: false, call: None };
        let call = |asked: &Asked| Item {
            id: asked.item.clone(),
            audio_ms: 0,
            is_call: true,
            call: Some(asked.call.clone()),
        };
        let spoken = self.has_begun.then_some(message);
        spoken.into_iter().chain(self.calls.iter().map(call)).collect()
    }

    fn step(&mut self, step: Step) -> Vec<Value> {
        match step {
            Step::Begin => {
                self.has_begun = true;
                let item = self.message_item("in_progress");
                let part = json!({ "type": "audio", "transcript": "" });
                vec![
                    json!({ "type": "response.output_item.added", "response_id": self.id, "output_index": 0,
                        "item": item }),
                    json!({ "type": "conversation.item.added", "previous_item_id": null, "item": item }),
                    self.of_message("response.content_part.added", "part", part),
                ]
            }
            Step::Piece { ms, words } => {
                self.spoken_ms += ms;
                self.spoken.push_str(&words);
                // Each response has a sound of its own.
                let sound = 0x20 + (self.message.bytes().last().unwrap_or(0) & 15);
                let audio = STANDARD.encode(vec![sound; ms as usize * BYTES_PER_MS]);
                let words = self.of_message("response.output_audio_transcript.delta", "delta", words.into());
                vec![words, self.of_message("response.output_audio.delta", "delta", audio.into())]
            }
            Step::Spoken => self.message_done("completed"),
            Step::Call(index) => self.call(index, "completed"),
            Step::Done => {
                let status = self.answer.status.clone().unwrap_or_else(|| "completed".to_owned());
                let details = match &self.answer.error {
                    Some(code) => {
                        json!({ "type": status, "error": { "type": "server_error", "code": code } })
                    }
                    None if status == "incomplete" => {
                        json!({ "type": "incomplete", "reason": "max_output_tokens" })
                    }
                    None => Value::Null,
                };
                vec![
                    self.done(&status, &details),
                    json!({ "type": "rate_limits.updated", "rate_limits": [] }),
                ]
            }
        }
    }

    fn of_message(&self, kind: &str, key: &str, value: Value) -> Value {
        json!({ "type": kind, "response_id": self.id, "item_id": self.message, "output_index": 0,
            "content_index": 0, key: value })
    }

    fn message_done(&self, status: &str) -> Vec<Value> {
        let part = json!({ "type": "audio", "transcript": self.spoken });
        let mut audio = self.of_message("response.output_audio.done", "unused", Value::Null);
        audio.as_object_mut().and_then(|event| event.remove("unused"));
        let item = self.message_item(status);
        vec![
            audio,
            self.of_message(
                "response.output_audio_transcript.done",
                "transcript",
                self.spoken.clone().into(),
            ),
            self.of_message("response.content_part.done", "part", part),
            json!({ "type": "conversation.item.done", "previous_item_id": null, "item": item }),
            json!({ "type": "response.output_item.done", "response_id": self.id, "output_index": 0,
                "item": item }),
        ]
    }

    fn call(&self, index: usize, status: &str) -> Vec<Value> {
        let asked = &self.calls[index];
        let place = index + usize::from(!self.answer.say.is_empty());
        let of_call = |kind: &str, key: &str, value: &str| {
            json!({ "type": kind, "response_id": self.id, "item_id": asked.item, "output_index": place,
                "call_id": asked.call, "name": asked.name, key: value })
        };
        let begun = json!({ "id": asked.item, "type": "function_call", "status": "in_progress",
            "call_id": asked.call, "name": asked.name, "arguments": "" });
        vec![
            json!({ "type": "response.output_item.added", "response_id": self.id, "output_index": place,
                "item": begun }),
            json!({ "type": "conversation.item.added", "previous_item_id": null, "item": begun }),
            of_call("response.function_call_arguments.delta", "delta", &asked.arguments),
            of_call("response.function_call_arguments.done", "arguments", &asked.arguments),
            json!({ "type": "conversation.item.done", "previous_item_id": null,
                "item": call_item(asked, status) }),
            json!({ "type": "response.output_item.done", "response_id": self.id, "output_index": place,
                "item": call_item(asked, status) }),
        ]
    }

    fn done(&self, status: &str, details: &Value) -> Value {
        json!({ "type": "response.done", "response": self.response(status, details, true) })
    }

    fn response(&self, status: &str, details: &Value, is_over: bool) -> Value {
        let item_status = if status == "completed" { "completed" } else { "incomplete" };
        let mut output = Vec::new();
        if is_over && self.has_begun {
            output.push(self.message_item(item_status));
        }
        if is_over {
            output.extend(self.calls.iter().map(|asked| call_item(asked, item_status)));
        }
        json!({ "object": "realtime.response", "id": self.id, "status": status, "status_details": details,
            "output": output, "output_modalities": ["audio"], "max_output_tokens": "inf", "metadata": null,
            "usage": is_over.then(|| json!({ "total_tokens": 10, "input_tokens": 6, "output_tokens": 4 })) })
    }

    fn message_item(&self, status: &str) -> Value {
        let content = match status {
            "in_progress" => json!([]),
            _ => json!([{ "type": "output_audio", "transcript": self.spoken }]),
        };
        json!({ "id": self.message, "object": "realtime.item", "type": "message", "status": status,
            "role": "assistant", "content": content })
    }
}

fn call_item(asked: &Asked, status: &str) -> Value {
    json!({ "id": asked.item, "object": "realtime.item", "type": "function_call", "status": status,
        "call_id": asked.call, "name": asked.name, "arguments": asked.arguments })
}

/// Audio and words of each piece: words go as far as their share of the audio.
fn pieces(answer: &Answer, piece_ms: u64) -> Vec<(u64, String)> {
    let words: Vec<&str> = answer.say.split_inclusive(' ').collect();
    let count = answer.ms.div_ceil(piece_ms.max(1)).max(1);
    let piece = |index: u64| {
        let of = |index: u64| (words.len() as u64 * index / count) as usize;
        let ms = piece_ms.min(answer.ms - piece_ms * index);
        (ms, words[of(index)..of(index + 1)].concat())
    };
    (0..count).map(piece).collect()
}

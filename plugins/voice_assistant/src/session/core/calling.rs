//! The model wants tools called: others do it; `hang_up` and `transfer_call` are for the conversation itself.

use plugin_api::serde_json::{self, Value};

use super::{
    Core, Effect,
    answers::{Purpose, Want},
    tools::{ToolDone, Wanted},
};
use crate::{
    call::{Entry, Next},
    session::model::{Content, FunctionCall, Request},
};

/// Ends the call.
pub const HANG_UP: &str = "hang_up";
/// Connects the caller with somebody else.
pub const TRANSFER_CALL: &str = "transfer_call";

/// Sends the caller a code, by which they can prove who they are.
pub const SEND_CODE: &str = "send_code";
/// Checks it.
pub const CHECK_CODE: &str = "check_code";

const ENDING: &str =
    "The call ends as soon as you have said goodbye. If the caller says something before, it goes on.";
const TRANSFERRING: &str =
    "The caller is connected as soon as you have said so. If they say something before, they stay here.";
const OBJECTED: &str = "not done: the caller had something to say";
const TOO_EARLY: &str =
    "not done: other tools of this answer are still running; call it again when they have answered";

impl Core {
    /// Begins the calls of an answer that was completed. `has_spoken`: the caller hears something of that answer;
    /// `is_discarded`: they had something to say before it was complete.
    pub(super) fn begin_calls(&mut self, calls: Vec<FunctionCall>, has_spoken: bool, is_discarded: bool) {
        if self.ending.is_finished() {
            return;
        }
        for wanted in self.tools.begin(calls, self.now, self.config.filler_after) {
            let next = match wanted.call.name.as_str() {
                HANG_UP => Ok(Next::hang_up()),
                TRANSFER_CALL => self.transfer(&wanted.call.arguments),
                _ => {
                    self.effects.push(Effect::Call(wanted));
                    continue;
                }
            };
            let next = next.and_then(|next| self.may_leave(&wanted, is_discarded).map(|()| next));
            self.leave(wanted, next, has_spoken);
        }
    }

    /// Whether it is the time to go.
    fn may_leave(&self, wanted: &Wanted, is_discarded: bool) -> Result<(), String> {
        if is_discarded {
            return Err(OBJECTED.to_owned());
        }
        if self.tools.has_others(&wanted.call.call_id) {
            return Err(TOO_EARLY.to_owned());
        }
        Ok(())
    }

    fn transfer(&self, arguments: &str) -> Result<Next, String> {
        let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
        let to = arguments["to"].as_str().unwrap_or_default();
        match self.config.common.transfer.get(to) {
            Some(number) => Ok(Next::Transfer { to: number.clone() }),
            None => {
                let names: Vec<&str> = self.config.common.transfer.keys().map(String::as_str).collect();
                Err(format!(
                    "not done: `{to}` is nobody to transfer to: expected one of {}",
                    names.join(", ")
                ))
            }
        }
    }

    /// The call is to go on elsewhere, once the caller has heard that it does.
    fn leave(&mut self, wanted: Wanted, next: Result<Next, String>, has_spoken: bool) {
        let call = wanted.call;
        let (output, is_ok) = match &next {
            Ok(Next::Transfer { .. }) => (TRANSFERRING.to_owned(), true),
            Ok(_) => (ENDING.to_owned(), true),
            Err(why) => (why.clone(), false),
        };
        let tool = call.name.clone();
        let items = self.hand_in(ToolDone { call_id: call.call_id, tool, output, is_ok, took_ms: 0 });
        match next {
            Ok(next) => {
                self.ending.begin(next.clone(), has_spoken, self.now);
                if !has_spoken {
                    self.answers.want(Want::new(Purpose::Farewell(next), items.unwrap_or_default()));
                }
            }
            Err(_) => {
                if let Some(items) = items {
                    self.answers.want(Want::new(Purpose::Reply, items));
                }
            }
        }
    }

    pub(super) fn tool_done(&mut self, done: ToolDone) {
        let items = self.hand_in(done);
        if let Some(items) = items.filter(|_| !self.ending.is_finished()) {
            self.answers.want(Want::new(Purpose::Reply, items));
        }
    }

    /// Hands in what came of a call. Gives what was handed in, once all calls of that answer have answered.
    fn hand_in(&mut self, done: ToolDone) -> Option<Vec<String>> {
        let ToolDone { call_id, tool, output, is_ok, took_ms } = done;
        let call = self.tools.call(&call_id)?.clone();
        let arguments = call.arguments.clone();
        self.story.used(call, output.clone());
        self.effects.push(Effect::Record(Entry::Tool {
            tool,
            arguments,
            result: output.clone(),
            ok: is_ok,
            took_ms,
        }));
        let item = self.name("output");
        let content = Content::Output { call_id: call_id.clone(), output };
        self.ask(Request::Add { item: item.clone(), after: None, content });
        self.tools.answered(&call_id, item)
    }
}

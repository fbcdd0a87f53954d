//! The model's turn: it is asked, however often that must be tried, and its answer is written before anything of it is
//! acted on. An answer may be anything.

use plugin_api::{
    jiff::Timestamp,
    lease::millis,
    prelude::*,
    requests::{
        host::Trouble,
        openai::{Chat, ChatAnswer, FinishReason, OpenAiTrouble, ToolCall, TroubleCode, Usage},
        orchestrator::{Question, ToolState},
    },
    serde_json,
    tokio::{select, time::sleep},
    tools::{Toolbox, Verdict, data::cut_off},
    tracing,
};

use super::{Halt, Worker, held};
use crate::{
    MODEL, prompt,
    run::{Step, ToolRun, Wire, WireCall},
    seals,
    store::End,
};

const OPENAI: &str = "openai";
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// How often an answer that is none is asked for again.
const PATIENCE_WITH_GARBAGE: u32 = 2;
/// How often an answer without words and calls is asked for again.
const PATIENCE_WITH_NOTHING: usize = 2;
/// More that the server wrote beside an answer is not kept: better without than never again.
const LONGEST_WIRE: usize = 512 * 1024;
/// An answer with more words and arguments is none: what it would leave behind could not be read any more.
const LONGEST_ANSWER: usize = 1024 * 1024;
/// What is kept of the words of a model, and of a name that it made up.
const LONGEST_CONTENT: usize = 256 * 1024;
const LONGEST_NAME: usize = 64;
/// A rule of thumb, where the server does not count.
const BYTES_A_TOKEN: u64 = 4;

impl Worker {
    /// Takes one turn of the model.
    pub(super) async fn ask(&mut self) -> Result<(), Halt> {
        let toolbox = self.toolbox().await?;
        let patience = Duration::from_millis(self.run.limits.tools_ms.try_into().unwrap_or(0));
        let until_ms = self.held_since() + self.run.limits.tools_ms;
        let awaited: Vec<String> = toolbox.awaited(patience).map(|away| away.plugin.clone()).collect();
        // Plugins that come and go do not keep it for ever, either.
        if !awaited.is_empty() && self.shared.store.now_ms() < until_ms {
            return Err(self.hold(awaited, until_ms).await?);
        }
        self.go_on().await?;
        let lost = self.shared.store.lost(&self.run.id).await?;
        let chat =
            prompt::chat(&self.run, &self.steps, &lost, &toolbox, &self.shared.config, Timestamp::now());
        let answer = match self.answer(&chat).await? {
            Ok(answer) => answer,
            Err(end) => return Err(self.finish(end).await?),
        };
        self.count(usage(&chat, &answer));
        self.run.usage.steps += 1;
        let content = answer.content.as_deref().map(str::trim).filter(|content| !content.is_empty());
        if answer.tool_calls.is_empty()
            && let Some(end) = self.end(content, answer.finish_reason)
        {
            return Err(self.finish(end).await?);
        }
        let number = self.steps.last().map_or(1, |step| step.number + 1);
        let content = content.map(|content| cut_off(content, LONGEST_CONTENT).to_owned());
        let mut calls = Vec::new();
        for call in self.plan(number, &answer.tool_calls, &toolbox) {
            calls.push(match call.is_settled() {
                true => call,
                false => match seals::sealed(&self.shared.context, &self.run, call).await {
                    Ok(call) => call,
                    // Asked again, the model would be paid for another answer that cannot be kept.
                    Err(error) => return Err(self.finish(unsealed(&error)).await?),
                },
            });
        }
        let step = Step { number, content, wire: wire(&answer), calls };
        let write =
            || async { self.shared.store.add_step(&self.run.id, &self.claim, &step, self.progress()).await };
        held(self.write(write).await?)?;
        self.steps.push(step);
        Ok(())
    }

    /// Whether an answer without tool calls ends the run. One that was cut off is asked for once more, in fewer words, and
    /// one that is empty twice more: each try is paid for.
    fn end(&self, content: Option<&str>, reason: FinishReason) -> Option<End> {
        let was_none = |step: &&Step| step.calls.is_empty();
        let in_a_row = self.steps.iter().rev().take_while(was_none).count();
        match (content, reason) {
            (None, FinishReason::Length) => Some(End::failed(
                "the model's answer was cut off before it said anything: its thoughts took all the tokens that it may write",
            )),
            (None, _) if in_a_row < PATIENCE_WITH_NOTHING => None,
            (None, _) => {
                Some(End::failed("the model answered nothing, and nothing again when asked to answer"))
            }
            (Some(_), FinishReason::Length) if in_a_row == 0 => None,
            (Some(_), FinishReason::Length) => {
                Some(End::failed("the model's answer was cut off, and again when asked for fewer words"))
            }
            (Some(content), _) => Some(End::done(content)),
        }
    }

    /// What becomes of the calls that the model wants. Those that are made count as begun from here on.
    fn plan(&self, step: i64, calls: &[ToolCall], toolbox: &Toolbox) -> Vec<ToolRun> {
        let plan = |(position, call): (usize, &ToolCall)| {
            let planned = ToolRun {
                step,
                position: position.try_into().unwrap_or(i64::MAX),
                name: plain_name(&call.name),
                tool: toolbox.tool_of(&plain_name(&call.name)),
                arguments: call.arguments.clone(),
                state: ToolState::Begun,
                attempts: 1,
                result: None,
                question: None,
                expires_ms: 0,
                decisive: Vec::new(),
                seal: String::new(),
                approval: String::new(),
                is_ours: true,
            };
            match toolbox.judge(call, position) {
                Verdict::Call => planned,
                Verdict::Ask => ToolRun {
                    state: ToolState::Waiting,
                    attempts: 0,
                    is_ours: false,
                    question: Some(Question::Approval),
                    decisive: toolbox
                        .named(&planned.tool)
                        .map(|tool| tool.decisive.clone())
                        .unwrap_or_default(),
                    expires_ms: self.shared.store.now_ms() + millis(self.shared.config.approval_time),
                    ..planned
                },
                Verdict::Refuse(why) => refused(planned, why),
            }
        };
        calls.iter().enumerate().map(plan).collect()
    }

    /// The model's answer, or how the run ends without one.
    async fn answer(&mut self, chat: &Chat) -> Result<Result<ChatAnswer, End>, Halt> {
        let (mut wait, mut garbage) = (FIRST_WAIT, 0);
        loop {
            let error = match self.exchange(chat).await? {
                Ok(answer) => {
                    self.shared.model.clear(&self.shared.context).await;
                    return Ok(Ok(answer));
                }
                Err(error) => error,
            };
            if let Some(trouble) = our_model(&error, chat) {
                self.shared.model.raise(&self.shared.context, trouble).await;
            }
            let trouble = OpenAiTrouble::of(&error);
            if let Some(usage) = trouble.as_ref().and_then(|trouble| trouble.usage) {
                self.count(usage);
            }
            let detail = trouble.and_then(|trouble| trouble.words);
            garbage += u32::from(matches!(error.kind, ErrorKind::Internal | ErrorKind::Panicked));
            let for_good = matches!(
                error.kind,
                ErrorKind::Invalid | ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Conflict
            );
            if for_good || garbage > PATIENCE_WITH_GARBAGE {
                let end = End::failed(format!("the model did not answer: {}", error.message));
                return Ok(Err(End { detail, ..end }));
            }
            let pause = error.retry_after_ms.map_or(jittered(wait), Duration::from_millis);
            if pause >= self.left() {
                let why = format!("the model did not answer in the time of the run: {}", error.message);
                return Ok(Err(End { detail, ..End::failed(why) }));
            }
            tracing::debug!(run = self.run.id, %error, "the model is asked again");
            self.pause(pause).await?;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn exchange(&mut self, chat: &Chat) -> Result<Result<ChatAnswer, OperationError>, Halt> {
        let deadline = self.left().min(self.shared.config.model_timeout);
        let openai = self.shared.context.dependency(OPENAI)?.deadline(deadline).trace(&self.run.trace);
        let mut stopping = self.shared.stopping.subscribe();
        select! {
            answer = openai.call(chat.clone()) => Ok(answer.and_then(bearable)),
            _ = self.lost.wait_for(|lost| *lost) => Err(Halt::Lost),
            _ = stopping.wait_for(|stopping| *stopping) => Err(Halt::Stopped),
        }
    }

    async fn pause(&mut self, pause: Duration) -> Result<(), Halt> {
        let mut stopping = self.shared.stopping.subscribe();
        select! {
            () = sleep(pause) => Ok(()),
            _ = self.lost.wait_for(|lost| *lost) => Err(Halt::Lost),
            _ = stopping.wait_for(|stopping| *stopping) => Err(Halt::Stopped),
        }
    }

    fn count(&mut self, usage: Usage) {
        let counted = &mut self.run.usage;
        counted.prompt_tokens = counted.prompt_tokens.saturating_add(usage.input_tokens);
        counted.completion_tokens = counted.completion_tokens.saturating_add(usage.output_tokens);
    }
}

fn bearable(answer: ChatAnswer) -> Result<ChatAnswer, OperationError> {
    match written(&answer) {
        ..=LONGEST_ANSWER => Ok(answer),
        size => Err(OperationError::internal(format!(
            "its answer has {size} bytes, and at most {LONGEST_ANSWER} are taken"
        ))),
    }
}

/// How many bytes of words and tool calls an answer has.
fn written(answer: &ChatAnswer) -> usize {
    let wanted: usize = answer.tool_calls.iter().map(|call| call.name.len() + call.arguments.len()).sum();
    wanted + answer.content.as_deref().map_or(0, str::len)
}

/// A model that our settings name and the key may not use: to `openai` it is its caller's affair.
fn our_model(error: &OperationError, chat: &Chat) -> Option<Trouble> {
    let model = chat.model.as_deref()?;
    let code = OpenAiTrouble::of(error).map(|trouble| trouble.code);
    let is_refused = matches!(code, Some(TroubleCode::ModelNotFound | TroubleCode::Forbidden));
    (is_refused && error.trouble.is_none()).then(|| no_model(model, &error.message))
}

pub fn no_model(model: &str, why: &str) -> Trouble {
    let message = format!("no run makes progress: the model `{model}` of the settings cannot be used: {why}");
    Trouble::raised(MODEL, Failure::config_invalid(message).setting("model"))
}

fn unsealed(error: &OperationError) -> End {
    End::failed(format!("tool calls cannot be kept so that nobody can alter them: {}", error.message))
}

/// What is not called keeps no more of its arguments than is worth a look.
fn refused(call: ToolRun, why: String) -> ToolRun {
    let arguments = cut_off(&call.arguments, 2048).to_owned();
    ToolRun { attempts: 0, arguments, ..call }.settled(false, why)
}

/// A name that the model's server takes back.
fn plain_name(name: &str) -> String {
    let is_plain = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    let plain: String = name.chars().filter(is_plain).take(LONGEST_NAME).collect();
    if plain.is_empty() { "unknown".to_owned() } else { plain }
}

/// What goes back to the server as it came.
fn wire(answer: &ChatAnswer) -> Wire {
    let calls = answer.tool_calls.iter();
    let calls = calls.map(|call| WireCall { id: call.id.clone(), extra: call.extra.clone() }).collect();
    let wire = Wire { extra: answer.extra.clone(), calls };
    let is_bearable = serde_json::to_string(&wire).is_ok_and(|text| text.len() <= LONGEST_WIRE);
    if is_bearable { wire } else { Wire::default() }
}

/// What an answer took; by a rule of thumb where the server does not count, or counts nothing.
fn usage(chat: &Chat, answer: &ChatAnswer) -> Usage {
    let counted = answer.usage.filter(|usage| usage.input_tokens > 0 || usage.output_tokens > 0);
    counted.unwrap_or_else(|| estimate(chat, answer))
}

fn estimate(chat: &Chat, answer: &ChatAnswer) -> Usage {
    let tokens = |bytes: usize| bytes as u64 / BYTES_A_TOKEN + 1;
    let asked = serde_json::to_string(&chat.messages).map_or(0, |text| text.len());
    Usage { input_tokens: tokens(asked), output_tokens: tokens(written(answer)), ..Usage::default() }
}

/// Somewhere between half of it and all of it.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}

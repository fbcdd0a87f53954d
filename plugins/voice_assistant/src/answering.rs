//! What somebody says on the phone, turn by turn -> what they hear next. Every turn ends in verbs for Twilio, whatever is
//! away; a repeat of a turn is answered as the first time, and does nothing twice.

use plugin_api::{
    error::{ErrorKind, OperationError},
    lease::{has_come, millis},
    requests::{
        memory::Speaker,
        orchestrator::{RunReport, RunState},
        voice::CallWay,
    },
    tracing,
};

use crate::{
    DATABASE, OPENAI,
    call::{CallBrief, Entry, Next, TIME_IS_UP},
    desk::Desk,
    mind,
    speech::{self, Turn},
    store::{Known, NewCall, TRANSFERRED, UNANSWERED, Written, now_us},
    twiml::Verb,
    webhook::Webhook,
};

/// Behind what the person said stand the tools, and behind them the answer; then the next turn.
const ANSWER: i64 = 900;
const NEXT_TURN: i64 = 1000;
/// After so many failures in a row nobody is asked to try again.
const MOST_FAILURES: i64 = 2;

/// A turn of a call.
struct Asked<'c> {
    brief: &'c CallBrief,
    turn: Turn,
    text: String,
    /// When it was said.
    since: i64,
    /// How often it was looked for the answer before.
    looks: i64,
}

impl Desk {
    /// What is known of a call, from its first webhook. A later one does not say whether the number is verified.
    pub async fn known_or_new(&self, hook: &Webhook) -> Known {
        let known = self.journal.known(&hook.call).await;
        known.unwrap_or_else(|| Known {
            call: hook.call.clone(),
            number: hook.number.clone(),
            person: None,
            objective: None,
            next: None,
            is_live: true,
            started_ms: self.journal.store.now_ms(),
        })
    }

    /// Writes the first words down. The standard greeting is no memory of anybody.
    pub async fn note_opening(&self, call: &NewCall, text: &str, is_own_words: bool) {
        let now = now_us();
        let entry = said(Speaker::Assistant, text);
        let is_remembered = !is_own_words || call.person.is_none();
        let happened =
            Written::Happened { call: call.call.clone(), seq: now, entry, took_ms: None, is_remembered };
        self.journal.write(vec![happened]).await;
    }

    /// Somebody said something, pressed a key, or was silent.
    pub async fn turn(&self, hook: &Webhook) -> Vec<Verb> {
        let turn = turn_of(hook);
        let known = self.known_or_new(hook).await;
        let limit = i64::try_from(self.config.call_time_limit.as_millis()).unwrap_or(i64::MAX);
        if self.journal.store.now_ms() - known.started_ms > limit {
            return self.finish(&hook.call, TIME_IS_UP).await;
        }
        let Some(text) = hook.said() else { return self.silence(hook, turn).await };
        let brief = brief(known);
        let (call, at_ms) = (hook.call.clone(), self.journal.store.now_ms());
        let heard = Written::Happened {
            call: call.clone(),
            seq: turn.n,
            entry: said(Speaker::Person, &text),
            took_ms: None,
            is_remembered: brief.person.is_none(),
        };
        self.journal.write(vec![Written::Way { call, way: CallWay::Turns, at_ms }, heard]).await;
        self.answer(Asked { brief: &brief, turn, text, since: at_ms, looks: 0 }).await
    }

    /// Twilio asks again while an answer takes its time.
    pub async fn wait(&self, hook: &Webhook) -> Vec<Verb> {
        let turn = turn_of(hook);
        let known = self.known_or_new(hook).await;
        let said = self.journal.said(&hook.call).await;
        let Some((.., text)) = said.into_iter().find(|(seq, ..)| *seq == turn.n) else {
            return self.stumble(turn, "what was said is lost", &hook.call).await;
        };
        let since = hook.asked("since").unwrap_or_else(|| self.journal.store.now_ms());
        let looks = hook.asked("looks").unwrap_or(0);
        self.answer(Asked { brief: &brief(known), turn, text, since, looks }).await
    }

    /// What is heard where a turn takes longer than Twilio waits: its answer is looked for again.
    pub fn later(&self, hook: &Webhook) -> Vec<Verb> {
        let (turn, looks) = (turn_of(hook), hook.asked("looks").unwrap_or(0));
        let since = hook.asked("since").unwrap_or_else(|| self.journal.store.now_ms());
        if self.is_too_slow(since) {
            return speech::voicemail(&self.config, &self.config.texts.apology);
        }
        speech::wait(&self.config, &self.config.texts.fillers[0], turn, looks + 1, since)
    }

    /// Whether a turn takes too long. One that was said in the future is from before the clock was put back.
    fn is_too_slow(&self, since: i64) -> bool {
        let longest = self.config.longest_turn;
        has_come(since.saturating_add(millis(longest)), self.journal.store.now_ms(), longest)
    }

    async fn silence(&self, hook: &Webhook, turn: Turn) -> Vec<Verb> {
        if turn.silent >= i64::from(self.config.gather_retries) {
            return self.finish(&hook.call, "nothing was said any more").await;
        }
        speech::listen(&self.config, &self.config.texts.reprompt, Turn { silent: turn.silent + 1, ..turn })
    }

    async fn answer(&self, asked: Asked<'_>) -> Vec<Verb> {
        let said = self.journal.said(&asked.brief.call).await;
        let about = (asked.turn.n, asked.text.as_str());
        // Without the database no run can be kept, and nothing is known: nobody waits to find that out.
        let can_keep = !self.journal.store.is_named() || self.is_up(DATABASE).await;
        let (context, config) = (&self.context, &self.config);
        let question = mind::question(context, config, asked.brief, about, &said, can_keep).await;
        if !can_keep {
            return self.chat(&asked, &question, "the database is away").await;
        }
        match mind::run(context, &question, config.patience).await {
            Ok(report) => self.follow(&asked, report).await,
            Err(error) if error.kind == ErrorKind::Deadline => self.meanwhile(&asked, None).await,
            Err(error) if is_away(&error) => self.chat(&asked, &question, &error.message).await,
            Err(error) => self.stumble(asked.turn, &error.message, &asked.brief.call).await,
        }
    }

    /// The model answers alone.
    async fn chat(&self, asked: &Asked<'_>, question: &mind::Question, why: &str) -> Vec<Verb> {
        let call = &asked.brief.call;
        tracing::warn!(call, "the model answers without the assistant's tools: {why}");
        match mind::chat(&self.context, question).await {
            Ok(text) => self.speak(asked, &text, Vec::new()).await,
            Err(error) => self.give_up(call, &error.message).await,
        }
    }

    async fn follow(&self, asked: &Asked<'_>, report: RunReport) -> Vec<Verb> {
        match report.state {
            RunState::Done => {
                let tools = match report.usage.tool_calls {
                    0 => Vec::new(),
                    _ => mind::tools(&self.context, asked.brief, &report.run).await,
                };
                self.speak(asked, &report.answer.unwrap_or_default(), tools).await
            }
            RunState::Running => self.meanwhile(asked, Some(&report.run)).await,
            RunState::Waiting => {
                let tools = mind::tools(&self.context, asked.brief, &report.run).await;
                self.speak(asked, &self.config.texts.approval, tools).await
            }
            RunState::Failed | RunState::Cancelled => {
                let why = report.error.unwrap_or_else(|| "the run failed".to_owned());
                self.stumble(asked.turn, &why, &asked.brief.call).await
            }
        }
    }

    /// The answer is there: it is said, and what was decided meanwhile is done.
    async fn speak(&self, asked: &Asked<'_>, text: &str, tools: Vec<Entry>) -> Vec<Verb> {
        let (call, n) = (&asked.brief.call, asked.turn.n);
        let mut written = Vec::new();
        for (seq, tool) in (n + 1..n + ANSWER).zip(tools) {
            written.push(Written::Happened {
                call: call.clone(),
                seq,
                entry: tool,
                took_ms: None,
                is_remembered: true,
            });
        }
        if !text.trim().is_empty() {
            written.push(Written::Happened {
                call: call.clone(),
                seq: n + ANSWER,
                entry: said(Speaker::Assistant, text),
                took_ms: u64::try_from(self.journal.store.now_ms() - asked.since).ok(),
                is_remembered: asked.brief.person.is_none(),
            });
        }
        self.journal.write(written).await;
        self.journal.count("turns", 1).await;
        self.wake();
        let next = self.journal.known(call).await.and_then(|known| known.next);
        self.go_on(call, text, next, next_turn(asked.turn, 0)).await
    }

    /// Says it, and does what was decided; otherwise listens.
    pub async fn go_on(&self, call: &str, text: &str, next: Option<Next>, turn: Turn) -> Vec<Verb> {
        match next {
            Some(Next::HangUp { why }) => {
                self.outcome(call, &why).await;
                speech::ending(&self.config, text)
            }
            Some(Next::Transfer { to }) => {
                let mut verbs = speech::say(&self.config, text);
                verbs.extend(self.transfer(call, &to, turn).await);
                verbs
            }
            Some(Next::Turns { .. }) | None => speech::listen(&self.config, text, turn),
        }
    }

    async fn transfer(&self, call: &str, to: &str, turn: Turn) -> Vec<Verb> {
        let targets = &self.config.transfer;
        let number = targets.get(to).or_else(|| targets.values().find(|number| *number == to));
        let Some(number) = number else {
            tracing::warn!(call, to, "a call cannot be transferred there: `transfer` does not allow it");
            let (call, reason) = (call.to_owned(), format!("it cannot be transferred to {to}"));
            self.journal.write(vec![Written::Decided { call, next: Next::Turns { reason } }]).await;
            return speech::listen(&self.config, &self.config.texts.unreachable, turn);
        };
        self.outcome(call, &format!("{TRANSFERRED}{to}")).await;
        speech::transfer(&self.config, number)
    }

    /// Says something while the answer takes its time; too long is too long.
    async fn meanwhile(&self, asked: &Asked<'_>, run: Option<&str>) -> Vec<Verb> {
        let is_slow = self.is_too_slow(asked.since);
        let is_down = !self.is_up(OPENAI).await;
        if (is_slow || is_down)
            && let Some(run) = run
        {
            mind::cancel(&self.context, asked.brief, run).await;
        }
        if is_down {
            return self.give_up(&asked.brief.call, "openai is down").await;
        }
        if is_slow {
            return self.stumble(asked.turn, "the answer took too long", &asked.brief.call).await;
        }
        let fillers = &self.config.texts.fillers;
        let at = usize::try_from(asked.looks).unwrap_or(0) % fillers.len();
        speech::wait(&self.config, &fillers[at], asked.turn, asked.looks + 1, asked.since)
    }

    /// It went wrong, and may be tried again; but not for ever.
    async fn stumble(&self, turn: Turn, why: &str, call: &str) -> Vec<Verb> {
        self.note(call, &format!("a turn failed: {why}")).await;
        if turn.failed + 1 >= MOST_FAILURES {
            return self.give_up(call, why).await;
        }
        speech::listen(&self.config, &self.config.texts.failure, next_turn(turn, turn.failed + 1))
    }

    /// Nobody can answer: a message may be left.
    pub async fn give_up(&self, call: &str, why: &str) -> Vec<Verb> {
        tracing::warn!(call, "nobody can answer on the phone: {why}");
        let noted = self.journal.note(call, format!("{UNANSWERED}: {why}"));
        let way = Written::Way {
            call: call.to_owned(),
            way: CallWay::Voicemail,
            at_ms: self.journal.store.now_ms(),
        };
        let outcome = Written::Outcome { call: call.to_owned(), outcome: UNANSWERED.to_owned() };
        self.journal.write(vec![noted, way, outcome]).await;
        self.journal.count("apologies", 1).await;
        speech::voicemail(&self.config, &self.config.texts.apology)
    }

    pub async fn finish(&self, call: &str, outcome: &str) -> Vec<Verb> {
        self.outcome(call, outcome).await;
        speech::goodbye(&self.config)
    }

    pub async fn outcome(&self, call: &str, outcome: &str) {
        let (call, outcome) = (call.to_owned(), outcome.to_owned());
        self.journal.write(vec![Written::Outcome { call, outcome }]).await;
    }

    pub async fn note(&self, call: &str, text: &str) {
        self.journal.write(vec![self.journal.note(call, text)]).await;
    }
}

fn turn_of(hook: &Webhook) -> Turn {
    let number = |name| hook.asked(name).unwrap_or(0).max(0);
    let n = hook.asked("n").unwrap_or_else(now_us);
    Turn { n, silent: number("silent"), failed: number("failed") }
}

fn next_turn(turn: Turn, failed: i64) -> Turn {
    Turn { n: now_us().max(turn.n + NEXT_TURN), silent: 0, failed }
}

fn brief(known: Known) -> CallBrief {
    let Known { call, number, person, objective, started_ms, .. } = known;
    CallBrief { call, number, person, objective, opening: None, started_ms }
}

pub fn said(speaker: Speaker, text: &str) -> Entry {
    Entry::Said { speaker, text: text.to_owned(), interrupted: false }
}

/// Nothing was begun, and another try would meet the same.
fn is_away(error: &OperationError) -> bool {
    matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Overloaded)
}

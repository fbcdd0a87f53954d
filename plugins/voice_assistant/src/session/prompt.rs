//! The caller, what is known of them, and what the call is for -> the instructions of the model. Text of others stands
//! between marks, as data. Pure.

use plugin_api::{
    jiff::Timestamp,
    origin::{Origin, briefing, marked},
    phone::is_number,
    requests::memory::{Medium, Memory, Speaker, Thread, Turn},
    tools::data::cut_off,
};

use super::settings::Config;
use crate::call::{CallBrief, PROOF, PURSUE};

/// An estimate, good enough for a limit.
const BYTES_PER_TOKEN: usize = 4;

/// What is known of the caller.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Known {
    /// Nobody knows who calls.
    #[default]
    Nobody,
    /// In words; empty if nothing is.
    Words(String),
    /// It cannot be read now.
    Unreadable,
}

/// The instructions.
pub fn instructions(config: &Config, brief: &CallBrief, known: &Known, mark: &str, now: Timestamp) -> String {
    let (persona, language) = (&config.common.persona, &config.common.language);
    let briefing = briefing(mark, !matches!(known, Known::Nobody));
    let (call, caller) = (call(brief, mark), caller(brief, known, mark));
    format!(
        "{persona}\n\n\
         {call} It is {now:.0} (UTC). Speak the language of `{language}`, unless they speak another one.\n\n\
         These rules always hold:\n\
         - You speak on the telephone. Say little at a time: one or two short sentences, then listen. No lists, no \
         markup, no links; say numbers, dates and times as people say them.\n\
         - If you did not understand, say so and ask. If the line is silent or noisy, do not guess.\n\
         {briefing}\n\
         - When the caller wants to end the call, or everything is done, say goodbye and call `hang_up`.\n\n\
         {caller}"
    )
}

/// The facts, the summary and the newest turns, as far as they fit.
pub fn words(thread: Option<&Thread>, facts: &[Memory], tokens: u32) -> String {
    let mut left = tokens as usize * BYTES_PER_TOKEN;
    let facts = fitting(facts.iter().map(|fact| format!("- {}", fact.text)), left / 2);
    left -= facts.iter().map(String::len).sum::<usize>();
    let summary = thread.and_then(|thread| thread.summary.as_deref()).unwrap_or_default();
    let summary = cut_off(summary, left / 2);
    left -= summary.len();
    let turns = thread.map(|thread| thread.turns.as_slice()).unwrap_or_default();
    let mut turns = fitting(turns.iter().rev().filter(|turn| !turn.text.is_empty()).map(turn), left);
    turns.reverse();
    let parts = [
        ("What is known of them", facts.join("\n")),
        ("What was said with them long ago, in short", summary.to_owned()),
        ("What was said with them last, by text or on the phone", turns.join("\n")),
    ];
    let parts = parts.into_iter().filter(|(_, words)| !words.is_empty());
    parts.map(|(title, words)| format!("{title}:\n{words}")).collect::<Vec<_>>().join("\n\n")
}

fn call(brief: &CallBrief, mark: &str) -> String {
    match &brief.objective {
        None => "Somebody has called, and you answer.".to_owned(),
        Some(objective) => format!(
            "You have called somebody, and they have answered. {PURSUE}\n{}\n",
            marked(mark, Origin::Task, objective)
        ),
    }
}

fn caller(brief: &CallBrief, known: &Known, mark: &str) -> String {
    // What a caller shows may be any text.
    let number = brief.number.as_deref().filter(|number| is_number(number));
    let proof = if number.is_some() { format!(" {PROOF}") } else { String::new() };
    let number = number.unwrap_or("withheld");
    match known {
        Known::Nobody => format!("Their number is {number}; who they are is not known for sure.{proof}"),
        Known::Unreadable => format!(
            "Their number is {number}. What is known of them cannot be read at the moment: if it matters, say so."
        ),
        Known::Words(words) if words.is_empty() => {
            format!("Their number is {number}. Nothing is known of them yet.")
        }
        Known::Words(words) => {
            format!(
                "Their number is {number}. This is what is known of them:\n{}",
                marked(mark, Origin::Memory, words)
            )
        }
    }
}

fn turn(turn: &Turn) -> String {
    let who = match turn.speaker {
        Speaker::Person => "they",
        Speaker::Assistant => "you",
    };
    let how = match turn.medium {
        Medium::Sms => "by SMS",
        Medium::Rcs => "by RCS",
        Medium::Whatsapp => "by WhatsApp",
        Medium::Voice => "on the phone",
        Medium::Other => "otherwise",
    };
    let when = Timestamp::from_millisecond(turn.at_ms).map(|at| format!(", {at:.0}")).unwrap_or_default();
    // No line of a turn looks like another turn.
    let text = turn.text.split(['\n', '\r']).collect::<Vec<_>>().join(" ");
    format!("{who} ({how}{when}): {text}")
}

/// The first of them that fit into so many bytes.
fn fitting(texts: impl Iterator<Item = String>, bytes: usize) -> Vec<String> {
    let mut left = bytes;
    let fits = |text: &String| {
        let fits = text.len() <= left;
        left = left.saturating_sub(text.len());
        fits
    };
    texts.take_while(fits).collect()
}

//! Decisions that wait -> what the approver reads in an SMS or a mail: our words and the link first, then what decides,
//! then as much as fits of what was asked for. Nothing that somebody else wrote stands outside a quote. Pure.

use plugin_api::{
    jiff::Timestamp,
    requests::orchestrator::Question,
    serde_json::Value,
    tools::{
        approval::{self, Shown},
        toolbox,
    },
    visible::{quote, visible},
};

use crate::run::{Run, ToolRun};

/// An SMS takes 1600 characters.
pub const SMS: usize = 1500;
pub const MAIL: usize = 20_000;
/// Of what was asked for, an SMS shows so much.
const LONGEST_GOAL: usize = 200;

/// Of the name of a person, so much.
const LONGEST_NAME: usize = 100;

/// A decision that waits.
pub struct Waiting {
    pub run: Run,
    pub call: ToolRun,
}

/// The decisions in a line.
pub fn subject(waiting: &[Waiting]) -> String {
    match waiting {
        [one] => question(&one.call),
        many => format!("{} tool calls wait for your decision", many.len()),
    }
}

/// The decisions in so many characters; `how` is the link to them, or a command.
pub fn words(waiting: &[Waiting], how: &str, most: usize) -> String {
    let until = waiting.iter().map(|waiting| waiting.call.expires_ms).min().unwrap_or_default();
    let mut words = format!("{}\nDecide until {}:\n{how}\n", subject(waiting), time(until));
    match waiting {
        [one] => {
            words += &arguments_of(one, most.saturating_sub(words.chars().count() + LONGEST_GOAL));
            words += &asked_for(&one.run, most.saturating_sub(words.chars().count()).min(most / 2));
        }
        many => words += &each(many, most.saturating_sub(words.chars().count())),
    }
    words.trim_end().to_owned()
}

/// As many of them as fit, each with all that decides.
fn each(waiting: &[Waiting], most: usize) -> String {
    let (mut words, mut told) = (String::new(), 0);
    for one in waiting {
        let next = format!("\n{}\n{}", question(&one.call), lines(&one.decisive()));
        if words.chars().count() + next.chars().count() + 80 > most {
            break;
        }
        words += &next;
        told += 1;
    }
    match waiting.len() - told {
        0 => words,
        left => format!("{words}\n{left} more are not shown here"),
    }
}

/// What decides, whole; and the other arguments that fit, each whole.
fn arguments_of(one: &Waiting, most: usize) -> String {
    let (decisive, mut others) = (one.decisive(), one.others());
    let mut words = String::new();
    if !decisive.is_empty() {
        words += &format!("\nIts arguments that decide:\n{}", lines(&decisive));
    }
    let fit = |others: &[Shown]| lines(others).chars().count() + words.chars().count() + 100 <= most;
    let mut left = Vec::new();
    while !fit(&others) {
        left.extend(others.pop());
    }
    if !others.is_empty() {
        let which = if decisive.is_empty() { "Its arguments" } else { "Its other arguments" };
        words += &format!("\n{which}:\n{}", lines(&others));
    }
    if !left.is_empty() {
        let length: usize = left.iter().map(|shown| shown.value.chars().count()).sum();
        let which = if decisive.is_empty() && others.is_empty() { "Its" } else { "More" };
        words += &format!("\n{which} arguments, with {length} characters, are not shown here\n");
    }
    words
}

fn lines(shown: &[Shown]) -> String {
    shown.iter().map(|shown| quote(&shown.line()) + "\n").collect()
}

fn asked_for(run: &Run, most: usize) -> String {
    let person = run.person.as_deref().map_or_else(|| "nobody in particular".to_owned(), quoted_in_line);
    // Every line and every address of it takes more once it is quoted.
    let (goal, most) = (quote(&visible(&run.goal)), most.saturating_sub(person.chars().count() + 80));
    let shown: String = goal.chars().take(most).collect();
    let left = goal.chars().count() - shown.chars().count();
    let note = if left > 0 { format!("\n{left} more characters are not shown here") } else { String::new() };
    format!("\nOn behalf of {person}, for this:\n{}{note}", shown.trim_end())
}

/// A name among our words: it has one line, and ends where its quote ends.
fn quoted_in_line(name: &str) -> String {
    let shown = visible(&name.replace(['`', '\n'], "?")).replace("://", "[:]//");
    format!("`{}`", shown.chars().take(LONGEST_NAME).collect::<String>())
}

/// The question in a line.
pub fn question(call: &ToolRun) -> String {
    match call.question {
        Some(Question::Approval) => format!("May `{}` be called?", call.tool),
        _ => format!("`{}` was begun, and nobody knows whether it took effect. Call it again?", call.tool),
    }
}

/// A moment for people.
pub fn time(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// With what a tool would be, or was, called.
pub fn arguments(call: &ToolRun) -> Value {
    toolbox::arguments(&call.arguments).unwrap_or_else(|_| Value::from(call.arguments.as_str()))
}

impl Waiting {
    /// Names it on a page.
    pub fn name(&self) -> String {
        format!("{}/{}", self.run.id, self.call.decision())
    }

    /// The arguments that decide.
    pub fn decisive(&self) -> Vec<Shown> {
        approval::decisive(&self.call.decisive, &arguments(&self.call))
    }

    /// All others.
    pub fn others(&self) -> Vec<Shown> {
        approval::others(&self.call.decisive, &arguments(&self.call))
    }
}

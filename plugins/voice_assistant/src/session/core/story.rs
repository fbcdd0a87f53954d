//! What was said and done, in the order of the conversation, however late its words come; and the same in short, so that a
//! new connection with the model can go on with it. Bounded. Pure.

use std::{collections::VecDeque, time::Duration};

use plugin_api::{
    origin::{Origin, marked},
    requests::memory::Speaker,
};

use super::super::model::{Content, FunctionCall};
use crate::call::Entry;

/// How long the words of what the caller said are waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// As many letters are kept as they are; then the older half is put in short.
const MOST_LETTERS: usize = 24_000;
/// What the caller said and nobody could make out.
const INAUDIBLE: &str = "[inaudible]";

/// Somebody said something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub speaker: Speaker,
    pub text: String,
    pub is_interrupted: bool,
}

/// What was said and done.
#[derive(Debug, Default)]
pub struct Story {
    /// In order; the first whose words are not known holds up the rest.
    open: VecDeque<Open>,
    lines: VecDeque<Line>,
    letters: usize,
    summary: Option<String>,
    /// Lines that are in neither.
    left_out: usize,
    /// So many lines are being put in short.
    summarising: Option<usize>,
}

#[derive(Debug)]
enum Open {
    Caller { item: String, since: Duration, text: Option<Option<String>> },
    Assistant { utterance: u32, text: Option<(String, bool)> },
    Line(Line),
}

/// A line of the story.
#[derive(Debug, Clone, PartialEq)]
enum Line {
    Said(Said),
    Tool { call: FunctionCall, output: String },
}

impl From<Said> for Entry {
    fn from(said: Said) -> Self {
        let Said { speaker, text, is_interrupted: interrupted } = said;
        Self::Said { speaker, text, interrupted }
    }
}

impl Story {
    /// The caller said something; the words follow.
    pub fn caller_spoke(&mut self, item: String, now: Duration) {
        let is_known =
            self.open.iter().any(|open| matches!(open, Open::Caller { item: known, .. } if *known == item));
        if !is_known {
            self.open.push_back(Open::Caller { item, since: now, text: None });
        }
    }

    /// The words; `None`: they cannot be made out.
    pub fn heard(&mut self, item: &str, words: Option<String>) {
        for open in &mut self.open {
            if let Open::Caller { item: known, text, .. } = open
                && known == item
            {
                *text = Some(words.clone());
            }
        }
    }

    /// The caller said something in words, or by keys.
    pub fn caller_wrote(&mut self, text: String) {
        self.open.push_back(Open::Line(Line::Said(Said {
            speaker: Speaker::Person,
            text,
            is_interrupted: false,
        })));
    }

    /// The assistant begins to say something.
    pub fn speaks(&mut self, utterance: u32) {
        self.open.push_back(Open::Assistant { utterance, text: None });
    }

    /// What the caller heard of it.
    pub fn spoken(&mut self, number: u32, words: String, is_interrupted: bool) {
        for open in &mut self.open {
            if let Open::Assistant { utterance, text } = open
                && *utterance == number
            {
                *text = Some((words.clone(), is_interrupted));
            }
        }
    }

    /// A tool was called.
    pub fn used(&mut self, call: FunctionCall, output: String) {
        self.open.push_back(Open::Line(Line::Tool { call, output }));
    }

    /// What these items hold is heard again: it is not to be told twice.
    pub fn forget<'i>(&mut self, items: impl Iterator<Item = &'i str>) {
        let items: Vec<&str> = items.collect();
        self.open.retain(|open| !matches!(open, Open::Caller { item, .. } if items.contains(&item.as_str())));
    }

    /// Words that have not come by now will not come.
    pub fn give_up_waiting(&mut self) {
        for open in &mut self.open {
            if let Open::Caller { text: text @ None, .. } = open {
                *text = Some(None);
            }
        }
    }

    /// Gives up waiting for words that have taken too long.
    pub fn tick(&mut self, now: Duration) {
        for open in &mut self.open {
            if let Open::Caller { since, text: text @ None, .. } = open
                && now >= *since + PATIENCE
            {
                *text = Some(None);
            }
        }
    }

    /// When that is.
    pub fn due(&self) -> Option<Duration> {
        let waiting = self.open.iter().filter_map(|open| match open {
            Open::Caller { since, text: None, .. } => Some(*since + PATIENCE),
            _ => None,
        });
        waiting.min()
    }

    /// Some words are still to come.
    pub fn waits_for_caller(&self) -> bool {
        self.due().is_some()
    }

    /// What is to be told next, as far as its words are known.
    pub fn tell(&mut self) -> Vec<Said> {
        let mut told = Vec::new();
        while self.open.front().is_some_and(Open::is_known) {
            let Some(line) = self.open.pop_front().and_then(Open::into_line) else { continue };
            if let Line::Said(said) = &line {
                told.push(said.clone());
            }
            self.letters += line.letters();
            self.lines.push_back(line);
        }
        told
    }

    /// The older half, if there is too much; once, until [`Story::summarised`].
    pub fn take_older_half(&mut self) -> Option<String> {
        if self.letters <= MOST_LETTERS || self.summarising.is_some() {
            return None;
        }
        let mut count = 0;
        let mut letters = 0;
        while letters < self.letters / 2 {
            letters += self.lines.get(count)?.letters();
            count += 1;
        }
        self.summarising = Some(count);
        let lines = self.lines.iter().take(count).map(Line::words);
        Some(self.summary.iter().cloned().chain(lines).collect::<Vec<_>>().join("\n"))
    }

    /// It is in short now; `None`: that did not work, and it is left out.
    pub fn summarised(&mut self, summary: Option<String>) {
        let count = self.summarising.take().unwrap_or(0).min(self.lines.len());
        for line in self.lines.drain(..count) {
            self.letters -= line.letters();
        }
        match summary {
            Some(summary) => self.summary = Some(summary),
            None => self.left_out += count,
        }
    }

    /// The conversation so far, for a model that has heard nothing of it.
    pub fn contents(&self, mark: &str) -> Vec<Content> {
        let mut contents = Vec::new();
        if let Some(summary) = &self.summary {
            contents
                .push(Content::Note("What was said earlier in this call comes next, in short.".to_owned()));
            contents.push(Content::Data(marked(mark, Origin::Memory, summary)));
        }
        if self.left_out > 0 {
            contents.push(Content::Note(format!(
                "{} earlier turns of this call are not known any more.",
                self.left_out
            )));
        }
        let open = self.open.iter().filter_map(|open| match open {
            Open::Line(line) => Some(line.clone()),
            Open::Caller { text: Some(Some(text)), .. } => Some(Line::by_caller(text.clone())),
            Open::Assistant { text: Some((text, is_interrupted)), .. } => {
                Some(Line::by_assistant(text.clone(), *is_interrupted))
            }
            _ => None,
        });
        for line in self.lines.iter().cloned().chain(open) {
            line.add_to(&mut contents);
        }
        contents
    }
}

impl Open {
    fn is_known(&self) -> bool {
        match self {
            Self::Caller { text, .. } => text.is_some(),
            Self::Assistant { text, .. } => text.is_some(),
            Self::Line(_) => true,
        }
    }

    /// `None`: nothing was said.
    fn into_line(self) -> Option<Line> {
        match self {
            Self::Caller { text, .. } => match text? {
                Some(text) if text.trim().is_empty() => None,
                Some(text) => Some(Line::by_caller(text)),
                None => Some(Line::Said(Said {
                    speaker: Speaker::Person,
                    text: INAUDIBLE.to_owned(),
                    is_interrupted: false,
                })),
            },
            Self::Assistant { text, .. } => {
                let (text, is_interrupted) = text?;
                (!text.trim().is_empty()).then(|| Line::by_assistant(text, is_interrupted))
            }
            Self::Line(line) => Some(line),
        }
    }
}

impl Line {
    fn by_caller(text: String) -> Self {
        let text = text.trim().to_owned();
        Self::Said(Said { speaker: Speaker::Person, text, is_interrupted: false })
    }

    fn by_assistant(text: String, is_interrupted: bool) -> Self {
        let text = text.trim().to_owned();
        Self::Said(Said { speaker: Speaker::Assistant, text, is_interrupted })
    }

    fn letters(&self) -> usize {
        match self {
            Self::Said(said) => said.text.len(),
            Self::Tool { call, output } => call.arguments.len() + output.len(),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Said(Said { speaker, text, .. }) => {
                let who = if *speaker == Speaker::Person { "Caller" } else { "Assistant" };
                // No line of what somebody says looks like another one's.
                format!("{who}: {}", text.replace(['\n', '\r'], " "))
            }
            Self::Tool { call, output } => format!("Tool {} answered: {output}", call.name),
        }
    }

    fn add_to(self, contents: &mut Vec<Content>) {
        match self {
            Self::Said(Said { text, .. }) if text.is_empty() => {}
            Self::Said(Said { speaker: Speaker::Person, text, .. }) => contents.push(Content::Caller(text)),
            Self::Said(Said { text, is_interrupted, .. }) => {
                let end = if is_interrupted { " …" } else { "" };
                contents.push(Content::Assistant(format!("{text}{end}")));
            }
            Self::Tool { call, output } => {
                let call_id = call.call_id.clone();
                contents.push(Content::Call(call));
                contents.push(Content::Output { call_id, output });
            }
        }
    }
}

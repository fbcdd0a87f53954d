//! What a model writes -> what it says, beside thoughts and tool calls that it wrote as text. However it is cut into
//! pieces, and wherever it is cut off: what was begun and not ended is not said. Pure.
//!
//! Thoughts stand between marks that differ by family: DeepSeek and Qwen, Magistral, Kimi, Seed, and gpt-oss where its server
//! does not read them. Some templates end the question with the opening mark, so that only the closing one is written: then
//! all that was written before it was thought. A mark in backticks is quoted, and is none.

/// Where thoughts begin and end.
const THOUGHTS: [(&str, &str); 9] = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[think]", "[/think]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel|>analysis<|message|>", "<|end|>"),
];
/// Where a tool call begins and ends that was written as text; an empty end is that of the answer.
const CALLS: [(&str, &str); 10] = [
    ("<tool_call>", "</tool_call>"),
    ("<tool_calls>", "</tool_calls>"),
    ("<function_call>", "</function_call>"),
    ("<function=", "</function>"),
    ("<|tool_call|>", "<|/tool_call|>"),
    ("<minimax:tool_call>", "</minimax:tool_call>"),
    ("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),
    ("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
    ("[tool_calls]", ""),
    ("<|python_tag|>", ""),
];
/// What belongs to the form of an answer, and to nothing else.
const FORM: [&str; 4] = ["<|start|>assistant", "<|channel|>final<|message|>", "<|return|>", "<|end|>"];

/// Takes an answer as it comes.
#[derive(Debug, Default)]
pub struct Splitter {
    /// Whether a tool call may stand in the text: only where tools were offered.
    has_tools: bool,
    /// What is not decided yet.
    held: String,
    inside: Inside,
    split: Split,
    /// The first words behind thoughts begin without space.
    is_behind_thoughts: bool,
}

/// An answer, told apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Split {
    pub said: String,
    pub has_thoughts: bool,
    /// Tool calls as they were written, without their marks but for that of a function's name.
    pub calls: Vec<String>,
    /// It ends in the middle of a thought or a call.
    pub is_cut: bool,
}

#[derive(Debug, Default, Clone, Copy)]
enum Inside {
    /// Words, of which nothing is known yet.
    #[default]
    Words,
    /// Until this mark.
    Thought(&'static str),
    /// Until this mark.
    Call(&'static str),
}

/// What stands at a place of the text.
#[derive(Clone, Copy)]
enum Mark {
    Thought(&'static str),
    ThoughtEnd,
    Call(&'static str, &'static str),
    Form,
}

/// A whole answer.
pub fn split(text: &str, has_tools: bool) -> Split {
    let mut splitter = Splitter::new(has_tools);
    splitter.take(text);
    splitter.end();
    splitter.split
}

impl Splitter {
    pub fn new(has_tools: bool) -> Self {
        Self { has_tools, ..Self::default() }
    }

    /// Takes a piece; gives what is said for sure.
    pub fn take(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        self.go_on(false)
    }

    /// There is no more; gives what was held back.
    pub fn end(&mut self) -> String {
        let rest = self.go_on(true);
        self.split.is_cut = !matches!(self.inside, Inside::Words);
        rest
    }

    fn go_on(&mut self, is_end: bool) -> String {
        let mut news = String::new();
        // A whole answer of JSON may be a tool call: who offered tools waits for its end.
        let may_be_call =
            self.has_tools && matches!(self.inside, Inside::Words) && self.split.said.is_empty();
        if may_be_call && !is_end && self.held.trim_start().starts_with(['{', '`']) {
            return news;
        }
        loop {
            let lower = self.held.to_ascii_lowercase();
            let found = match self.inside {
                Inside::Words => self.first_mark(&lower),
                Inside::Thought(close) | Inside::Call(close) => {
                    let place = if close.is_empty() { None } else { lower.find(close) };
                    place.map(|place| (place, close.len(), Mark::Form))
                }
            };
            let Some((place, length, mark)) = found else {
                let kept = if is_end { 0 } else { self.undecided(&lower) };
                let decided: String = self.held.drain(..self.held.len() - kept).collect();
                self.put(&decided, &mut news);
                return news;
            };
            let before: String = self.held.drain(..place).collect();
            self.put(&before, &mut news);
            self.held.drain(..length);
            self.pass(mark);
        }
    }

    /// Words, thoughts or a call, whatever it is inside of.
    fn put(&mut self, text: &str, news: &mut String) {
        match self.inside {
            Inside::Words => {
                let text = if self.is_behind_thoughts { text.trim_start() } else { text };
                self.is_behind_thoughts &= text.is_empty();
                self.split.said.push_str(text);
                news.push_str(text);
            }
            Inside::Thought(_) => {}
            Inside::Call(_) => {
                if let Some(call) = self.split.calls.last_mut() {
                    call.push_str(text);
                }
            }
        }
    }

    fn pass(&mut self, mark: Mark) {
        match (self.inside, mark) {
            (Inside::Words, Mark::Thought(close)) => {
                self.split.has_thoughts = true;
                self.inside = Inside::Thought(close);
            }
            (Inside::Words, Mark::ThoughtEnd) => {
                self.split.has_thoughts = true;
                self.split.said.clear();
                self.is_behind_thoughts = true;
            }
            (Inside::Words, Mark::Call(open, close)) => {
                let name = if open.ends_with('=') { open } else { "" };
                self.split.calls.push(name.to_owned());
                self.inside = Inside::Call(close);
            }
            (Inside::Words, Mark::Form) => {}
            _ => {
                self.inside = Inside::Words;
                self.is_behind_thoughts = self.split.said.trim().is_empty();
            }
        }
    }

    /// The first mark that is not quoted: its place, its length, and what it is.
    fn first_mark(&self, lower: &str) -> Option<(usize, usize, Mark)> {
        let of = |text: &'static str, mark: Mark| {
            lower
                .match_indices(text)
                .map(|(place, _)| place)
                .find(|place| !self.is_quoted(*place))
                .map(|place| (place, text.len(), mark))
        };
        let thoughts = THOUGHTS.iter().flat_map(|(open, close)| {
            [of(open, Mark::Thought(close)), of(close, Mark::ThoughtEnd).filter(|_| *close != "<|end|>")]
        });
        let calls =
            CALLS.iter().filter(|_| self.has_tools).map(|(open, close)| of(open, Mark::Call(open, close)));
        let form = FORM.iter().map(|text| of(text, Mark::Form));
        // Of two at one place, the longer.
        thoughts
            .chain(calls)
            .chain(form)
            .flatten()
            .min_by_key(|(place, length, _)| (*place, usize::MAX - *length))
    }

    fn is_quoted(&self, place: usize) -> bool {
        match self.held[..place].chars().next_back() {
            Some(before) => before == '`',
            None => self.split.said.ends_with('`'),
        }
    }

    /// How much of the end may be the beginning of a mark.
    fn undecided(&self, lower: &str) -> usize {
        let marks: Vec<&str> = match self.inside {
            Inside::Thought(close) | Inside::Call(close) => vec![close],
            Inside::Words => {
                let pairs = THOUGHTS.iter().flat_map(|(open, close)| [*open, *close]);
                pairs.chain(CALLS.iter().map(|(open, _)| *open)).chain(FORM).collect()
            }
        };
        let begins = |length: &usize| {
            let end = &lower[lower.len() - length..];
            marks.iter().any(|mark| mark.len() > *length && mark.starts_with(end))
        };
        let longest = marks.iter().map(|mark| mark.len()).max().unwrap_or(0).min(lower.len());
        let whole = |length: &usize| lower.is_char_boundary(lower.len() - length);
        (1..=longest).rev().filter(whole).find(begins).unwrap_or(0)
    }
}

//! What a model writes -> what it says, beside thoughts and tool calls that it wrote as text. However it is cut into
//! pieces, and wherever it is cut off: what was begun and not ended is not said. Pure.
//!
//! Thoughts stand between marks that differ by family: DeepSeek and Qwen, Magistral, Kimi, Seed, Cohere, and gpt-oss where
//! its server does not read them. Some templates end the question with the opening mark, so that only the closing one is
//! written: then all that was written before it was thought, and a stream of such a model is held back until the mark comes
//! (vllm-project/vllm#13125). Where a server strips gpt-oss' marks, their names are left, glued to the words:
//! `analysisThey greet.assistantfinalHello!` (Augustas11/macprovider#743). A mark in backticks is quoted, and is none.

/// Where thoughts begin and end.
const THOUGHTS: [(&str, &str); 13] = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[think]", "[/think]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|start_thinking|>", "<|end_thinking|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<longcat_think>", "</longcat_think>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<|channel|>analysis<|message|>", "<|end|>"),
];
/// How an answer of gpt-oss begins whose marks were stripped, before a capital letter; and where its words begin.
const STRIPPED: (&str, &str) = ("analysis", "assistantfinal");
/// How a tool call begins there.
const STRIPPED_CALL: &str = "assistantcommentary to=";
/// Where a tool call begins and ends that was written as text; an empty end is that of the answer.
const CALLS: [(&str, &str); 18] = [
    ("<tool_call>", "</tool_call>"),
    ("<tool_calls>", "</tool_calls>"),
    ("<function_call>", "</function_call>"),
    ("<function=", "</function>"),
    ("<|tool_call|>", "<|/tool_call|>"),
    ("<minimax:tool_call>", "</minimax:tool_call>"),
    ("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),
    ("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
    ("<|channel|>commentary to=", "<|call|>"),
    ("<|start|>assistant to=", "<|call|>"),
    (STRIPPED_CALL, STRIPPED.1),
    ("<|start_action|>", "<|end_action|>"),
    ("<|action_start|>", "<|action_end|>"),
    ("<longcat_tool_call>", "</longcat_tool_call>"),
    ("<seed:tool_call>", "</seed:tool_call>"),
    ("<toolcall>", "</toolcall>"),
    ("[tool_calls]", ""),
    ("<|python_tag|>", ""),
];
/// What belongs to the form of an answer, and to nothing else.
const FORM: [&str; 7] = [
    "<|start|>assistant",
    "<|channel|>final<|message|>",
    "<|channel|>commentary<|message|>",
    "<|return|>",
    "<|end|>",
    "<|start_response|>",
    "<|end_response|>",
];
/// The same, of those models alone that wrote thoughts: Hunyuan's.
const ANSWER: [&str; 2] = ["<answer>", "</answer>"];
/// With one of these ends every mark of thoughts.
const ENDS: [char; 4] = ['>', ']', '▷', 'l'];

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
    /// All words may be thoughts: they wait for a mark of thoughts, or for the end.
    waits: bool,
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
    /// Thoughts ended that no mark had begun.
    pub omits_opening: bool,
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

impl Split {
    /// Whether the model ends thoughts that no mark begins; `None`: it said too little to tell. The words of an answer that
    /// is not whole may be thoughts whose end is missing.
    pub fn omits_opening(&self, is_whole: bool) -> Option<bool> {
        let tells = self.omits_opening || is_whole && !self.said.trim().is_empty();
        tells.then_some(self.omits_opening)
    }
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

    /// For a model that may end thoughts which no mark begins.
    pub fn waiting(has_tools: bool) -> Self {
        Self { waits: true, ..Self::new(has_tools) }
    }

    /// The server keeps thoughts elsewhere: words are words.
    pub fn stop_waiting(&mut self) {
        self.waits = false;
    }

    pub fn is_waiting(&self) -> bool {
        self.waits
    }

    /// The split so far.
    pub fn so_far(&self) -> &Split {
        &self.split
    }

    /// Takes a piece; gives what is said for sure.
    pub fn take(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        if self.waits {
            // Looked for where one may have ended, and not in all of it at every piece.
            self.waits = !(piece.contains(ENDS) && self.has_thought_mark());
        }
        if self.waits { String::new() } else { self.go_on(false) }
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
        if self.is_stripped_beginning(is_end) {
            return news;
        }
        loop {
            let lower = self.held.to_ascii_lowercase();
            let found = match self.inside {
                Inside::Words => self.first_mark(&lower),
                Inside::Thought(close) | Inside::Call(close) => {
                    let ends = |close: &str, length| Some((lower.find(close)?, length, Mark::Form));
                    let end = if close.is_empty() { None } else { ends(close, close.len()) };
                    // There a call ends the thoughts, and is read as words' marks are.
                    let call = if self.may_end_by_call() { ends(STRIPPED_CALL, 0) } else { None };
                    [end, call].into_iter().flatten().min_by_key(|(place, ..)| *place)
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
            if matches!((self.inside, mark), (Inside::Words, Mark::ThoughtEnd)) {
                news.clear();
            }
            self.pass(mark);
        }
    }

    /// Passes the beginning of an answer whose marks were stripped; whether it must wait to know.
    fn is_stripped_beginning(&mut self, is_end: bool) -> bool {
        let is_at_the_front =
            matches!(self.inside, Inside::Words) && self.split.said.is_empty() && !self.split.has_thoughts;
        if !is_at_the_front {
            return false;
        }
        let (open, close) = STRIPPED;
        let front = self.held.trim_start();
        match front.strip_prefix(open).map(|rest| rest.chars().next()) {
            Some(Some(next)) if next.is_uppercase() => {
                self.held = front[open.len()..].to_owned();
                self.pass(Mark::Thought(close));
                false
            }
            Some(None) => !is_end,
            Some(_) => false,
            None => !is_end && !front.is_empty() && open.starts_with(front),
        }
    }

    fn may_end_by_call(&self) -> bool {
        self.has_tools && matches!(self.inside, Inside::Thought(close) if close == STRIPPED.1)
    }

    fn has_thought_mark(&self) -> bool {
        let lower = self.held.to_ascii_lowercase();
        self.held.trim_start().starts_with(STRIPPED.0)
            || THOUGHTS.iter().any(|(open, close)| lower.contains(open) || lower.contains(close))
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
                self.split.omits_opening = true;
                self.split.said.clear();
                self.is_behind_thoughts = true;
            }
            (Inside::Words, Mark::Call(open, close)) => {
                let name = if open.ends_with("function=") { open } else { "" };
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
        let answer = ANSWER.iter().filter(|_| self.split.has_thoughts);
        let form = FORM.iter().chain(answer).map(|text| of(text, Mark::Form));
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
            Inside::Thought(close) if self.may_end_by_call() => vec![close, STRIPPED_CALL],
            Inside::Thought(close) | Inside::Call(close) => vec![close],
            Inside::Words => {
                let pairs = THOUGHTS.iter().flat_map(|(open, close)| [*open, *close]);
                pairs.chain(CALLS.iter().map(|(open, _)| *open)).chain(FORM).chain(ANSWER).collect()
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

//! Knows every secret, and takes it out of text before anybody sees it.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use aho_corasick::AhoCorasick;
use arc_swap::ArcSwapOption;
use plugin_api::{
    error::{Failure, FixHint, OperationError},
    protocol::CloseReason,
};
use serde_json::Value;

mod forms;

/// What stands where a secret stood.
pub const MASK: &str = "[secret]";

/// Shorter values are not looked for: they would be found in ordinary words.
const SHORTEST: usize = 4;

/// The most characters of a reason or an error; what is longer belongs into the log.
const LONGEST: usize = 1000;

/// The most bytes of what an error tells programs, written as JSON.
const LARGEST_DETAILS: usize = 16 * 1024;

/// The most plugins that an error names as its causes.
const MOST_CAUSES: usize = 64;

/// Marks and overrides of the direction of writing, by which a text can look like another one.
const TURNS: [char; 12] = [
    '\u{061c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}',
    '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

/// The secrets of one host. Cheap to clone; all clones share them.
#[derive(Clone, Default)]
pub struct Scrubber {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    secrets: Mutex<BTreeSet<String>>,
    search: ArcSwapOption<AhoCorasick>,
}

impl Scrubber {
    /// Adds secrets, to be found from now on.
    pub fn add(&self, secrets: impl IntoIterator<Item = String>) {
        let mut known = self.inner.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.len();
        let secrets = secrets.into_iter().filter(|secret| secret.len() >= SHORTEST);
        known.extend(secrets.flat_map(|secret| forms::of(&secret)));
        if known.len() == before {
            return;
        }
        // The longest match wins, so that a secret that contains another one goes as a whole.
        let search =
            AhoCorasick::builder().match_kind(aho_corasick::MatchKind::LeftmostLongest).build(known.iter());
        if let Ok(search) = search {
            self.inner.search.store(Some(Arc::new(search)));
        }
    }

    /// The text without secrets.
    pub fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.inner.search.load().as_deref() {
            Some(search) if search.is_match(text) => {
                let masks = vec![MASK; search.patterns_len()];
                Cow::Owned(search.replace_all(text, &masks))
            }
            _ => Cow::Borrowed(text),
        }
    }

    /// Makes a plugin's words fit to be kept and shown: without secrets, one line, and no longer than a person reads.
    pub fn clean(&self, text: &mut String) {
        *text = one_line(&self.scrub(text));
    }

    /// The same for all words of a plugin's failure.
    pub fn clean_failure(&self, failure: &mut Failure) {
        self.clean(&mut failure.message);
        [&mut failure.setting, &mut failure.href].into_iter().flatten().for_each(|text| self.clean(text));
        failure.advice.iter_mut().for_each(|advice| self.clean(&mut advice.label));
    }

    /// The same for all words of an operation's error. Details that are too large are left out.
    pub fn clean_error(&self, error: &mut OperationError) {
        self.clean(&mut error.message);
        error.root_causes.truncate(MOST_CAUSES);
        for cause in &mut error.root_causes {
            [&mut cause.name, &mut cause.status].into_iter().for_each(|text| self.clean(text));
            cause.message.iter_mut().for_each(|text| self.clean(text));
        }
        if error.details.as_ref().is_some_and(|details| details.to_string().len() > LARGEST_DETAILS) {
            error.details = None;
        }
        error.details.iter_mut().for_each(|details| self.clean_json(details));
        error.fix.iter_mut().for_each(|hint| self.clean_hint(hint));
    }

    /// The same for all words about what mends a trouble.
    pub fn clean_hint(&self, hint: &mut FixHint) {
        let words = [&mut hint.label, &mut hint.setting, &mut hint.href];
        words.into_iter().flatten().for_each(|text| self.clean(text));
    }

    /// The same for the reason of a stream's end.
    pub fn clean_reason(&self, reason: &mut CloseReason) {
        self.clean(&mut reason.message);
        reason.error.iter_mut().for_each(|error| self.clean_error(error));
    }

    /// The same for every text in a plugin's JSON; keys and numbers lose their secrets, too.
    pub fn clean_json(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.clean(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.clean_json(item)),
            Value::Object(members) => {
                for (key, mut member) in std::mem::take(members) {
                    self.clean_json(&mut member);
                    members.insert(self.scrub(&key).into_owned(), member);
                }
            }
            Value::Number(number) => {
                if let Cow::Owned(masked) = self.scrub(&number.to_string()) {
                    *value = Value::String(masked);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }
}

/// The words of a text without what steers a terminal or turns the direction of writing, cut after a thousand
/// characters.
pub fn one_line(text: &str) -> String {
    let parts = |letter: char| letter.is_whitespace() || is_steering(letter);
    let words: Vec<&str> = text.split(parts).filter(|word| !word.is_empty()).collect();
    let mut line = words.join(" ");
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// Whether a letter steers a terminal, or turns the direction of writing.
pub fn is_steering(letter: char) -> bool {
    letter.is_control() || TURNS.contains(&letter) || ['\u{2028}', '\u{2029}'].contains(&letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(secrets: &[&str], text: &str, expected: &str) {
        let scrubber = Scrubber::default();
        scrubber.add(secrets.iter().map(|secret| (*secret).to_owned()));
        assert_eq!(scrubber.scrub(text), expected);
    }

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        check(&["hunter22"], "login hunter22 failed: hunter22", "login [secret] failed: [secret]");
        check(&["hunter22", "hunter22-long"], "hunter22-long", "[secret]");
        check(&[], "nothing is secret", "nothing is secret");
    }

    #[test]
    fn secrets_are_masked_in_every_part_of_an_error() {
        let scrubber = Scrubber::default();
        scrubber.add(["hunter22".to_owned(), "4242424242".to_owned()]);
        let mut error = OperationError::internal("hunter22").details(serde_json::json!({
            "hunter22": ["hunter22", { "card": 4_242_424_242_u64 }], "count": 7, "none": null,
        }));
        scrubber.clean_error(&mut error);
        assert_eq!(error.message, "[secret]");
        let expected = serde_json::json!({
            "[secret]": ["[secret]", { "card": "[secret]" }], "count": 7, "none": null,
        });
        assert_eq!(error.details, Some(expected));

        let mut hinted =
            OperationError::internal("").with_fix(FixHint::label("use hunter22").href("/hunter22"));
        scrubber.clean_error(&mut hinted);
        let expected = FixHint::label("use [secret]").href("/[secret]");
        assert_eq!(hinted.fix.as_deref(), Some(&expected));

        let mut large = OperationError::internal("").details("x".repeat(LARGEST_DETAILS).into());
        scrubber.clean_error(&mut large);
        assert_eq!(large.details, None);
    }

    #[test]
    fn what_a_plugin_says_is_one_line_that_steers_nothing() {
        assert_eq!(one_line("first\r\nsecond\0 \u{1b}[31mred \u{202e}thgir"), "first second [31mred thgir");
        assert_eq!(one_line("\n"), "");
        assert_eq!(one_line(&"ä".repeat(LONGEST)), "ä".repeat(LONGEST));
        assert_eq!(one_line(&"ä".repeat(LONGEST + 1)), format!("{}…", "ä".repeat(LONGEST)));
    }

    #[test]
    fn very_short_values_do_not_garble_ordinary_words() {
        check(&["in", ""], "in the beginning", "in the beginning");
    }
}

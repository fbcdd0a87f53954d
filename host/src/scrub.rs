//! Knows every secret, and takes it out of text before anybody sees it.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use aho_corasick::AhoCorasick;
use arc_swap::ArcSwapOption;
use serde_json::Value;

/// What stands where a secret stood.
pub const MASK: &str = "[secret]";

/// Shorter values are not looked for: they would be found in ordinary words.
const SHORTEST: usize = 4;

/// The most characters of a reason or an error; what is longer belongs into the log.
const LONGEST: usize = 1000;

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
        known.extend(secrets.into_iter().filter(|secret| secret.len() >= SHORTEST));
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

    /// The same for every text in a plugin's JSON.
    pub fn clean_json(&self, value: &mut Value) {
        texts(value, &|text| self.clean(text));
    }
}

/// Every text in a JSON document, keys excepted.
fn texts(value: &mut Value, visit: &impl Fn(&mut String)) {
    match value {
        Value::String(text) => visit(text),
        Value::Array(values) => values.iter_mut().for_each(|value| texts(value, visit)),
        Value::Object(fields) => fields.values_mut().for_each(|value| texts(value, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The words of a text without what steers a terminal or turns the direction of writing, cut after [`LONGEST`]
/// characters.
fn one_line(text: &str) -> String {
    let parts = |letter: char| letter.is_control() || letter.is_whitespace() || TURNS.contains(&letter);
    let words: Vec<&str> = text.split(parts).filter(|word| !word.is_empty()).collect();
    let mut line = words.join(" ");
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
    line
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
    fn json_is_cleaned_to_its_depth() {
        let scrubber = Scrubber::default();
        scrubber.add(["hunter22".to_owned()]);
        let mut value = serde_json::json!({ "code": 7, "more": [{ "text": "is hunter22\n" }] });
        scrubber.clean_json(&mut value);
        assert_eq!(value, serde_json::json!({ "code": 7, "more": [{ "text": "is [secret]" }] }));
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

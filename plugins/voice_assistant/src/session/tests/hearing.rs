//! How much of a text was heard.

use proptest::prelude::*;

use crate::session::words::{Spoken, heard};

fn check(text: &str, heard_ms: u64, audio_ms: u64, is_whole: bool, expected: &str) {
    assert_eq!(heard(text, Spoken { heard_ms, audio_ms, is_whole }), expected, "{heard_ms} of {audio_ms}");
}

#[test]
fn whole_words_in_proportion() {
    let text = "one two three four";
    for (ms, expected) in
        [(0, ""), (400, "one"), (500, "one"), (1000, "one two"), (1800, "one two three four")]
    {
        check(text, ms, 1800, true, expected);
    }
    check("one two", 1799, 1800, true, "one");
    check("one two ", 1800, 1800, true, "one two ");
    check("", 100, 200, true, "");
    check("word", 100, 0, false, "");
}

#[test]
fn as_long_as_text_may_be_ahead_no_more_than_anybody_says_in_that_time() {
    let text = "these are far more words than anybody says in a second";
    check(text, 1000, 1000, false, "these are far");
    check(text, 1000, 1000, true, text);
}

#[test]
fn a_text_without_spaces_is_cut_anywhere() {
    check("これは長い文章です", 500, 900, true, "これは長い");
}

proptest! {
    #[test]
    fn never_more_than_was_heard(text in "[a-zäöü ,.]{0,80}", heard_ms in 0u64..3000, audio_ms in 0u64..3000, is_whole: bool) {
        let told = heard(&text, Spoken { heard_ms, audio_ms, is_whole });
        prop_assert!(text.starts_with(told));
        if heard_ms < audio_ms {
            let letters = told.chars().count() as u64;
            prop_assert!(letters * audio_ms <= text.chars().count() as u64 * heard_ms);
            let rest = &text[told.len()..];
            let ends_a_word = rest.is_empty() || rest.starts_with(char::is_whitespace) || !text.contains(' ');
            prop_assert!(told.is_empty() || ends_a_word, "{:?} of {:?}", told, text);
        }
    }
}

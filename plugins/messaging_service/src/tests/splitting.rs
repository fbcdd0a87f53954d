//! Long texts become messages: nothing is lost, no message is too long, and seams are where people would set them.

use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

use crate::split::{LIMIT, split, units};

#[track_caller]
fn check(text: &str, limit: usize, expected: &[&str]) {
    assert_eq!(split(text, limit), expected, "{text}");
}

#[test]
fn what_fits_goes_as_it_is() {
    check("", 10, &[]);
    check(" \n\t ", 10, &[]);
    check("  hello  ", 10, &["hello"]);
    check("0123456789", 10, &["0123456789"]);
    check("two\n\nlines", 10, &["two\n\nlines"]);
}

#[test]
fn seams_are_at_the_ends_of_sentences() {
    check("One. Two is longer.", 12, &["One.", "Two is", "longer."]);
    check("First one. Second one. Third.", 24, &["First one. Second one.", "Third."]);
    check("Really?! Yes! And so on it goes", 16, &["Really?! Yes!", "And so on it", "goes"]);
    check("A line\nand another line", 14, &["A line", "and another", "line"]);
    check("これは長い文です。次の文です。", 10, &["これは長い文です。", "次の文です。"]);
}

#[test]
fn a_sentence_that_is_too_long_is_cut_between_words() {
    check("one two three four", 9, &["one two", "three", "four"]);
    check("aaaa bbbb", 4, &["aaaa", "bbbb"]);
    // A short sentence is not worth a message of its own.
    check("A. bcdefg hijklm nopqrs", 16, &["A. bcdefg hijklm", "nopqrs"]);
}

#[test]
fn addresses_stay_whole_where_they_can() {
    let url = "https://example.com/a?b=c!d.e";
    check(&format!("Look here: {url} now."), 32, &["Look here:", url, "now."]);
    check(&format!("{url}{url}"), 40, &["https://example.com/a?b=c!d.ehttps://exa", "mple.com/a?b=c!d.e"]);
}

#[test]
fn what_people_see_as_one_character_is_never_cut() {
    let family = "👨‍👩‍👧‍👦";
    assert_eq!(units(family), 11);
    check(&family.repeat(3), 25, &[&family.repeat(2), family]);
    check(&"e\u{301}".repeat(5), 5, &["e\u{301}e\u{301}", "e\u{301}e\u{301}", "e\u{301}"]);
    // One that is longer than a message has to be.
    let endless = format!("e{}", "\u{301}".repeat(20));
    assert_eq!(split(&endless, 8).concat(), endless);
}

#[test]
fn a_long_answer_goes_in_order() {
    let sentences: Vec<String> =
        (0..400).map(|number| format!("This is sentence number {number}.")).collect();
    let parts = split(&sentences.join(" "), LIMIT);
    assert!(parts.len() > 5 && parts.iter().all(|part| part.ends_with('.') && units(part) <= LIMIT));
    assert_eq!(parts.join(" "), sentences.join(" "));
}

fn without_blanks(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_whitespace()).collect()
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_is_too_long(text in "(\\PC|[ .?!\n\r\u{301}\u{200d}👩👧é。]){0,400}", limit in 2usize..60) {
        let parts = split(&text, limit);
        prop_assert!(parts.iter().all(|part| units(part) <= limit && !part.trim().is_empty()), "{parts:?}");
        prop_assert_eq!(without_blanks(&parts.concat()), without_blanks(&text));
    }

    #[test]
    fn characters_that_fit_are_never_cut(letters in proptest::collection::vec(proptest::sample::select(LETTERS), 0..200)) {
        let text = letters.concat();
        let parts = split(&text, 64);
        prop_assert_eq!(letters_of(&parts.join(" ")), letters_of(&text));
    }
}

const LETTERS: &[&str] = &["a", "b", " ", ". ", "\r\n", "é", "e\u{301}", "👩‍👧", "👍🏽", "🇩🇪", "। ", "。"];

/// As people see them, without blanks.
fn letters_of(text: &str) -> Vec<String> {
    text.graphemes(true).map(str::trim).filter(|letter| !letter.is_empty()).map(str::to_owned).collect()
}

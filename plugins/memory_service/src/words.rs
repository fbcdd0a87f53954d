//! A text -> the words that it is found by, the same on every database: small letters, no accents, and pairs of signs
//! where a script has no spaces. A database never sees anything but letters and digits. Pure.

use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization as _;

/// Longer words are cut: nobody looks for their end.
const MOST_LETTERS: usize = 64;
/// A question has no more words than that.
const MOST_ASKED: usize = 32;
/// Between an owner and a word.
pub const OWNER_ENDS: &str = "x";
/// What is kept of one memory.
const MOST_KEPT: usize = 10_000;

/// The words of a memory, in their order.
pub fn of(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for run in runs(text) {
        match run {
            Run::Word(word) => words.push(word),
            Run::Signs(signs) => {
                words.extend(signs.iter().map(char::to_string));
                words.extend(pairs(&signs));
            }
        }
    }
    words.truncate(MOST_KEPT);
    words
}

/// The words of a question, each once.
pub fn asked(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for run in runs(text) {
        match run {
            Run::Word(word) => words.push(word),
            Run::Signs(signs) if signs.len() == 1 => words.extend(signs.iter().map(char::to_string)),
            Run::Signs(signs) => words.extend(pairs(&signs)),
        }
    }
    let mut seen = HashSet::new();
    words.retain(|word| seen.insert(word.clone()));
    words.truncate(MOST_ASKED);
    words
}

/// The words of a memory as they stand in SQLite's index: each with its owner before it, so that the words of others need
/// not be looked through, and do not count as frequent.
pub fn owned(words: &[String], person: &str) -> String {
    let owner = owner(person);
    let owned: Vec<String> = words.iter().map(|word| format!("{owner}{word}")).collect();
    owned.join(" ")
}

/// The question as SQLite's full-text search takes it: any of the words, among what belongs to this person.
pub fn match_sqlite(words: &[String], person: &str) -> String {
    let owner = owner(person);
    let any: Vec<String> = words.iter().map(|word| format!("\"{owner}{word}\"")).collect();
    any.join(" OR ")
}

/// The question as PostgreSQL's full-text search takes it: any of the words.
pub fn match_postgres(words: &[String]) -> String {
    let any: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    any.join(" | ")
}

/// It tells people apart well enough for an index, and only for that.
fn owner(person: &str) -> String {
    let letters: String = person.chars().filter(char::is_ascii_alphanumeric).collect();
    letters.to_ascii_lowercase() + OWNER_ENDS
}

enum Run {
    Word(String),
    Signs(Vec<char>),
}

fn runs(text: &str) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut open = false;
    for letter in text.nfkd().filter(|letter| !is_accent(*letter)).nfc().flat_map(char::to_lowercase) {
        let is_sign = is_sign(letter);
        if !letter.is_alphanumeric() && !is_sign && !is_joined(letter) {
            open = false;
            continue;
        }
        match (runs.last_mut(), is_sign) {
            (Some(Run::Signs(signs)), true) if open => signs.push(letter),
            (Some(Run::Word(word)), false) if open => {
                if word.chars().count() < MOST_LETTERS {
                    word.push(letter);
                }
            }
            (_, true) => runs.push(Run::Signs(vec![letter])),
            (_, false) if letter.is_alphanumeric() => runs.push(Run::Word(letter.to_string())),
            (_, false) => continue,
        }
        open = true;
    }
    runs
}

fn pairs(signs: &[char]) -> impl Iterator<Item = String> {
    signs.windows(2).map(|pair| pair.iter().collect())
}

fn is_accent(letter: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&letter)
}

/// Marks of other scripts that belong to the letter before.
fn is_joined(letter: char) -> bool {
    unicode_normalization::char::is_combining_mark(letter)
}

/// Scripts that are written without spaces.
fn is_sign(letter: char) -> bool {
    matches!(letter,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
        && (letter.is_alphanumeric() || is_joined(letter))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, kept: &str, asked_for: &str) {
        assert_eq!((of(text).join(" "), asked(text).join(" ")), (kept.to_owned(), asked_for.to_owned()));
    }

    #[test]
    fn words_are_small_and_bare() {
        check(
            "Ada's café, in ZÜRICH: 3rd floor",
            "ada s cafe in zurich 3rd floor",
            "ada s cafe in zurich 3rd floor",
        );
        check("tea TEA Tea", "tea tea tea", "tea");
        check("", "", "");
        check("!?*\"'():^-\0", "", "");
    }

    #[test]
    fn scripts_without_spaces_are_found_by_pairs() {
        check("東京都 ok", "東 京 都 東京 京都 ok", "東京 京都 ok");
        check("犬", "犬", "犬");
    }

    #[test]
    fn the_letters_of_other_scripts_stay_together() {
        check("नमस्ते दुनिया", "नमस्ते दुनिया", "नमस्ते दुनिया");
        check("Привет Ёлка", "привет елка", "привет елка");
    }

    proptest! {
        #[test]
        fn nothing_that_means_something_to_a_database_is_left(text in "\\PC*", sql in "['\"\\\\ORANDNEAR():*&|!^ -]*") {
            for words in [of(&text), asked(&text), of(&sql), asked(&sql)] {
                for word in words {
                    prop_assert!(word.chars().all(|letter| letter.is_alphanumeric() || is_joined(letter)), "{word}");
                }
            }
        }
    }
}

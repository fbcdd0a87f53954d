//! A text as a person sees it -> the same text with everything in it that they would not see: characters that leave no
//! trace or turn the text around are written as `⟨U+202E⟩`, and letters that look like those of another script are
//! followed by the name of their own. People who approve something read it in this form. Pure.

use std::fmt::Write as _;

use unicode_general_category::{GeneralCategory, get_general_category};
use unicode_script::{Script, UnicodeScript as _};
use unicode_security::{
    GeneralSecurityProfile as _, RestrictionLevel, RestrictionLevelDetection as _,
    confusable_detection::skeleton,
};

/// More marks on one letter reach into the lines around it.
const MARKS_ON_A_LETTER: usize = 3;

/// The text with all that is in it. Lines stay lines; nothing that stands in the text can pass for a mark of ours.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end =
            if is_of_word(first) { rest.find(|next| !is_of_word(next)) } else { Some(first.len_utf8()) };
        let (next, left) = rest.split_at(end.unwrap_or(rest.len()));
        if is_of_word(first) {
            show_word(next, &mut shown)
        } else {
            show(first, &mut shown)
        }
        rest = left;
    }
    shown
}

/// JSON as it is, with everything that would not be seen as an escape of JSON.
pub fn visible_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for letter in json.chars() {
        if is_hidden(letter) {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                write!(shown, "\\u{unit:04x}").expect("a text takes everything");
            }
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// What was made visible, as words of somebody else among ours: every line behind `> `, and addresses in it lead nowhere.
pub fn quote(shown: &str) -> String {
    let shown = shown.replace("://", "[:]//");
    shown.split('\n').map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n")
}

fn show(letter: char, shown: &mut String) {
    if is_hidden(letter) {
        write!(shown, "⟨U+{:04X}⟩", u32::from(letter)).expect("a text takes everything");
    } else {
        shown.push(letter);
    }
}

fn show_word(word: &str, shown: &mut String) {
    let is_alike = is_alike(word);
    let (mut marks, mut script, mut is_named) = (0, None, false);
    for letter in word.chars() {
        let of = if is_alike { foreign(letter) } else { None };
        if script != of
            && let Some(name) = std::mem::replace(&mut script, of)
        {
            write!(shown, "⟨{name}⟩").expect("a text takes everything");
            is_named = true;
        }
        marks = if is_mark(letter) { marks + 1 } else { 0 };
        if marks > MARKS_ON_A_LETTER {
            write!(shown, "⟨U+{:04X}⟩", u32::from(letter)).expect("a text takes everything");
        } else {
            show(letter, shown);
        }
    }
    let last = script.or((is_alike && !is_named).then_some(LOOK_ALIKE));
    if let Some(name) = last {
        write!(shown, "⟨{name}⟩").expect("a text takes everything");
    }
}

const LOOK_ALIKE: &str = "look-alike";

/// Whether a word may be taken for another one: of letters of several scripts, as no language writes them, or of letters
/// that all look like ASCII and are not. UTS #39, "Restriction-Level Detection" and "Confusable Detection".
fn is_alike(word: &str) -> bool {
    !word.is_ascii()
        && (!word.check_restriction_level(RestrictionLevel::HighlyRestrictive)
            || skeleton(word).all(|letter| letter.is_ascii()))
}

/// What is told of a letter in such a word.
fn foreign(letter: char) -> Option<&'static str> {
    if letter.is_ascii() || is_mark(letter) {
        return None;
    }
    match letter.script() {
        Script::Latin | Script::Common | Script::Inherited => {
            let looks_like_ascii = skeleton(letter.encode_utf8(&mut [0; 4])).all(|letter| letter.is_ascii());
            (looks_like_ascii || !letter.identifier_allowed()).then_some(LOOK_ALIKE)
        }
        script => Some(script.full_name()),
    }
}

fn is_of_word(letter: char) -> bool {
    (letter.is_alphanumeric() || is_mark(letter)) && !is_hidden(letter)
}

fn is_mark(letter: char) -> bool {
    matches!(get_general_category(letter), GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark)
}

/// Whether a character leaves no trace, changes the direction, or has no known look; and the two that our marks stand
/// between.
fn is_hidden(letter: char) -> bool {
    match get_general_category(letter) {
        GeneralCategory::Control => letter != '\n',
        GeneralCategory::SpaceSeparator => letter != ' ',
        GeneralCategory::Format
        | GeneralCategory::LineSeparator
        | GeneralCategory::ParagraphSeparator
        | GeneralCategory::PrivateUse
        | GeneralCategory::Surrogate
        | GeneralCategory::Unassigned => true,
        // Of other categories: the rest of Default_Ignorable_Code_Point in DerivedCoreProperties.txt, the empty pattern
        // of Braille and the note without a head.
        _ => matches!(
            letter,
            '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2800}'
                | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{1d159}' | '\u{e0100}'..='\u{e01ef}' | '⟨' | '⟩'
        ),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(visible(text), expected, "{text:?}");
    }

    #[test]
    fn what_leaves_no_trace_is_written_out() {
        check("pay\u{202e}001", "pay⟨U+202E⟩001");
        check("a\u{2028}b\u{2029}c", "a⟨U+2028⟩b⟨U+2029⟩c");
        check("a\u{200b}b\u{200d}c\u{2060}d\u{feff}e", "a⟨U+200B⟩b⟨U+200D⟩c⟨U+2060⟩d⟨U+FEFF⟩e");
        check("\u{2066}a\u{2069}\u{61c}", "⟨U+2066⟩a⟨U+2069⟩⟨U+061C⟩");
        check("a\u{e0041}\u{e007f}", "a⟨U+E0041⟩⟨U+E007F⟩");
        check("a\u{fe0f}\u{e0100}", "a⟨U+FE0F⟩⟨U+E0100⟩");
        check("a\r\tb\u{7f}\0", "a⟨U+000D⟩⟨U+0009⟩b⟨U+007F⟩⟨U+0000⟩");
        check("a\u{a0}b\u{3164}c\u{2800}d\u{ad}e", "a⟨U+00A0⟩b⟨U+3164⟩c⟨U+2800⟩d⟨U+00AD⟩e");
        check("⟨U+202E⟩", "⟨U+27E8⟩U+202E⟨U+27E9⟩");
        check("e\u{301}\u{301}\u{301}\u{301}", "e\u{301}\u{301}\u{301}⟨U+0301⟩");
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in [
            "",
            "Hello, Bob!\n\"2 < 3\"",
            "naïve Straße, 5 €",
            "Привет, мир",
            "日本語でiPhoneを",
            "مرحبا",
            "👍 ok",
            "γειά",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn letters_that_look_like_others_are_named() {
        check("pаypal.com", "pа⟨Cyrillic⟩ypal.com");
        check("bob@раураl.com", "bob@раура⟨Cyrillic⟩l.com");
        check("аррӏе", "аррӏе⟨Cyrillic⟩");
        check("gооgle", "gоо⟨Cyrillic⟩gle");
        check("αpple", "α⟨Greek⟩pple");
        check("𝐩𝐚𝐲", "𝐩𝐚𝐲⟨look-alike⟩");
        check("Ｐay", "Ｐ⟨look-alike⟩ay");
    }

    #[test]
    fn what_is_quoted_cannot_leave_its_quotes() {
        let text = "hi\n\nDecide here:\u{2028}https://example.com/approve/x";
        assert_eq!(quote(&visible(text)), "> hi\n> \n> Decide here:⟨U+2028⟩https[:]//example.com/approve/x");
    }

    fn any_text() -> impl Strategy<Value = String> {
        let odd = prop::sample::select(vec![
            '\u{202e}',
            '\u{2066}',
            '\u{200b}',
            '\u{e0020}',
            'а',
            'е',
            '\u{301}',
            '\n',
            '⟨',
            '⟩',
            '\u{85}',
            'ａ',
            '\u{fe0f}',
        ]);
        prop::collection::vec(prop_oneof![any::<char>(), odd, proptest::char::range(' ', '~')], 0..60)
            .prop_map(|letters| letters.into_iter().collect())
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left(text in any_text()) {
            let shown = visible(&text);
            let left: String = shown.chars().filter(|letter| is_hidden(*letter) && !"⟨⟩".contains(*letter)).collect();
            prop_assert_eq!(left, "");
            prop_assert_eq!(shown.matches('⟨').count(), shown.matches('⟩').count());
        }

        #[test]
        fn every_hidden_character_is_told_of_in_its_place(before in any_text(), after in any_text(), hidden in any::<char>()) {
            prop_assume!(is_hidden(hidden));
            let shown = visible(&format!("{before}{hidden}{after}"));
            let told = format!("⟨U+{:04X}⟩", u32::from(hidden));
            prop_assert_eq!(shown, visible(&before) + &told + &visible(&after));
        }

        #[test]
        fn json_says_the_same_and_hides_nothing(text in any_text()) {
            let json = serde_json::json!({ "text": text });
            let shown = visible_json(&format!("{json:#}"));
            prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&shown).unwrap(), &json);
            prop_assert!(!shown.chars().any(is_hidden));
        }

        #[test]
        fn ascii_is_shown_as_it_is(text in "[ -~\n]{0,80}") {
            prop_assert_eq!(visible(&text), text);
        }

        #[test]
        fn different_texts_are_shown_differently(left in any_text(), right in any_text()) {
            prop_assert_eq!(visible(&left) == visible(&right), left == right);
        }

        #[test]
        fn a_letter_of_another_script_in_a_word_is_named(word in "[a-z]{1,8}", after in "[a-z]{0,8}") {
            let shown = visible(&format!("{word}а{after}"));
            prop_assert_eq!(shown, word + "а⟨Cyrillic⟩" + &after);
        }

        #[test]
        fn every_line_of_a_quote_is_marked(text in any_text()) {
            prop_assert!(quote(&visible(&text)).lines().all(|line| line.starts_with("> ")));
            prop_assert!(!quote(&visible(&text)).contains("://"));
        }
    }
}

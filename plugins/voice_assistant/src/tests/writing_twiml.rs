//! TwiML is XML whatever is said in it.

use proptest::prelude::*;

use crate::twiml::{Verb, document, pieces};

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

#[track_caller]
fn check(verb: Verb, expected: &str) {
    assert_eq!(document(&[verb]), format!("{HEAD}<Response>{expected}</Response>"));
}

#[test]
fn texts_and_attributes_are_escaped() {
    check(
        Verb::new("Say").with("voice", "\"a\" & <b>").text("1 < 2 & \"3\" > '0'"),
        "<Say voice=\"&quot;a&quot; &amp; &lt;b&gt;\">1 &lt; 2 &amp; &quot;3&quot; &gt; &apos;0&apos;</Say>",
    );
    check(
        Verb::new("Say").text("</Say><Dial>+15550000001</Dial>"),
        "<Say>&lt;/Say&gt;&lt;Dial&gt;+15550000001&lt;/Dial&gt;</Say>",
    );
}

#[test]
fn what_xml_cannot_hold_is_left_out() {
    check(Verb::new("Say").text("a\u{0}b\u{8}c\u{fffe}\u{ffff}d\u{85}e 👋"), "<Say>abcde 👋</Say>");
}

#[test]
fn verbs_hold_verbs() {
    check(
        Verb::new("Gather")
            .with("input", "speech")
            .holding([Verb::new("Say").text("hi"), Verb::new("Pause")]),
        "<Gather input=\"speech\"><Say>hi</Say><Pause/></Gather>",
    );
    assert_eq!(document(&[]), format!("{HEAD}<Response/>"));
}

#[test]
fn a_long_text_is_cut_between_words() {
    let text = "word ".repeat(1700);
    let cut = pieces(&text);
    assert_eq!(cut.len(), 3);
    assert!(cut.iter().all(|piece| piece.len() <= 4000 && piece.ends_with("word")));
    assert_eq!(cut.join(" "), text.trim());
    let seamless = "👋".repeat(3000);
    assert_eq!(pieces(&seamless).concat(), seamless);
    assert_eq!(pieces("  "), Vec::<&str>::new());
}

proptest! {
    #[test]
    fn nothing_that_is_said_changes_the_verbs(text in any::<String>()) {
        let twiml = document(&[Verb::new("Say").with("voice", &text).text(&text), Verb::new("Hangup")]);
        prop_assert_eq!(twiml.matches('<').count(), HEAD.matches('<').count() + 5);
        prop_assert!(twiml.ends_with("</Say><Hangup/></Response>"));
    }
}

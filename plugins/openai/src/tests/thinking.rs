//! Thoughts and tool calls in what a model writes: never said, in whatever form, however cut.

use plugin_api::serde_json::{Value, json};
use proptest::prelude::*;

use crate::{
    thinking::{Split, Splitter, split},
    written_calls,
};

#[track_caller]
fn says(text: &str, said: &str) {
    let found = split(text, true);
    assert_eq!(found.said.trim(), said, "{text:?}");
}

#[test]
fn thoughts_are_not_said_in_any_form() {
    for (open, close) in [
        ("<think>", "</think>"),
        ("<THINK>", "</Think>"),
        ("<thinking>", "</thinking>"),
        ("<thought>", "</thought>"),
        ("<reasoning>", "</reasoning>"),
        ("<seed:think>", "</seed:think>"),
        ("[THINK]", "[/THINK]"),
        ("◁think▷", "◁/think▷"),
        ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ] {
        says(&format!("{open}\nThey greet me.\n{close}\n\nHello!"), "Hello!");
        says(&format!("One. {open}hm{close}Two."), "One. Two.");
        // The template of the question ended with the opening mark.
        says(&format!("They greet me.{close}Hello!"), "Hello!");
        // Cut off by the limit of tokens.
        says(&format!("{open}They greet me, and I"), "");
        says(&format!("{open}a{close}Hello!{open}and no"), "Hello!");
    }
    says(
        "<|channel|>analysis<|message|>They greet.<|end|><|start|>assistant<|channel|>final<|message|>Hello!<|return|>",
        "Hello!",
    );
}

#[test]
fn what_only_looks_like_a_mark_is_said() {
    for text in ["a < b", "<thin", "[TH", "use `<think>` in your prompt", "<b>bold</b>", "◁", "<think", ""]
    {
        says(text, text);
        assert!(!split(text, true).has_thoughts, "{text}");
    }
}

#[test]
fn an_answer_that_ends_inside_of_thoughts_is_cut() {
    assert!(split("<think>hm", false).is_cut);
    assert!(!split("<think>hm</think>Hello", false).is_cut);
}

/// The calls that a text holds, as `name arguments`.
fn calls(text: &str) -> Option<Vec<String>> {
    let found: Split = split(text, true);
    let calls: Option<Vec<_>> = found.calls.iter().map(|call| written_calls::read(call)).collect();
    let shown = |call: &plugin_api::requests::openai::ToolCall| format!("{} {}", call.name, call.arguments);
    Some(calls?.concat().iter().map(shown).collect())
}

#[test]
fn a_call_that_was_written_is_read_in_its_known_forms() {
    let expected = Some(vec![r#"look {"what":"x"}"#.to_owned()]);
    for text in [
        r#"<tool_call>{"name":"look","arguments":{"what":"x"}}</tool_call>"#,
        r#"<tool_call>
{"name": "look", "arguments": "{\"what\":\"x\"}"}
"#,
        r#"<think>I should look.</think><tool_call>{"name":"look","parameters":{"what":"x"}}</tool_call>"#,
        r#"[TOOL_CALLS][{"name":"look","arguments":{"what":"x"}}]"#,
        r#"[TOOL_CALLS]look[ARGS]{"what":"x"}"#,
        r#"[TOOL_CALLS]look{"what":"x"}"#,
        r#"<function=look>{"what":"x"}</function>"#,
        "<tool_call>\n<function=look>\n<parameter=what>\nx\n</parameter>\n</function>\n</tool_call>",
        r#"<|python_tag|>{"name":"look","parameters":{"what":"x"}}"#,
        r#"<|tool_call|>[{"name":"look","arguments":{"what":"x"}}]<|/tool_call|>"#,
        r#"<tool_call>{"type":"function","function":{"name":"look","arguments":{"what":"x"}}}</tool_call>"#,
    ] {
        assert_eq!(calls(text), expected, "{text}");
        assert_eq!(split(text, true).said.trim(), "", "{text}");
    }
}

#[test]
fn two_calls_are_two() {
    let one = r#"<tool_call>{"name":"look","arguments":{}}</tool_call>"#;
    assert_eq!(calls(&format!("{one}\n{one}")).map(|calls| calls.len()), Some(2));
    assert_eq!(
        calls(r#"[TOOL_CALLS][{"name":"a","arguments":{}},{"name":"b","arguments":{}}]"#)
            .map(|calls| calls.len()),
        Some(2)
    );
}

#[test]
fn a_call_that_is_none_is_an_error_and_no_words() {
    for text in [
        "<tool_call>look at x</tool_call>",
        "<tool_call>{\"name\":",
        "<tool_call>{\"name\":\"look\"}</tool_call>",
        "<tool_call></tool_call>",
    ] {
        assert_eq!(calls(text), None, "{text}");
        assert_eq!(split(text, true).said, "", "{text}");
    }
    // Nobody offered tools: then it is a text about such marks.
    says_without_tools("How do I write <tool_call>?");
}

#[track_caller]
fn says_without_tools(text: &str) {
    assert_eq!(split(text, false).said, text);
}

#[test]
fn a_whole_answer_of_json_is_a_call_of_a_tool_that_was_offered_and_of_no_other() {
    let call = json!({ "name": "look", "arguments": { "what": "x" } });
    let read = |value: &Value, tools: &[&str]| written_calls::read_bare(&value.to_string(), tools).is_some();
    assert!(read(&call, &["look"]));
    assert!(!read(&call, &["note"]) && !read(&call, &[]));
    assert!(!read(&json!({ "name": "look" }), &["look"]), "a name is no call");
    assert!(written_calls::read_bare(&format!("```json\n{call}\n```"), &["look"]).is_some());
}

proptest! {
    /// However an answer is cut into pieces, the same of it is said; and nothing of it is said that the whole does not say,
    /// unless a mark that begins nothing takes back what was said before.
    #[test]
    fn pieces_say_what_the_whole_says(
        parts in prop::collection::vec(prop::sample::select(vec![
            "<think>", "</think>", "[THINK]", "[/THINK]", "<tool_call>", "</tool_call>", "hello", " ", "<", "`", "◁think▷", "é",
            "<|channel|>analysis<|message|>", "<|end|>", "{", "<thi", "nk>",
        ]), 0..12),
        cuts in prop::collection::vec(0_usize..80, 0..10),
        has_tools in any::<bool>(),
    ) {
        let text = parts.concat();
        let mut splitter = Splitter::new(has_tools);
        let mut said = String::new();
        let mut piece = String::new();
        for (place, letter) in text.chars().enumerate() {
            if cuts.contains(&place) {
                said.push_str(&splitter.take(&std::mem::take(&mut piece)));
            }
            piece.push(letter);
        }
        said.push_str(&splitter.take(&piece));
        said.push_str(&splitter.end());
        let whole = split(&text, has_tools);
        prop_assert_eq!(&splitter.so_far().said, &whole.said, "of {:?}", text);
        if whole.omits_opening {
            prop_assert!(said.ends_with(&whole.said), "{:?} of {:?}, whole {:?}", said, text, whole);
        } else {
            prop_assert_eq!(&said, &whole.said, "of {:?}", text);
        }
    }
}

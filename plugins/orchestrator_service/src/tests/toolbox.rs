//! What becomes of a call that a model wants.

use expect_test::{Expect, expect};
use plugin_api::{
    requests::{host::Toolset, openai::ToolCall},
    tools::{Toolbox, Verdict, data::cut_off, toolbox::arguments},
};

use super::setup::tools;

fn toolbox() -> Toolbox {
    Toolbox::new(Toolset { tools: tools(), away: Vec::new() })
}

fn check(name: &str, arguments: &str, expected: Expect) {
    let call = ToolCall {
        id: "1".to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        ..ToolCall::default()
    };
    let verdict = match toolbox().judge(&call, 0) {
        Verdict::Call => "called".to_owned(),
        Verdict::Ask => "asked".to_owned(),
        Verdict::Refuse(why) => why,
    };
    expected.assert_eq(&verdict);
}

#[test]
fn what_fits_is_called() {
    check("toolbox-look", r#"{"what":"x"}"#, expect!["called"]);
    check("toolbox-spend", r#"{"what":"x"}"#, expect!["asked"]);
}

#[test]
fn what_was_not_offered_is_refused() {
    check("toolbox-destroy", r#"{"what":"x"}"#, expect!["not called: you have no tool `toolbox-destroy`"]);
    check("toolbox.look", r#"{"what":"x"}"#, expect!["not called: you have no tool `toolbox.look`"]);
    check("", "{}", expect!["not called: you have no tool ``"]);
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    check(
        "toolbox-look",
        "",
        expect![[
            r#"not called: the arguments do not fit the schema: the arguments: "what" is a required property"#
        ]],
    );
    check("toolbox-look", "[]", expect!["not called: the arguments are no JSON object"]);
    check(
        "toolbox-look",
        "{",
        expect!["not called: the arguments are no JSON: EOF while parsing an object at line 1 column 1"],
    );
    check(
        "toolbox-look",
        r#"{"what":7}"#,
        expect![[r#"not called: the arguments do not fit the schema: `/what`: 7 is not of type "string""#]],
    );
    check(
        "toolbox-look",
        r#"{"what":"x","force":true}"#,
        expect![
            "not called: the arguments do not fit the schema: the arguments: Additional properties are not allowed ('force' was unexpected)"
        ],
    );
}

#[test]
fn too_many_calls_at_once_are_refused() {
    let call = ToolCall {
        id: "1".to_owned(),
        name: "toolbox-look".to_owned(),
        arguments: r#"{"what":"x"}"#.to_owned(),
        ..ToolCall::default()
    };
    let toolbox = toolbox();
    assert_eq!(toolbox.judge(&call, 15), Verdict::Call);
    assert_eq!(
        toolbox.judge(&call, 16),
        Verdict::Refuse("not called: at most 16 tools are called at once".to_owned())
    );
}

#[test]
fn very_long_arguments_are_not_read() {
    let long = format!("{{\"what\":\"{}\"}}", "x".repeat(300_000));
    assert_eq!(arguments(&long), Err("the arguments are longer than 262144 bytes".to_owned()));
}

#[test]
fn letters_are_cut_off_whole() {
    assert_eq!(cut_off("häuser", 2), "h");
    assert_eq!(cut_off("häuser", 3), "hä");
    assert_eq!(cut_off("ab", 9), "ab");
}

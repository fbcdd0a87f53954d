//! The words for the approver: ours outside, everybody else's in quotes, and never more than fits.

use expect_test::expect;
use plugin_api::{
    requests::orchestrator::{Question, RunState, ToolState},
    serde_json::{Value, json},
    tools::approval,
};
use proptest::prelude::*;

use super::setup::any_run;
use crate::{
    run::{Run, ToolRun},
    telling::{self, Waiting},
};

const LINK: &str = "https://switchboard.example.com/approve/token";

fn waiting(person: &str, goal: &str, decisive: &[&str], arguments: &Value) -> Waiting {
    let run = Run { person: Some(person.into()), goal: goal.into(), state: RunState::Waiting, ..any_run() };
    let call = ToolRun {
        step: 1,
        position: 0,
        name: "smtp-send_email".into(),
        tool: "smtp.send_email".into(),
        arguments: arguments.to_string(),
        state: ToolState::Waiting,
        attempts: 0,
        result: None,
        question: Some(Question::Approval),
        expires_ms: 0,
        decisive: decisive.iter().map(|name| (*name).to_owned()).collect(),
        seal: String::new(),
        approval: String::new(),
        is_ours: false,
    };
    Waiting { run, call }
}

#[test]
fn one_decision() {
    let mail = json!({ "to": ["bob@example.com"], "subject": "Lunch", "text": "x".repeat(9000), "cc": [] });
    let one = waiting("+15550001111", "Write to Bob", &["to", "subject", "bcc"], &mail);
    expect![[r#"
        May `smtp.send_email` be called?
        Decide until 1970-01-01 00:00 UTC:
        https://switchboard.example.com/approve/token

        Its arguments that decide:
        > to: ["bob@example.com"]
        > subject: "Lunch"
        > left out: bcc

        Its other arguments:
        > cc: []

        More arguments, with 9002 characters, are not shown here

        On behalf of `+15550001111`, for this:
        > Write to Bob"#]]
    .assert_eq(&telling::words(&[one], LINK, telling::SMS));
}

#[test]
fn many_decisions_with_as_many_as_fit() {
    let many: Vec<_> = (0..40)
        .map(|number| {
            waiting("ada", "Write", &["to"], &json!({ "to": format!("number {number}"), "text": "Hi" }))
        })
        .collect();
    let words = telling::words(&many, LINK, telling::SMS);
    assert!(
        words.starts_with(&format!(
            "40 tool calls wait for your decision\nDecide until 1970-01-01 00:00 UTC:\n{LINK}\n\nMay `smtp.send_email` be \
             called?\n> to: \"number 0\"\n\nMay"
        )),
        "{words}"
    );
    let shown = words.matches("> to: ").count();
    assert!(words.ends_with(&format!("\n{} more are not shown here", 40 - shown)), "{words}");
    assert!(words.chars().count() <= telling::SMS);
}

proptest! {
    #[test]
    fn nobody_else_speaks_outside_of_quotes(
        person in any::<String>(),
        goal in "(\\PC|\n|://){0,400}",
        to in "([ -~]|\n|://|\u{202e}){0,200}",
        text in "([ -~]|\n){0,400}",
        count in 1_usize..4,
    ) {
        let (names, arguments) = (["to".to_owned()], json!({ "to": to, "text": text }));
        prop_assume!(approval::check(&names, &arguments).is_ok());
        let one = || waiting(&person, &goal, &["to"], &arguments);
        let all: Vec<_> = std::iter::repeat_with(one).take(count).collect();
        let words = telling::words(&all, LINK, telling::SMS);
        prop_assert!(words.chars().count() <= 1600, "{}", words);
        prop_assert_eq!(words.lines().nth(2), Some(LINK));
        let is_ours = |line: &&str| !line.starts_with("> ") && !line.starts_with("On behalf of `");
        let ours: String = words.lines().filter(is_ours).collect();
        prop_assert_eq!(ours.matches("://").count(), 1, "{}", words);
        prop_assert_eq!(words.matches('\u{202e}').count(), 0);
        for shown in all[0].decisive() {
            let line = format!("> {}", shown.line().replace("://", "[:]//"));
            prop_assert!(words.lines().any(|found| found == line), "{} is not in {}", line, words);
        }
    }
}

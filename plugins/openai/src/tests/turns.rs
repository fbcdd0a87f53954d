//! Messages for the strictest templates: one `system` at the front, then both alternately, the person first.

use plugin_api::requests::openai::{Content, Message, Part, ToolCall};
use proptest::prelude::*;

use crate::turns::alternating;

fn roles(messages: &[Message]) -> String {
    let role = |message: &Message| match message {
        Message::System { .. } => 's',
        Message::User { .. } => 'u',
        Message::Assistant { .. } => 'a',
        Message::Tool { .. } => 't',
    };
    messages.iter().map(role).collect()
}

#[test]
fn a_chat_that_alternates_stays_as_it_is() {
    let chat = [
        Message::system("Be brief."),
        Message::user("Hello"),
        Message::assistant("Hi"),
        Message::user("Bye"),
    ];
    assert_eq!(alternating(&chat), chat);
}

#[test]
fn a_system_message_in_the_middle_goes_to_the_front() {
    let chat = [Message::system("One."), Message::user("a"), Message::system("Two."), Message::user("b")];
    assert_eq!(alternating(&chat), [Message::system("One.\n\nTwo."), Message::user("a\n\nb")]);
}

#[test]
fn an_assistant_who_wrote_first_is_introduced() {
    let chat = [Message::assistant("Remember the dentist."), Message::user("Thanks!")];
    assert_eq!(alternating(&chat)[0], Message::user("(You began this conversation.)"));
    assert_eq!(alternating(&chat)[1..], chat);
}

#[test]
fn two_of_one_role_become_one() {
    let chat = [Message::user("a"), Message::assistant("b"), Message::assistant("c"), Message::user("d")];
    assert_eq!(alternating(&chat), [Message::user("a"), Message::assistant("b\n\nc"), Message::user("d")]);
    let named = |name: &str, text: &str| Message::User {
        content: Content::Text(text.into()),
        name: Some(name.into()),
    };
    let both = alternating(&[named("ada", "hello"), named("bob", "hi")]);
    assert_eq!(both, [Message::user("ada: hello\n\nbob: hi")]);
    let picture = Part::ImageUrl { url: "https://example.com/a.png".into(), detail: None };
    let with_picture = Message::User { content: Content::Parts(vec![picture.clone()]), name: None };
    let text = |text: &str| Part::Text { text: text.into() };
    let content = Content::Parts(vec![text("look"), picture]);
    assert_eq!(alternating(&[Message::user("look"), with_picture]), [Message::User { content, name: None }]);
}

proptest! {
    #[test]
    fn every_chat_becomes_one_that_alternates(chat in prop::collection::vec(0_u8..4, 0..12)) {
        let mut messages = Vec::new();
        for (index, kind) in chat.iter().enumerate() {
            match kind {
                0 => messages.push(Message::system("s")),
                1 => messages.push(Message::user("u")),
                2 => messages.push(Message::assistant("a")),
                _ => {
                    let call = ToolCall { id: index.to_string(), name: "look".into(), ..ToolCall::default() };
                    let wanted =
                        Message::Assistant { content: None, tool_calls: vec![call], extra: Default::default() };
                    messages.extend([wanted, Message::tool(index.to_string(), "x")]);
                }
            }
        }
        let roles = roles(&alternating(&messages));
        let body = roles.trim_start_matches('s');
        prop_assert!(roles.len() - body.len() <= 1 && !body.contains('s'), "{roles}");
        prop_assert!(body.is_empty() || body.starts_with('u'), "{roles}");
        prop_assert!(!body.contains("uu") && !body.contains("aa"), "{roles}");
        prop_assert_eq!(body.matches('t').count(), messages.iter().filter(|message| matches!(message, Message::Tool { .. })).count());
    }
}

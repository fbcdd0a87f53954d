//! Plugins that ask for what is not theirs.

use libtest_mimic::Trial;
use serde_json::json;
use switchboard_tests::{Setup, partners::ideas::Ideas, trials};

use super::on_both_databases;
use crate::memory;

pub fn tests() -> Vec<Trial> {
    trials![
        a_plugin_that_is_not_named_lists_and_forgets_nobody,
        a_library_that_is_only_looked_at_sees_no_environment,
    ]
}

const ADA: &str = "+15550001111";

fn a_plugin_that_is_not_named_lists_and_forgets_nobody() -> switchboard_tests::trial::Outcome {
    let without = memory::PLUGINS.replace("callers = [\"friend\"]\n", "");
    assert_ne!(without, memory::PLUGINS);
    on_both_databases(|database| {
        let model = Ideas::start(8);
        let host = database(memory::setup(model.address()).file("plugins.toml", &without)).start();
        for name in ["memory_service", "friend"] {
            host.wait_for_status(name, "connected");
        }
        let said = json!({ "speaker": "person", "medium": "sms", "text": "I like tea." });
        assert_eq!(memory::ask(&host, ADA, "add_turn", &said).status, 200);
        for (operation, request) in [("people", json!({})), ("forget", json!({ "everything": true }))] {
            let refused = memory::ask(&host, ADA, operation, &request);
            assert_eq!(refused.status, 403, "{operation}: {}", refused.body);
            let expected = format!(
                "`friend` may not call `memory_service.{operation}`, which is about people: name it in `callers` of \
                 `[plugins.memory_service]` if it should"
            );
            assert!(refused.body.contains(&expected), "{}", refused.body);
        }
        let people = host.call("memory_service", "people", &json!({}));
        assert!(people.body.contains(ADA), "an operator sees that nobody was forgotten: {}", people.body);
    })
}

/// The configuration has the variable all the same.
fn a_library_that_is_only_looked_at_sees_no_environment() {
    let setup =
        Setup::new("[plugins.friend]\nlog_level = \"${FRIEND_MAY_SEE}\"\n").env("FRIEND_MAY_SEE", "debug");
    let looks: [&[&str]; 4] = [
        &["plugin", "inspect", "friend"],
        &["plugin", "list", "--json"],
        &["schema"],
        &["graph", "--format", "json"],
    ];
    for arguments in looks {
        let looked = setup.command(arguments);
        assert_eq!(looked.code, Some(0), "{arguments:?}: {looked:?}");
        assert!(!looked.stdout.contains("saw `debug`"), "{arguments:?}: {}", looked.stdout);
    }
    let inspected = setup.command(&["plugin", "inspect", "friend"]);
    assert!(inspected.stdout.contains("saw nothing"), "{inspected:?}");
    let checked = setup.command(&["check"]);
    assert!(checked.code == Some(0) && !checked.stderr.contains("FRIEND_MAY_SEE"), "{checked:?}");
    let unset = setup.without_env("FRIEND_MAY_SEE").command(&["check"]);
    assert!(unset.stderr.contains("the variable `FRIEND_MAY_SEE` is not set"), "{unset:?}");
}

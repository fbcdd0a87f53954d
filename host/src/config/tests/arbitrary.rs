//! Whatever a file holds, reading it ends, with lines that are in it.

use proptest::prelude::*;

use super::read;

/// Pieces of which files like plugins.toml are made, and of which they are not.
fn toml_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("[host]\n"),
        Just("[plugins.a]\n"),
        Just("[plugins.b.settings]\n"),
        Just("[[plugins]]\n"),
        Just("listen"),
        Just("required"),
        Just("retry"),
        Just("bind"),
        Just("tools"),
        Just("settings"),
        Just("enabled"),
        Just(" = "),
        Just("."),
        Just("true"),
        Just("false"),
        Just("-1"),
        Just("1e9"),
        Just("inf"),
        Just("'${A}'"),
        Just("\"${A:-1}\""),
        Just("'x${B}'"),
        Just("\"\"\""),
        Just("{ "),
        Just(" }"),
        Just("["),
        Just("]"),
        Just(", "),
        Just("\n"),
        Just("'10s'"),
        Just("1979-05-27"),
        Just("\"\\u00e9~/\""),
        Just("#"),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in prop_oneof![".*", toml_like()]) {
        if let Err(problems) = read(&text, &[("A", "1")]) {
            let lines = text.lines().count().max(1);
            prop_assert!(problems.iter().next().is_some());
            prop_assert!(problems.iter().filter_map(|problem| problem.line).all(|line| (1..=lines + 1).contains(&line)));
        }
    }

    #[test]
    fn no_value_makes_it_panic(value in ".*", key in "[a-z_]{1,8}") {
        let text = format!("[plugins.a]\n{key} = {value:?}\n[plugins.a.settings]\n{key} = {value:?}\n");
        let _ = read(&text, &[("A", "1")]);
    }
}

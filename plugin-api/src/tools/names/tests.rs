//! Names of tools as a model's server takes them.

use proptest::prelude::*;

use super::{for_model, for_people};

#[test]
fn a_dot_becomes_a_hyphen_and_back() {
    assert_eq!(for_model("smtp.send_email"), "smtp-send_email");
    assert_eq!(for_people("smtp-send_email"), "smtp.send_email");
}

#[test]
fn long_names_differ_however_alike_they_begin() {
    let plugin = "p".repeat(64);
    let names = ["send", "send_all"].map(|operation| for_model(&format!("{plugin}.{operation}")));
    assert_ne!(names[0], names[1]);
}

proptest! {
    #[test]
    fn every_name_is_taken(plugin in "[a-z][a-z0-9_]{0,63}", operation in "[a-z][a-z0-9_]{0,63}") {
        let tool = format!("{plugin}.{operation}");
        let name = for_model(&tool);
        prop_assert!(name.len() <= 64 && !name.is_empty());
        prop_assert!(name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter)));
        if !name.contains("--") {
            prop_assert_eq!(for_people(&name), tool);
        }
    }
}

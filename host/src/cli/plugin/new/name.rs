//! Judges the name of a new plugin: it becomes a crate, a library, a section, a label of metrics and part of paths.

/// What means something else already: to the host, to the SDK, or to every crate.
const RESERVED: [(&str, &str); 10] = [
    ("host", "is the host's own name"),
    ("sdk", "is what every instance serves on its own"),
    ("switchboard", "is the host's crate"),
    ("plugin_api", "is the SDK's crate"),
    ("plugin_abi", "is the SDK's crate"),
    ("std", "is a crate of Rust itself"),
    ("core", "is a crate of Rust itself"),
    ("alloc", "is a crate of Rust itself"),
    ("test", "is a crate of Rust itself"),
    ("proc_macro", "is a crate of Rust itself"),
];

/// Words that no crate can be named by.
const KEYWORDS: [&str; 51] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield",
];

/// The longest name that the loader takes.
const LONGEST: usize = 64;

/// Judges a name.
///
/// # Errors
/// What is wrong with it, and what would do.
pub(super) fn check(name: &str) -> Result<(), String> {
    if let Some((_, why)) = RESERVED.iter().find(|(reserved, _)| *reserved == name) {
        return Err(format!("`{name}` {why}: choose another name"));
    }
    if KEYWORDS.contains(&name) {
        return Err(format!("`{name}` is a keyword of Rust: choose another name, such as `{name}_service`"));
    }
    if name.len() > LONGEST {
        return Err(format!("the name has {} characters: a name has at most {LONGEST}", name.len()));
    }
    if is_snake_case(name) {
        return Ok(());
    }
    let close = snake_case(name);
    let hint = if is_snake_case(&close) { format!("; did you mean `{close}`?") } else { String::new() };
    Err(format!(
        "`{name}` is not a plugin name: use snake_case that begins with a letter, such as `weather`{hint}"
    ))
}

fn is_snake_case(name: &str) -> bool {
    let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(fits)
        && !name.ends_with('_')
        && !name.contains("__")
}

/// The snake_case closest to a name.
fn snake_case(name: &str) -> String {
    let mut words = String::new();
    let mut after_small = false;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && after_small {
            words.push('_');
        }
        words.push(if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' });
        after_small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
    }
    let words: Vec<&str> = words.split('_').filter(|word| !word.is_empty()).collect();
    words.join("_")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn refused(name: &str, expected: Expect) {
        expected.assert_eq(&check(name).unwrap_err());
    }

    #[test]
    fn names_that_fit() {
        for name in ["weather", "weather_service", "s3", "a", &"a".repeat(64)] {
            assert_eq!(check(name), Ok(()));
        }
    }

    #[test]
    fn a_name_that_does_not_fit_is_told_one_that_does() {
        refused(
            "my-plugin",
            expect![
                "`my-plugin` is not a plugin name: use snake_case that begins with a letter, such as `weather`; did you mean `my_plugin`?"
            ],
        );
        refused(
            "WeatherService",
            expect![
                "`WeatherService` is not a plugin name: use snake_case that begins with a letter, such as `weather`; did you mean `weather_service`?"
            ],
        );
        refused(
            "9",
            expect!["`9` is not a plugin name: use snake_case that begins with a letter, such as `weather`"],
        );
        refused(
            "../escape",
            expect![
                "`../escape` is not a plugin name: use snake_case that begins with a letter, such as `weather`; did you mean `escape`?"
            ],
        );
        refused(&"a".repeat(65), expect!["the name has 65 characters: a name has at most 64"]);
    }

    #[test]
    fn a_name_that_means_something_else_is_refused() {
        refused("host", expect!["`host` is the host's own name: choose another name"]);
        refused("sdk", expect!["`sdk` is what every instance serves on its own: choose another name"]);
        refused(
            "match",
            expect!["`match` is a keyword of Rust: choose another name, such as `match_service`"],
        );
    }
}

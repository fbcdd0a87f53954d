//! Paths that begin with `~`: only shells know whose home that is. They are refused, since a folder named `~` is what
//! nobody wants.

use serde_json::Value;

use super::{pointer, shape::Shape};

/// Whether a path begins with a home.
pub(super) fn is_home(path: &str) -> bool {
    path.split('/').next().is_some_and(|first| first.starts_with('~'))
}

/// What is said of one.
pub(super) const REFUSAL: &str =
    "begins with `~`, which only a shell replaces: write the whole path, or `${HOME}/…`";

/// The JSON pointers of settings that begin with a home, as a path or as the file of an SQLite URL. A secret
/// is no path, but may be a URL.
pub(super) fn among(settings: &Value, shape: &Shape<'_>) -> Vec<String> {
    let mut found = Vec::new();
    gather(settings, shape, "", &mut found);
    found
}

fn gather(value: &Value, shape: &Shape<'_>, here: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                gather(value, &shape.child(key), &pointer::child(here, key), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                gather(value, &shape.child(&index.to_string()), &pointer::child(here, index), found);
            }
        }
        Value::String(text) => {
            let is_path = !shape.is_secret() && (text == "~" || text.starts_with("~/"));
            let file = text.strip_prefix("sqlite:").map(|file| file.strip_prefix("//").unwrap_or(file));
            if is_path || file.is_some_and(is_home) {
                found.push(here.to_owned());
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn homes_are_found_in_paths_and_urls() {
        for (path, expected) in [
            ("~", true),
            ("~/data", true),
            ("~ada/data", true),
            ("a/~", false),
            ("./~/x", false),
            ("", false),
        ] {
            assert_eq!(is_home(path), expected, "{path}");
        }
    }

    #[test]
    fn settings_are_looked_through_whatever_their_depth() {
        let secret = json!({ "type": "string", "x-secret": true });
        let schema = json!({ "properties": { "password": secret, "url": secret } });
        let settings = json!({
            "ca_file": "~/ca.pem", "list": ["x", "~/y"], "nested": { "dir": "~" }, "url": "sqlite://~/main.db",
            "password": "~/hunter2", "text": "~ten of them", "other": "sqlite:main.db",
        });
        assert_eq!(among(&settings, &Shape::of(&schema)), ["/ca_file", "/list/1", "/nested/dir", "/url"]);
    }
}

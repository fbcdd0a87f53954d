//! Which of a plugin's settings must never be shown: what the schema marks as a secret, and passwords inside URLs.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::super::shape::Shape;

/// Every secret among the settings, each once, none empty.
pub(super) fn of(settings: &Value, shape: &Shape<'_>) -> Vec<String> {
    let mut secrets = Vec::new();
    gather(settings, shape, shape.is_secret(), &mut secrets);
    secrets.retain(|secret| !secret.is_empty());
    secrets.sort();
    secrets.dedup();
    secrets
}

/// What is under a secret is a secret.
fn gather(value: &Value, shape: &Shape<'_>, secret: bool, secrets: &mut Vec<String>) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                let shape = shape.child(key);
                gather(value, &shape, secret || shape.is_secret(), secrets);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                let shape = shape.child(&index.to_string());
                gather(value, &shape, secret || shape.is_secret(), secrets);
            }
        }
        Value::String(text) => {
            secrets.extend(passwords(text));
            if secret {
                secrets.push(text.clone());
            }
        }
        Value::Number(_) if secret => secrets.push(value.to_string()),
        _ => {}
    }
}

/// The passwords in a URL, as they are written and as they are meant: `scheme://user:password@host?password=…`.
fn passwords(text: &str) -> Vec<String> {
    let Some((_, rest)) = text.split_once("://") else { return Vec::new() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // A password may hold any of these unescaped by mistake; then the last `@` tells where it ends.
    let authority = rest[..end].rsplit_once('@').or_else(|| rest.rsplit_once('@'));
    let userinfo = authority.and_then(|(userinfo, _)| userinfo.split_once(':'));
    let query = rest.split_once('?').map_or("", |(_, query)| query.split('#').next().unwrap_or_default());
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let named = pairs.filter(|(name, _)| decoded(name).to_ascii_lowercase().contains("password"));
    let written = named.chain(userinfo).map(|(_, password)| password);
    written.flat_map(|password| [password.to_owned(), decoded(password)]).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(url: &str, expected: &[&str]) {
        assert_eq!(of(&json!({ "url": url }), &Shape::of(&json!({}))), expected, "{url}");
    }

    #[test]
    fn finds_passwords_in_urls() {
        check("postgres://ada:s3cret@db/app", &["s3cret"]);
        check("postgres://ada:p%40ss@db/app", &["p%40ss", "p@ss"]);
        check("postgres://ada:sl/ash@db/app", &["sl/ash"]);
        check("postgres://db/app?user=ada&password=hidden#x", &["hidden"]);
        check("postgres://db/app?pass%77ord=hid%64en", &["hid%64en", "hidden"]);
        check("redis://:only@db", &["only"]);
        check("https://ada@db/app", &[]);
        check("https://db:5432/app", &[]);
        check("sqlite://data.db", &[]);
        check("a sentence: with a colon @ home", &[]);
        check("x://a:%zz@h", &["%zz"]);
    }

    #[test]
    fn finds_what_is_marked_however_deep() {
        let secret = json!({ "type": "string", "x-secret": true });
        let schema = json!({ "properties": {
            "plain": secret,
            "optional": { "anyOf": [secret, { "type": "null" }] },
            "many": { "type": "array", "items": secret },
            "nested": { "oneOf": [{ "properties": { "token": secret } }, { "type": "null" }] },
            "by_name": { "additionalProperties": secret },
            "open": { "type": "string" },
        } });
        let settings = json!({
            "plain": "a", "optional": "b", "many": ["c", "d"], "nested": { "token": "e" }, "by_name": { "x": "f" },
            "open": "seen",
        });
        assert_eq!(of(&settings, &Shape::of(&schema)), ["a", "b", "c", "d", "e", "f"]);
    }
}

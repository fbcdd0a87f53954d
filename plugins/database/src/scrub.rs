//! Keeps the URL and its password out of the database's own words, should it ever repeat them.

use percent_encoding::percent_decode_str;
use plugin_api::{prelude::*, serde_json::Value as Json};

/// What stands in place of a secret.
const REMOVED: &str = "[secret]";

/// The texts that nobody is to see.
#[derive(Debug, Default)]
pub struct Scrub(Vec<Secret>);

impl Scrub {
    /// Of the URL: itself, and its password as it is written and as it is meant.
    pub fn new(url: Option<&Secret>) -> Self {
        let Some(url) = url else { return Self::default() };
        let password = password(url.expose()).unwrap_or_default();
        let texts = [url.expose().to_owned(), password.to_owned(), decoded(password)];
        Self(texts.into_iter().filter(|text| !text.is_empty()).map(Secret::new).collect())
    }

    /// Cleans what an error quotes of the database.
    pub fn clean(&self, error: &mut OperationError) {
        let words = error.details.as_mut().and_then(|details| details.get_mut("database_message"));
        if let Some(Json::String(words)) = words {
            for secret in &self.0 {
                *words = words.replace(secret.expose(), REMOVED);
            }
        }
    }
}

/// What stands between `:` and `@` before the host.
pub fn password(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    Some(authority.rsplit_once('@')?.0.split_once(':')?.1)
}

/// With `%40` and the like as the characters they stand for.
pub fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use plugin_api::serde_json::json;

    use super::*;

    #[test]
    fn neither_form_of_the_password_is_quoted() {
        let scrub = Scrub::new(Some(&Secret::new("postgres://ann:hu%2Fsh%40@db:5432/main")));
        let words = "no `hu/sh@`, no hu%2Fsh%40, no postgres://ann:hu%2Fsh%40@db:5432/main";
        let mut error = OperationError::invalid("refused").details(json!({ "database_message": words }));
        scrub.clean(&mut error);
        assert_eq!(
            error.details,
            Some(json!({ "database_message": "no `[secret]`, no [secret], no [secret]" }))
        );
    }

    #[test]
    fn without_a_password_nothing_is_replaced() {
        for url in [None, Some(Secret::new("sqlite:main.db")), Some(Secret::new("postgres://ann@db/main"))] {
            let mut error =
                OperationError::invalid("refused").details(json!({ "database_message": "no such table" }));
            Scrub::new(url.as_ref()).clean(&mut error);
            assert_eq!(error.details, Some(json!({ "database_message": "no such table" })));
        }
    }
}

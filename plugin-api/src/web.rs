//! What plugins that serve pages, name links or speak HTTP have in common.

use std::time::{Duration, SystemTime};

use jiff::fmt::rfc2822;

use crate::error::Failure;

/// Text as it stands in HTML and in XML, inside elements and quoted attributes. Characters invalid in XML (1.0, section
/// 2.2) are left out.
///
/// ```
/// assert_eq!(plugin_api::web::escape("<b>Ada's \u{7}\"A&B\"</b>"), "&lt;b&gt;Ada&#39;s &quot;A&amp;B&quot;&lt;/b&gt;");
/// ```
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(letter),
            '\u{fffe}' | '\u{ffff}' => {}
            letter if letter.is_control() => {}
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// The setting `public_base_url`, without a slash at its end: where this host is reached from outside, by whoever `reader`
/// names.
///
/// ```
/// use plugin_api::web::public_base_url;
///
/// assert_eq!(public_base_url("https://example.com/phone/", "Twilio reaches it").unwrap(), "https://example.com/phone");
/// assert!(public_base_url("example.com", "Twilio reaches it").is_err());
/// ```
///
/// # Errors
/// `config_invalid`: it is no address of a host.
pub fn public_base_url(text: &str, reader: &str) -> Result<String, Failure> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_address = rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['?', '#', '@', ' ']) && rest.is_ascii()
    });
    if is_address {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    Err(Failure::config_invalid(format!(
        "`public_base_url` is `{text}`: expected the address of this host as {reader}, such as \
         `https://switchboard.example.com`"
    ))
    .setting("public_base_url"))
}

/// How long the header `Retry-After` asks to wait: seconds, or the time until a date (RFC 9110, 10.2.3). `None` if it is
/// neither, or the date has passed.
///
/// ```
/// use std::time::Duration;
/// use plugin_api::web::retry_after;
///
/// assert_eq!(retry_after(" 120 "), Some(Duration::from_secs(120)));
/// assert!(retry_after("Tue, 31 Dec 2199 23:59:59 GMT").is_some());
/// assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), None);
/// assert_eq!(retry_after("soon"), None);
/// ```
pub fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = rfc2822::parse(value).ok()?.timestamp();
    SystemTime::from(until).duration_since(SystemTime::now()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_becomes_markup(text in any::<String>()) {
            prop_assert!(!escape(&text).contains(['<', '>', '"', '\'']));
        }
    }
}

//! What plugins that serve pages or name links have in common.

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

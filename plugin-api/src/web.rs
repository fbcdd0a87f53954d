//! What plugins that serve pages, name links or speak HTTP have in common.

use std::{net::IpAddr, time::Duration};

use jiff::{Timestamp, fmt::rfc2822};

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

/// Whether a host is this machine itself: `localhost`, 127.0.0.0/8 or `::1`, the latter with or without brackets.
///
/// ```
/// use plugin_api::web::is_loopback;
///
/// assert!(is_loopback("localhost") && is_loopback("127.0.0.9") && is_loopback("[::1]"));
/// assert!(!is_loopback("localhost.example.com") && !is_loopback("10.0.0.1") && !is_loopback("0.0.0.0"));
/// ```
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// The one rule for addresses that a plugin sends secrets to: without TLS they lead to this machine, unless a setting of
/// the plugin says that the network between is trusted. `scheme` and `host` are those of the address in `setting`;
/// `permit` is the variable of that other setting, if there is one, and whether it is true.
///
/// ```
/// use plugin_api::web::check_plaintext;
///
/// assert!(check_plaintext("base_url", ("https", "api.example.com"), None).is_ok());
/// assert!(check_plaintext("base_url", ("http", "127.0.0.1"), None).is_ok());
/// assert!(check_plaintext("base_url", ("http", "10.0.0.1"), Some(("MY_ALLOW_PLAINTEXT", true))).is_ok());
/// let refused = check_plaintext("base_url", ("http", "10.0.0.1"), Some(("MY_ALLOW_PLAINTEXT", false))).unwrap_err();
/// assert_eq!(
///     refused.message,
///     "`base_url` would send secrets to `10.0.0.1` unencrypted: use `https:`, or set `MY_ALLOW_PLAINTEXT=true` if the \
///      network between is trusted"
/// );
/// ```
///
/// # Errors
/// `config_invalid`: secrets would travel unencrypted.
pub fn check_plaintext(
    setting: &str,
    (scheme, host): (&str, &str),
    permit: Option<(&str, bool)>,
) -> Result<(), Failure> {
    let safe = match scheme {
        "http" => "https:",
        "ws" => "wss:",
        _ => return Ok(()),
    };
    let otherwise = match permit {
        _ if is_loopback(host) => return Ok(()),
        Some((_, true)) => return Ok(()),
        Some((variable, false)) => format!(", or set `{variable}=true` if the network between is trusted"),
        None => String::new(),
    };
    let message = format!("`{setting}` would send secrets to `{host}` unencrypted: use `{safe}`{otherwise}");
    Err(Failure::config_invalid(message).setting(setting))
}

/// Nobody is asked to wait longer than this, whatever a server says: a day.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the header `Retry-After` asks to wait: seconds, or the time until a date (RFC 9110, 10.2.3). Fractions of
/// seconds are read too, because some servers send them. At most a day; `None` if it is neither, or the date has passed.
///
/// ```
/// use std::{net::IpAddr, time::Duration};
/// use plugin_api::web::retry_after;
///
/// assert_eq!(retry_after(" 120 "), Some(Duration::from_secs(120)));
/// assert_eq!(retry_after("0.5"), Some(Duration::from_millis(500)));
/// assert_eq!(retry_after("18446744073709551615"), Some(Duration::from_secs(86_400)));
/// assert_eq!(retry_after("Tue, 31 Dec 2199 23:59:59 GMT"), Some(Duration::from_secs(86_400)));
/// assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), None);
/// assert_eq!(retry_after("soon"), None);
/// ```
pub fn retry_after(value: &str) -> Option<Duration> {
    wait_from(value, Timestamp::now())
}

/// As long as a server asks to wait, in seconds. At most a day; `None` if they are negative or no number.
///
/// ```
/// use std::{net::IpAddr, time::Duration};
/// use plugin_api::web::seconds_to_wait;
///
/// assert_eq!(seconds_to_wait(1.25), Some(Duration::from_millis(1250)));
/// assert_eq!(seconds_to_wait(1e30), Some(Duration::from_secs(86_400)));
/// assert_eq!(seconds_to_wait(-1.0), None);
/// assert_eq!(seconds_to_wait(f64::NAN), None);
/// ```
pub fn seconds_to_wait(seconds: f64) -> Option<Duration> {
    let is_length = seconds.is_finite() && seconds >= 0.0;
    is_length.then(|| Duration::from_secs_f64(seconds.min(LONGEST_WAIT.as_secs_f64())))
}

fn wait_from(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return seconds_to_wait(seconds);
    }
    let until = rfc2822::parse(value).ok()?.timestamp();
    seconds_to_wait(until.duration_since(now).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_time_to_wait_is_read_in_every_form_and_never_for_ever() {
        let now: Timestamp = "1994-11-06T08:49:00Z".parse().unwrap();
        let wait = |value: &str| wait_from(value, now).map(|wait| wait.as_millis());
        assert_eq!(wait("3"), Some(3_000));
        assert_eq!(wait(" 0.25 "), Some(250));
        assert_eq!(wait("0"), Some(0));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(37_000));
        for forever in ["86401", "18446744073709551615", "1e300", "Thu, 06 Nov 2194 08:49:37 GMT"] {
            assert_eq!(wait(forever), Some(86_400_000), "{forever}");
        }
        for nothing in ["", "soon", "NaN", "inf", "-1", "Sun, 06 Nov 1994 08:00:00 GMT"] {
            assert_eq!(wait(nothing), None, "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn nothing_becomes_markup(text in any::<String>()) {
            prop_assert!(!escape(&text).contains(['<', '>', '"', '\'']));
        }
    }
}

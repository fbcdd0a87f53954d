//! A secret becomes every form in which it may stand in a text: as it is, escaped for a URL, a form or JSON, and in
//! base64, also in the midst of something longer, as in a login.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};

/// Fewer letters of base64 would be found in what is no secret.
const SHORTEST_BASE64: usize = 10;

/// All but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What a browser leaves in a form.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*');

/// What may stand in the user's part of a URL.
const USERINFO: &AsciiSet = &RESERVED
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=');

/// All forms of a secret, the secret itself first.
pub(super) fn of(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    for set in [RESERVED, NON_ALPHANUMERIC, USERINFO] {
        let encoded = utf8_percent_encode(secret, set).to_string();
        forms.push(in_lower_case(&encoded));
        forms.push(encoded);
    }
    forms.push(percent_encode(secret.as_bytes(), FORM).to_string().replace("%20", "+"));
    forms.push(escaped(secret));
    // A quoted text in a quoted text.
    forms.push(escaped(&escaped(secret)));
    forms.push(secret.escape_debug().to_string());
    forms.extend((0..3).flat_map(|before| in_base64(secret, before)));
    forms
}

/// With the hexadecimal digits of escapes in lower case.
fn in_lower_case(encoded: &str) -> String {
    let mut pieces = encoded.split('%');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| {
        let (digits, rest) = piece.split_at(2);
        format!("{text}%{}{rest}", digits.to_ascii_lowercase())
    })
}

/// As JSON writes it, without the quotes.
fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// What is the same in base64 whatever stands around it, when so many bytes of another group of three stand before.
fn in_base64(secret: &str, before: usize) -> Vec<String> {
    let bytes = [&[0; 2][..before], secret.as_bytes()].concat();
    // A letter holds six bits: these at the edges have bits of something else.
    let start = (before * 8).div_ceil(6);
    let end = bytes.len() * 8 / 6;
    let encoded = [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)];
    let inner = encoded.into_iter().map(|text| text[start..end].to_owned());
    inner.filter(|text| text.len() >= SHORTEST_BASE64).collect()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(secret: &str, text: &str) {
        assert!(of(secret).iter().any(|form| text.contains(form.as_str())), "{text} of {secret}");
    }

    #[test]
    fn forms_of_urls_and_json_are_known() {
        check("p@ss word/1", "p%40ss%20word%2F1");
        check("p@ss word/1", "p%40ss%20word%2f1");
        check("p@ss word/1", "p%40ss+word%2F1");
        check("a-b_c.d~e$f", "a-b_c.d~e$f");
        check("say \"hi\"\n", "say \\\"hi\\\"\\n");
    }

    proptest! {
        #[test]
        fn base64_is_found_wherever_the_secret_stands(
            before in "[ -~]{0,7}", secret in "[ -~]{10,40}", after in "[ -~]{0,7}",
        ) {
            let text = format!("{before}{secret}{after}");
            for encoded in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                prop_assert!(of(&secret).iter().any(|form| encoded.contains(form.as_str())), "{encoded}");
            }
        }
    }
}

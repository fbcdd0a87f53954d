//! What a telephone number is and what Twilio's names look like: one definition, so that what one plugin accepts no other
//! one refuses.

/// Whether it is a telephone number as Twilio writes them (E.164): `+`, the country and the number, 7 to 15 digits, of which
/// the first is not 0.
pub fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0')
}

/// Whether it is a SID of Twilio's with one of these prefixes: two letters and 32 hexadecimal digits.
pub fn is_sid(text: &str, prefixes: &[&str]) -> bool {
    let digits = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a SID that came from outside may stand in a path, a key or a log: letters and digits, whatever Twilio means by
/// them.
pub fn is_harmless_sid(text: &str) -> bool {
    (3..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_e164() {
        for number in ["+15551234567", "+491701234567", "+3581234", "+123456789012345"] {
            assert!(is_number(number), "{number}");
        }
        for other in [
            "+0123456789",
            "15551234567",
            "+1 555 123 4567",
            "+155512",
            "+1234567890123456",
            "",
            "+",
            "whatsapp:+15551234567",
            "+١٥٥٥١٢٣٤",
        ] {
            assert!(!is_number(other), "{other}");
        }
    }

    #[test]
    fn sids_have_their_prefix_and_32_digits() {
        let digits = "0123456789abcdef0123456789ABCDEF";
        assert!(
            is_sid(&format!("SM{digits}"), &["SM", "MM"]) && is_sid(&format!("MM{digits}"), &["SM", "MM"])
        );
        assert!(!is_sid(&format!("CA{digits}"), &["SM", "MM"]));
        assert!(!is_sid("SM1", &["SM"]) && !is_sid(&format!("SM{digits}0"), &["SM"]) && !is_sid("", &["SM"]));
        assert!(
            is_harmless_sid("SM1")
                && !is_harmless_sid("MZ\"1")
                && !is_harmless_sid(&"A".repeat(65))
                && !is_harmless_sid("SM")
                && !is_harmless_sid("../SM1")
                && !is_harmless_sid("SM1\n")
        );
    }
}

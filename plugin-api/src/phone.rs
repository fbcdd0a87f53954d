//! The forms of telephone numbers and of Twilio's names: one definition, so that no plugin refuses what another
//! accepts.

/// Whether it is a telephone number as Twilio writes them (E.164): `+`, the country and the number, 7 to 15 digits, of which
/// the first is not 0.
pub fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0')
}

/// Before an address of WhatsApp.
pub const WHATSAPP: &str = "whatsapp:";
/// Before an address of RCS.
pub const RCS: &str = "rcs:";

/// Whether it is the address of somebody on WhatsApp who shows no number: `whatsapp:`, the country, and an id that the
/// business alone knows them by, such as `whatsapp:US.13491208655302741918` (Meta's business-scoped user id).
pub fn is_whatsapp_user(text: &str) -> bool {
    let id = text.strip_prefix(WHATSAPP).and_then(|id| id.split_once('.'));
    let letters =
        |id: &str| (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    id.is_some_and(|(country, id)| {
        let is_country = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_alphabetic());
        // An account of several businesses has ids of its own: `US.ENT.11815799212886844830`.
        is_country && id.split_once('.').map_or(letters(id), |(kind, id)| letters(kind) && letters(id))
    })
}

/// Whether somebody can be written to by it: a number, or an address that is as good as one.
pub fn is_person(text: &str) -> bool {
    is_number(text) || is_whatsapp_user(text)
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
    fn people_have_a_number_or_an_id_on_whatsapp() {
        for person in
            ["+15551234567", "whatsapp:US.13491208655302741918", "whatsapp:US.ENT.11815799212886844830"]
        {
            assert!(is_person(person), "{person}");
        }
        let others = [
            "whatsapp:+15551234567",
            "whatsapp:US.",
            "whatsapp:USA.1",
            "US.1349",
            "rcs:agent",
            "client:ada",
            "MYBANK",
            "whatsapp:US.1 2",
        ];
        for other in others {
            assert!(!is_person(other), "{other}");
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

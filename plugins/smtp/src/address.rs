//! Text as people write it -> a mailbox with a checked address. Never more than one address out of one text, and never
//! anything that could end a header line.

use lettre::{Address, message::Mailbox};

/// Longest address that SMTP can carry (RFC 5321, 4.5.3.1.3, without the angle brackets).
const MAX_ADDRESS: usize = 254;

const EXPECTED: &str = "expected one address such as `ada@example.com` or `Ada Lovelace <ada@example.com>`";

/// Reads `a@b.example` or `Name <a@b.example>`.
///
/// # Errors
/// What is wrong with it, to stand behind the text itself.
pub fn parse(text: &str) -> Result<Mailbox, String> {
    if text.chars().any(char::is_control) {
        return Err("line breaks and control characters are not allowed in an address".to_owned());
    }
    let text = text.trim();
    let (name, address) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((name, address)) => (display_name(name.trim())?, address.trim()),
        None => (None, text),
    };
    if address.len() > MAX_ADDRESS {
        return Err(format!("it is {} bytes long, at most {MAX_ADDRESS} are allowed", address.len()));
    }
    let address: Address = address.parse().map_err(|_| EXPECTED.to_owned())?;
    // In ASCII every server takes a domain, whether or not it offers SMTPUTF8.
    let domain = ascii_domain(address.domain()).ok_or(EXPECTED)?;
    let address = Address::new(address.user(), domain).map_err(|_| EXPECTED.to_owned())?;
    Ok(Mailbox::new(name, address))
}

/// A domain as the name system knows it: `bücher.example` is `xn--bcher-kva.example` (RFC 5891). ASCII stays as it is;
/// `None` if it can be no domain.
pub fn ascii_domain(domain: &str) -> Option<String> {
    match domain.is_ascii() {
        true => Some(domain.to_owned()),
        false => idna::domain_to_ascii(domain).ok(),
    }
}

/// The display name without the quotes that may stand around it; `None` if there is none. Unquoted, it must not look
/// like a second address, which would be lost.
fn display_name(name: &str) -> Result<Option<String>, String> {
    let bare = match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\\\"", "\"").replace("\\\\", "\\"),
        None if name.contains(['<', '>', '@']) => return Err(EXPECTED.to_owned()),
        None => name.to_owned(),
    };
    Ok((!bare.is_empty()).then_some(bare))
}

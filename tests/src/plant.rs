//! A secret that is planted to be looked for: in every form in which a program may come to write it.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// A secret, unlike any other text.
#[derive(Debug, Clone)]
pub struct Plant(String);

impl Plant {
    /// The secret of this name, of letters that URLs, forms and base64 write in different ways.
    pub fn new(name: &str) -> Self {
        Self(format!("c0rrect-horse/{name}+staple~9?&Q"))
    }

    /// The secret itself.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// As it stands in a URL.
    pub fn in_url(&self) -> String {
        self.escaped(|byte| format!("%{byte:02X}"))
    }

    /// As it stands in a URL that somebody wrote in small letters.
    pub fn in_small_url(&self) -> String {
        self.escaped(|byte| format!("%{byte:02x}"))
    }

    /// As it stands in base64, with a login in front.
    pub fn in_login(&self) -> String {
        STANDARD_NO_PAD.encode(format!("someone:{}", self.0))
    }

    fn escaped(&self, escape: impl Fn(u8) -> String) -> String {
        let escape = |byte: u8| match byte.is_ascii_alphanumeric() {
            true => char::from(byte).to_string(),
            false => escape(byte),
        };
        self.0.bytes().map(escape).collect()
    }

    /// Every form of it that a text holds; none, if the text gives nothing away.
    pub fn found_in(&self, text: &str) -> Vec<String> {
        let mut forms = vec![self.0.clone(), self.in_url(), self.in_small_url()];
        for before in 0..3 {
            let bytes = [&[0; 2][..before], self.0.as_bytes()].concat();
            for encoded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
                // The letters at both edges have bits of what stands beside the secret.
                forms.push(encoded[2 * before.min(1) + before / 2..encoded.len() - 2].to_owned());
            }
        }
        forms.retain(|form| text.contains(form.as_str()));
        forms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_found() {
        let plant = Plant::new("x");
        assert!(plant.found_in("nothing is here").is_empty());
        for text in [plant.text().to_owned(), plant.in_url(), plant.in_small_url(), plant.in_login()] {
            assert!(!plant.found_in(&format!("before {text} after")).is_empty(), "{text}");
        }
        for before in ["", "a", "ab", "abc"] {
            let encoded = STANDARD_NO_PAD.encode(format!("{before}{} and more", plant.text()));
            assert!(!plant.found_in(&encoded).is_empty(), "{before}");
        }
    }
}

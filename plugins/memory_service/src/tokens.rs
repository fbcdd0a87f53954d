//! A text -> how many tokens it takes, estimated, or as much of it as fits. Every model counts otherwise; this counts rather
//! too many. Pure.

use plugin_api::requests::memory::Turn;

/// What a turn takes beside its words: who said it, how, and when.
const PER_TURN: u32 = 8;
/// What an attachment takes beside its address.
const PER_ATTACHMENT: u32 = 4;
const CUT: &str = " …";

/// In quarters: four letters of English are a token, other signs are one each.
fn quarters(letter: char) -> u32 {
    if letter.is_ascii() { 1 } else { 4 }
}

/// How many tokens a text takes.
pub fn of(text: &str) -> u32 {
    let quarters = text.chars().map(quarters).fold(0_u32, u32::saturating_add);
    quarters.div_ceil(4)
}

/// How many tokens a turn takes.
pub fn of_turn(turn: &Turn) -> u32 {
    let attachments = turn.attachments.iter();
    let attachments =
        attachments.map(|attachment| PER_ATTACHMENT + of(&attachment.content_type) + of(&attachment.url));
    attachments.fold(PER_TURN + of(&turn.text), u32::saturating_add)
}

/// As much of the beginning as fits, with a mark where it was cut, at a space if there is one near.
pub fn cut(text: &str, tokens: u32) -> String {
    if of(text) <= tokens {
        return text.to_owned();
    }
    let mut left = tokens.saturating_mul(4).saturating_sub(CUT.chars().map(quarters).sum());
    let mut end = 0;
    for (place, letter) in text.char_indices() {
        let Some(rest) = left.checked_sub(quarters(letter)) else { break };
        left = rest;
        end = place + letter.len_utf8();
    }
    let fits = text.get(..end).unwrap_or_default();
    let at_space = fits.rfind(char::is_whitespace).filter(|space| *space > end / 2);
    let fits = at_space.and_then(|space| fits.get(..space)).unwrap_or(fits);
    format!("{}{CUT}", fits.trim_end())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn english_and_others() {
        assert_eq!((of(""), of("tea"), of("tea please"), of("東京都")), (0, 1, 3, 3));
    }

    #[test]
    fn it_is_cut_at_a_space() {
        assert_eq!(cut("tea with milk, please", 4), "tea with …");
        assert_eq!(cut("tea", 1), "tea");
    }

    proptest! {
        #[test]
        fn what_was_cut_fits(text in "\\PC*", tokens in 2_u32..50) {
            prop_assert!(of(&cut(&text, tokens)) <= tokens);
        }
    }
}

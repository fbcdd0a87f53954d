//! A text -> the messages that it goes as: each short enough, in order, split at the ends of sentences, else between
//! words. Nothing is lost but the blank at a seam. Pure.

use unicode_segmentation::UnicodeSegmentation;

/// What one message holds at Twilio. Counted in UTF-16, as carriers do, which is never less than characters.
pub const LIMIT: usize = 1600;
/// A better seam than this share of the limit from the beginning is not worth a short message.
const LEAST_SHARE: usize = 4;

/// The messages of a text; none for a text of blanks.
pub fn split(text: &str, limit: usize) -> Vec<String> {
    let mut rest = text.trim();
    let mut parts = Vec::new();
    while units(rest) > limit {
        let (part, left) = rest.split_at(seam(rest, limit));
        parts.push(part.trim_end().to_owned());
        rest = left.trim_start();
    }
    if !rest.is_empty() {
        parts.push(rest.to_owned());
    }
    parts
}

/// How long a text is.
pub fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Where the first message ends, in bytes: more than 0.
fn seam(text: &str, limit: usize) -> usize {
    let longest = longest(text, limit);
    let least = longest / LEAST_SHARE;
    let good = |at: &usize| (least..=longest).contains(at) && *at > 0;
    let sentences = text.split_sentence_bound_indices().map(|(at, _)| at);
    let sentence = sentences.take_while(|at| *at <= longest).filter(|at| ends_a_sentence(text, *at));
    sentence.filter(good).last().or_else(|| blank(text, longest)).unwrap_or(longest)
}

/// An address may hold what looks like the end of a sentence. Scripts that set no blank behind one have other stops.
fn ends_a_sentence(text: &str, at: usize) -> bool {
    text[..at].chars().next_back().is_some_and(|last| last.is_whitespace() || !last.is_ascii())
}

/// Behind the last word that fits.
fn blank(text: &str, longest: usize) -> Option<usize> {
    // The word that begins at the limit ends before it.
    let next = text[longest..].chars().next().map_or(0, char::len_utf8);
    text[..longest + next].rfind(char::is_whitespace).filter(|at| *at > 0)
}

/// As many whole characters, as people see them, as fit. One that does not fit by itself is cut.
fn longest(text: &str, limit: usize) -> usize {
    match fitting(text.graphemes(true), limit) {
        0 => fitting(text.split_inclusive(|_| true), limit),
        at => at,
    }
}

fn fitting<'t>(pieces: impl Iterator<Item = &'t str>, limit: usize) -> usize {
    let mut left = limit;
    let fits = pieces.take_while(|piece| {
        let fits = units(piece) <= left;
        left = left.saturating_sub(units(piece));
        fits
    });
    fits.map(str::len).sum()
}

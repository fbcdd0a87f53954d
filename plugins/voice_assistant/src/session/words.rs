//! How much of a text was heard: never more than that, and whole words. Pure.

/// A fast speaker says as many letters in a second; as long as it is not known how long all of a text takes, no more is
/// taken to be heard.
const LETTERS_PER_SECOND: u64 = 13;

/// The audio that a text was spoken in.
#[derive(Debug, Clone, Copy)]
pub struct Spoken {
    /// So much of it was heard.
    pub heard_ms: u64,
    /// So much of it there is.
    pub audio_ms: u64,
    /// That is all of it: text and audio end together. If not, the text may be ahead.
    pub is_whole: bool,
}

/// What was heard of a text.
pub fn heard(text: &str, spoken: Spoken) -> &str {
    let Spoken { heard_ms, audio_ms, is_whole } = spoken;
    if is_whole && heard_ms >= audio_ms {
        return text;
    }
    if audio_ms == 0 {
        return "";
    }
    let letters = text.chars().count() as u64;
    let share = letters * heard_ms.min(audio_ms) / audio_ms;
    let heard = if is_whole { share } else { share.min(heard_ms * LETTERS_PER_SECOND / 1000) };
    whole_words(text, heard as usize)
}

/// So many letters at most, to the end of a word. A text without spaces is cut anywhere.
fn whole_words(text: &str, letters: usize) -> &str {
    let Some((end, next)) = text.char_indices().nth(letters) else { return text.trim_end() };
    let begun = &text[..end];
    if next.is_whitespace() || !text.contains(char::is_whitespace) {
        return begun.trim_end();
    }
    let last = begun.rfind(char::is_whitespace).unwrap_or(0);
    begun[..last].trim_end()
}

//! What Twilio has been sent and how far it has played it. Audio is played in order at its own pace; a mark comes back when
//! playback reaches it, or when the buffer is cleared, and then nobody can tell from it alone.

use std::collections::VecDeque;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

/// Bytes of audio in a millisecond.
const BYTES_PER_MS: u64 = 8;

/// A buffer that is played.
#[derive(Debug, Default)]
pub struct Playback {
    stream: String,
    buffer: VecDeque<Item>,
    /// Every byte that was played.
    pub played: Vec<u8>,
    /// Every byte that was taken.
    pub taken: Vec<u8>,
    /// Every mark that came back, in order.
    pub marks: Vec<Mark>,
    /// How often it was cleared.
    pub clears: u64,
    /// Frames that are none: Twilio's error 31924.
    pub errors: Vec<String>,
    /// The bytes since the last mark that have left the buffer, and those of them that were played.
    since_mark: (u64, u64),
}

/// A mark that came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Its name.
    pub name: String,
    /// Whether it came because of a `clear`.
    pub cleared: bool,
    /// Bytes that had been played in all when it came back.
    pub played: u64,
    /// Bytes between the mark before it and this one.
    pub bytes: u64,
    /// How many of these were played.
    pub of_these: u64,
}

#[derive(Debug)]
enum Item {
    Audio(VecDeque<u8>),
    Mark(String),
}

impl Playback {
    /// Of this stream.
    pub fn new(stream: &str) -> Self {
        Self { stream: stream.to_owned(), ..Self::default() }
    }

    /// Takes a frame, and gives the names of the marks that come back because of it.
    pub fn take(&mut self, text: &str) -> Vec<String> {
        let frame: Value = serde_json::from_str(text).unwrap_or_default();
        let marks = self.obey(&frame);
        if marks.is_none() {
            self.errors.push(text.to_owned());
        }
        marks.unwrap_or_default()
    }

    /// Plays for so long, and gives the names of the marks that it comes to.
    pub fn play(&mut self, milliseconds: u64) -> Vec<String> {
        let mut left = milliseconds * BYTES_PER_MS;
        let mut reached = Vec::new();
        while let Some(item) = self.buffer.pop_front() {
            match item {
                Item::Mark(name) => reached.push(self.comes_back(name, false)),
                Item::Audio(mut audio) => {
                    let now = left.min(audio.len() as u64) as usize;
                    self.played.extend(audio.drain(..now));
                    self.since_mark.0 += now as u64;
                    self.since_mark.1 += now as u64;
                    left -= now as u64;
                    if !audio.is_empty() {
                        self.buffer.push_front(Item::Audio(audio));
                        break;
                    }
                }
            }
        }
        reached
    }

    /// How many milliseconds of this byte were played.
    pub fn played_ms(&self, byte: u8) -> u64 {
        self.played.iter().filter(|played| **played == byte).count() as u64 / BYTES_PER_MS
    }

    /// Whether nothing waits to be played.
    pub fn is_idle(&self) -> bool {
        self.buffer.is_empty()
    }

    /// `None`: it is no frame of this stream that Twilio knows.
    fn obey(&mut self, frame: &Value) -> Option<Vec<String>> {
        if frame["streamSid"] != self.stream.as_str() {
            return None;
        }
        match frame["event"].as_str()? {
            "media" => {
                let audio = STANDARD.decode(frame["media"]["payload"].as_str()?).ok()?;
                self.taken.extend(&audio);
                self.buffer.push_back(Item::Audio(audio.into()));
                Some(Vec::new())
            }
            "mark" => {
                let name = frame["mark"]["name"].as_str()?.to_owned();
                if self.buffer.is_empty() {
                    return Some(vec![self.comes_back(name, false)]);
                }
                self.buffer.push_back(Item::Mark(name));
                Some(Vec::new())
            }
            "clear" => Some(self.clear()),
            _ => None,
        }
    }

    fn clear(&mut self) -> Vec<String> {
        self.clears += 1;
        let items = std::mem::take(&mut self.buffer);
        let mut marks = Vec::new();
        for item in items {
            match item {
                Item::Audio(audio) => self.since_mark.0 += audio.len() as u64,
                Item::Mark(name) => marks.push(self.comes_back(name, true)),
            }
        }
        self.since_mark = (0, 0);
        marks
    }

    fn comes_back(&mut self, name: String, cleared: bool) -> String {
        let (bytes, of_these) = std::mem::take(&mut self.since_mark);
        let played = self.played.len() as u64;
        self.marks.push(Mark { name: name.clone(), cleared, played, bytes, of_these });
        name
    }
}

//! The caller's audio with the moments it belongs to -> audio without gaps. Audio the carrier lost becomes silence, so
//! that a byte's place in the audio is its time on the media clock. Audio that comes late is never thrown away.

use plugin_api::stream::Frame;

use super::{BYTES_PER_MS, Output};

/// Silence in mu-law.
pub const SILENCE: u8 = 0xff;
/// A gap that is smaller than a frame is only the unevenness of Twilio's clock.
const SMALLEST_GAP_MS: u64 = 20;
/// The longest silence that stands for one gap; the clock of the carrier jumps over the rest of it.
const LONGEST_GAP_MS: u64 = 10_000;
/// The longest frame of silence.
const FRAME_MS: u64 = 1_000;

/// What was heard so far, in bytes.
#[derive(Default)]
pub struct Ear {
    received: u64,
    padded: u64,
    /// Silence since the last audio.
    bridged: u64,
    /// How much of the carrier's clock was jumped over.
    skipped_ms: u64,
}

impl Ear {
    /// Milliseconds of audio that the conversation was sent.
    pub fn position_ms(&self) -> u64 {
        (self.received + self.padded) / BYTES_PER_MS
    }

    pub fn received_ms(&self) -> u64 {
        self.received / BYTES_PER_MS
    }

    pub fn padded_ms(&self) -> u64 {
        self.padded / BYTES_PER_MS
    }

    /// Audio that belongs to this moment of the carrier's clock.
    pub fn hear(&mut self, at_ms: Option<u64>, audio: Vec<u8>, out: &mut Vec<Output>) {
        let at_ms = at_ms.unwrap_or_default().saturating_sub(self.skipped_ms);
        let missing = at_ms.saturating_sub(self.position_ms());
        if missing >= SMALLEST_GAP_MS {
            let silence = missing.min(LONGEST_GAP_MS);
            self.skipped_ms += missing - silence;
            self.pad(silence, out);
        }
        self.bridged = 0;
        if !audio.is_empty() {
            self.received += audio.len() as u64;
            out.push(Output::Session(Frame::Binary(audio)));
        }
    }

    /// No audio has come for so long: as much silence stands in for it.
    pub fn bridge_gap(&mut self, silent_for_ms: u64, out: &mut Vec<Output>) {
        let missing = silent_for_ms.saturating_sub(self.bridged);
        self.bridged += missing;
        self.pad(missing, out);
    }

    fn pad(&mut self, mut missing_ms: u64, out: &mut Vec<Output>) {
        self.padded += missing_ms * BYTES_PER_MS;
        while missing_ms > 0 {
            let now = missing_ms.min(FRAME_MS);
            missing_ms -= now;
            // A frame is a second at most.
            let bytes = (now * BYTES_PER_MS) as usize;
            out.push(Output::Session(Frame::Binary(vec![SILENCE; bytes])));
        }
    }
}

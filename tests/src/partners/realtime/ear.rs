//! Mu-law audio -> when speech begins and ends, by its energy alone, as `server_vad` tells it: the beginning with the
//! padding before it, the end with the silence after it. And audio to speak with.

/// Bytes in a millisecond: 8,000 samples a second, one byte each.
pub const BYTES_PER_MS: usize = 8;
/// Audio is judged in frames of 20 ms.
const FRAME: usize = 20 * BYTES_PER_MS;
/// The mean amplitude of a frame that is speech, of 32,768.
const LOUD: u32 = 600;
/// Frames of speech in a row that are a beginning.
const FRAMES_TO_BEGIN: u32 = 3;

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Speech began.
    Started {
        /// With the padding.
        audio_start_ms: u64,
    },
    /// It ended.
    Stopped {
        /// With the silence.
        audio_end_ms: u64,
    },
}

/// Listens to one session.
#[derive(Debug, Default)]
pub struct Ear {
    rest: Vec<u8>,
    /// Frames so far.
    frames: u64,
    loud: u32,
    silent: u64,
    is_speech: bool,
}

impl Ear {
    /// Hears more audio.
    pub fn hear(&mut self, audio: &[u8], padding_ms: u64, silence_ms: u64) -> Vec<Heard> {
        self.rest.extend_from_slice(audio);
        let whole = self.rest.len() / FRAME * FRAME;
        let frames: Vec<u8> = self.rest.drain(..whole).collect();
        frames.chunks(FRAME).filter_map(|frame| self.frame(frame, padding_ms, silence_ms)).collect()
    }

    /// Milliseconds of audio so far.
    pub fn heard_ms(&self) -> u64 {
        self.frames * 20 + (self.rest.len() / BYTES_PER_MS) as u64
    }

    /// Whether somebody speaks.
    pub fn is_speech(&self) -> bool {
        self.is_speech
    }

    /// Whoever speaks has ended. Whether anybody did.
    pub fn end(&mut self) -> bool {
        self.loud = 0;
        std::mem::take(&mut self.is_speech)
    }

    fn frame(&mut self, frame: &[u8], padding_ms: u64, silence_ms: u64) -> Option<Heard> {
        self.frames += 1;
        let now = self.frames * 20;
        let is_loud = frame.iter().map(|byte| amplitude(*byte)).sum::<u32>() / FRAME as u32 > LOUD;
        self.loud = if is_loud { self.loud + 1 } else { 0 };
        self.silent = if is_loud { 0 } else { self.silent + 20 };
        if !self.is_speech && self.loud >= FRAMES_TO_BEGIN {
            self.is_speech = true;
            let began = now - u64::from(FRAMES_TO_BEGIN) * 20;
            return Some(Heard::Started { audio_start_ms: began.saturating_sub(padding_ms) });
        }
        if self.is_speech && self.silent >= silence_ms {
            self.is_speech = false;
            return Some(Heard::Stopped { audio_end_ms: now });
        }
        None
    }
}

/// How far a mu-law sample is from silence (ITU-T G.711).
fn amplitude(byte: u8) -> u32 {
    let bits = u32::from(!byte);
    let (exponent, mantissa) = ((bits >> 4) & 7, bits & 15);
    (((mantissa << 3) + 0x84) << exponent) - 0x84
}

/// So many milliseconds that are heard as speech.
pub fn speech(ms: usize) -> Vec<u8> {
    [0x10, 0x90].into_iter().cycle().take(ms * BYTES_PER_MS).collect()
}

/// So many milliseconds in which nobody speaks.
pub fn silence(ms: usize) -> Vec<u8> {
    vec![0xff; ms * BYTES_PER_MS]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speech_begins_with_its_padding_and_ends_with_its_silence() {
        let mut ear = Ear::default();
        assert_eq!(ear.hear(&silence(1010), 300, 500), []);
        assert_eq!(ear.hear(&speech(400), 300, 500), [Heard::Started { audio_start_ms: 700 }]);
        assert!(ear.is_speech());
        assert_eq!(ear.hear(&silence(480), 300, 500), []);
        assert_eq!(ear.hear(&silence(40), 300, 500), [Heard::Stopped { audio_end_ms: 1920 }]);
        assert_eq!(ear.heard_ms(), 1930);
    }

    #[test]
    fn a_crackle_is_no_speech() {
        let mut ear = Ear::default();
        assert_eq!(ear.hear(&[speech(40), silence(40), speech(40), silence(20)].concat(), 300, 500), []);
        assert_eq!((amplitude(0xff), amplitude(0x7f), amplitude(0x00)), (0, 0, 32_124));
    }
}

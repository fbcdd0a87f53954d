//! What the caller is to hear -> media and marks for Twilio, no further ahead of playback than allowed; and marks that come
//! back -> what was heard for sure. A mark carries its generation, which an interruption ends: so every mark that was
//! under way at a `clear` is known as cleared when it comes back, however late, and nothing needs to be remembered of it.

use std::collections::VecDeque;

use plugin_api::requests::voice::{Heard, MediaReport};

use super::{BYTES_PER_MS, Output};
use crate::frames;

/// The most audio between two marks: how exactly it is known what was heard. 100 ms.
pub const PIECE: usize = 800;
/// Utterances that are under way at a time.
const MOST_UTTERANCES: usize = 256;

/// What was said, sent and heard.
pub struct Mouth {
    stream: String,
    ahead: u64,
    room: u64,
    utterances: VecDeque<Utterance>,
    /// Utterances of answers that had been interrupted before they began.
    stillborn: Vec<u32>,
    queue: VecDeque<Queued>,
    queued: u64,
    marks: VecDeque<Mark>,
    /// Bytes that were sent and not heard yet.
    unheard: u64,
    generation: u32,
    serial: u64,
    newest_utterance: u32,
    newest_response: u32,
    /// This response and those before it were interrupted.
    interrupted: u32,
    /// The newest response of which audio was sent.
    answered: u32,
    sent: u64,
    cleared: u64,
    discarded: u64,
}

/// What became of sending.
#[derive(Default)]
pub struct Spoken {
    /// The utterance with the first audio of a new response.
    pub answers: Option<u32>,
    /// Utterances that were heard to their end.
    pub finished: Vec<u32>,
}

/// In bytes.
struct Utterance {
    number: u32,
    response: u32,
    said: u64,
    sent: u64,
    marked: u64,
    played: u64,
    /// No more audio of it will come.
    is_done: bool,
    /// And all of it was sent.
    is_sent: bool,
}

enum Queued {
    Audio(u32, Vec<u8>),
    End(u32),
}

/// Playback that has come to it has played so many bytes of the utterance.
struct Mark {
    serial: u64,
    utterance: u32,
    played: u64,
}

impl Mouth {
    pub fn new(stream: &str, ahead_ms: u64, room_ms: u64) -> Self {
        Self {
            stream: stream.to_owned(),
            ahead: ahead_ms.saturating_mul(BYTES_PER_MS),
            room: room_ms.saturating_mul(BYTES_PER_MS),
            utterances: VecDeque::new(),
            stillborn: Vec::new(),
            queue: VecDeque::new(),
            queued: 0,
            marks: VecDeque::new(),
            unheard: 0,
            generation: 0,
            serial: 0,
            newest_utterance: 0,
            newest_response: 0,
            interrupted: 0,
            answered: 0,
            sent: 0,
            cleared: 0,
            discarded: 0,
        }
    }

    pub fn has_room(&self) -> bool {
        self.queued <= self.room
    }

    /// Whether everything was heard.
    pub fn is_empty(&self) -> bool {
        self.utterances.is_empty()
    }

    pub fn unheard_ms(&self) -> u64 {
        self.unheard / BYTES_PER_MS
    }

    pub fn queued_ms(&self) -> u64 {
        self.queued / BYTES_PER_MS
    }

    /// What is to be heard yet, whether it was sent or not.
    pub fn outstanding_ms(&self) -> u64 {
        (self.unheard + self.queued) / BYTES_PER_MS
    }

    pub fn report(&self) -> MediaReport {
        MediaReport {
            sent_ms: self.sent / BYTES_PER_MS,
            cleared_ms: self.cleared / BYTES_PER_MS,
            discarded: self.discarded,
            ..MediaReport::default()
        }
    }

    /// An utterance begins; false if there are too many.
    pub fn begin(&mut self, number: u32, response: u32) -> bool {
        if self.utterances.len() + self.stillborn.len() >= MOST_UTTERANCES {
            return false;
        }
        self.newest_response = self.newest_response.max(response);
        if number > self.newest_utterance {
            self.newest_utterance = number;
            match response > self.interrupted {
                true => self.utterances.push_back(Utterance::new(number, response)),
                false => self.stillborn.push(number),
            }
        }
        true
    }

    /// Audio of an utterance; of one that is not under way it comes too late.
    pub fn say(&mut self, number: u32, audio: &[u8]) {
        let Some(utterance) = self.find(number).filter(|utterance| !utterance.is_done) else {
            self.discarded += 1;
            return;
        };
        // A piece ends where a mark is due, however the conversation has cut it.
        let until_mark = utterance.said.next_multiple_of(PIECE as u64) - utterance.said;
        utterance.said += audio.len() as u64;
        self.queued += audio.len() as u64;
        let (more, rest) = audio.split_at(audio.len().min(until_mark as usize));
        match self.queue.back_mut() {
            Some(Queued::Audio(last, piece)) if *last == number => piece.extend_from_slice(more),
            _ if more.is_empty() => {}
            _ => self.queue.push_back(Queued::Audio(number, more.to_vec())),
        }
        self.queue.extend(rest.chunks(PIECE).map(|piece| Queued::Audio(number, piece.to_vec())));
    }

    /// All of an utterance was said.
    pub fn end(&mut self, number: u32) {
        if let Some(utterance) = self.find(number).filter(|utterance| !utterance.is_done) {
            utterance.is_done = true;
            self.queue.push_back(Queued::End(number));
        }
    }

    /// Sends as much as may be sent.
    pub fn speak(&mut self, out: &mut Vec<Output>) -> Spoken {
        let mut spoken = Spoken::default();
        while let Some(next) = self.queue.pop_front() {
            match next {
                Queued::Audio(number, audio) if self.unheard + audio.len() as u64 > self.ahead => {
                    self.queue.push_front(Queued::Audio(number, audio));
                    break;
                }
                Queued::Audio(number, audio) => {
                    let answers = self.send(number, &audio, out);
                    spoken.answers = spoken.answers.or(answers);
                }
                Queued::End(number) => spoken.finished.extend(self.close(number, out)),
            }
        }
        spoken
    }

    /// The utterances that were heard to their end by this.
    pub fn reached(&mut self, name: &str) -> Vec<u32> {
        let mut finished = Vec::new();
        let Some(serial) = self.serial_of(name) else { return finished };
        // Playback passes marks in order: those before it were passed, too.
        while let Some(mark) = self.marks.pop_front_if(|mark| mark.serial <= serial) {
            finished.extend(self.played(&mark));
        }
        finished
    }

    /// Throws away what was not heard. Returns what was, of each utterance under way; and whether Twilio had any of it.
    pub fn interrupt(&mut self, out: &mut Vec<Output>) -> (Vec<Heard>, bool) {
        let was_under_way = self.unheard > 0;
        if was_under_way || !self.marks.is_empty() {
            out.push(Output::Clear(frames::clear(&self.stream)));
        }
        (self.stop(), was_under_way)
    }

    /// The same, when the stream is over anyway.
    pub fn stop(&mut self) -> Vec<Heard> {
        self.generation += 1;
        self.interrupted = self.newest_response;
        self.cleared += self.unheard;
        (self.unheard, self.queued) = (0, 0);
        self.queue.clear();
        self.marks.clear();
        let stillborn = self.stillborn.drain(..).map(|number| Utterance::new(number, 0));
        let mut heard: Vec<_> =
            self.utterances.drain(..).chain(stillborn).map(|utterance| utterance.heard()).collect();
        heard.sort_by_key(|heard| heard.utterance);
        heard
    }

    fn find(&mut self, number: u32) -> Option<&mut Utterance> {
        self.utterances.iter_mut().find(|utterance| utterance.number == number)
    }

    /// The utterance, if this is the first audio of its response.
    fn send(&mut self, number: u32, audio: &[u8], out: &mut Vec<Output>) -> Option<u32> {
        let bytes = audio.len() as u64;
        self.queued -= bytes;
        let utterance = self.utterances.iter_mut().find(|utterance| utterance.number == number)?;
        utterance.sent += bytes;
        let is_mark_due = utterance.sent - utterance.marked >= PIECE as u64;
        let is_first = utterance.response > self.answered;
        self.answered = self.answered.max(utterance.response);
        self.unheard += bytes;
        self.sent += bytes;
        out.push(Output::Twilio(frames::media(&self.stream, audio)));
        if is_mark_due {
            self.mark(number, out);
        }
        is_first.then_some(number)
    }

    /// The last mark of an utterance, unless it was heard already.
    fn close(&mut self, number: u32, out: &mut Vec<Output>) -> Option<u32> {
        let unheard = self.unheard;
        let utterance = self.find(number)?;
        utterance.is_sent = true;
        if utterance.sent > utterance.marked || (utterance.sent == 0 && unheard > 0) {
            self.mark(number, out);
            return None;
        }
        self.finish(number)
    }

    fn mark(&mut self, number: u32, out: &mut Vec<Output>) {
        let Some(utterance) = self.find(number) else { return };
        utterance.marked = utterance.sent;
        let played = utterance.sent;
        self.serial += 1;
        let serial = self.serial;
        let mark = Mark { serial, utterance: number, played };
        out.push(Output::Twilio(frames::mark(&self.stream, &self.name(&mark))));
        self.marks.push_back(mark);
    }

    fn name(&self, mark: &Mark) -> String {
        let Mark { serial, utterance, played } = mark;
        format!("u{utterance}:{}:g{}:m{serial}", played / BYTES_PER_MS, self.generation)
    }

    /// The mark of this name, unless it was cleared or is none of ours.
    fn serial_of(&self, name: &str) -> Option<u64> {
        let (_, serial) = name.rsplit_once(":m")?;
        let serial = serial.parse().ok()?;
        let place = self.marks.binary_search_by_key(&serial, |mark| mark.serial).ok()?;
        (self.name(&self.marks[place]) == name).then_some(serial)
    }

    fn played(&mut self, mark: &Mark) -> Option<u32> {
        let utterance = self.utterances.iter_mut().find(|utterance| utterance.number == mark.utterance)?;
        self.unheard -= mark.played - utterance.played;
        utterance.played = mark.played;
        self.finish(mark.utterance)
    }

    /// The utterance, if it was heard to its end: then it is done with.
    fn finish(&mut self, number: u32) -> Option<u32> {
        let is_heard = |one: &Utterance| one.number == number && one.is_sent && one.played == one.sent;
        let place = self.utterances.iter().position(is_heard)?;
        self.utterances.remove(place).map(|utterance| utterance.number)
    }
}

impl Utterance {
    fn new(number: u32, response: u32) -> Self {
        Self { number, response, said: 0, sent: 0, marked: 0, played: 0, is_done: false, is_sent: false }
    }

    fn heard(&self) -> Heard {
        let (heard_ms, sent_ms) = (self.played / BYTES_PER_MS, self.sent / BYTES_PER_MS);
        Heard { utterance: self.number, heard_ms, sent_ms }
    }
}

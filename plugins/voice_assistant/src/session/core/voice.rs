//! What is said to the caller: the audio of the model, numbered by utterances, waiting for the bridge; and how much of each
//! utterance was heard. Audio that was not sent yet is thrown away at once when the caller interrupts. Pure.

use std::collections::VecDeque;

use plugin_api::requests::voice::{SessionEvent, spoken};

use super::super::{
    clock::BYTES_PER_MS,
    words::{Spoken, heard},
};

/// As much audio waits for the bridge at most: 8 minutes of it.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// As much goes to the bridge at once: 500 ms.
const LARGEST_PIECE: usize = 4_000;

/// What is said.
#[derive(Debug, Default)]
pub struct Voice {
    utterances: VecDeque<Utterance>,
    queue: VecDeque<Out>,
    queued_bytes: usize,
    count: u32,
}

/// Something for the bridge.
#[derive(Debug, Clone, PartialEq)]
pub enum Out {
    /// A text frame.
    Event(SessionEvent),
    /// A binary frame.
    Audio(Vec<u8>),
}

/// An utterance whose fate is not known yet.
#[derive(Debug, Clone)]
pub struct Utterance {
    pub number: u32,
    pub response: u32,
    /// The connection that it came over.
    pub link: u32,
    pub item: String,
    /// The same in a connection that was opened later, and what stands before it there.
    pub copy: Option<(u32, String, Option<String>)>,
    words: String,
    received: u64,
    sent: u64,
    /// It waits for the bridge, or the bridge knows it.
    is_queued: bool,
    /// The bridge knows it.
    is_announced: bool,
    /// No more audio comes.
    has_ended: bool,
    /// The model said that this is all of its audio.
    has_all: bool,
    /// The answer that it belongs to is complete: this is all of it.
    is_whole: bool,
    /// The answer has ended, one way or the other.
    is_final: bool,
    /// The bridge has played all that it had by then.
    played: Option<u64>,
}

/// What was heard of an utterance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    pub text: String,
    pub heard_ms: u64,
    pub is_interrupted: bool,
}

impl Voice {
    /// More audio of an item.
    pub fn speak(&mut self, response: u32, link: u32, item: String, audio: &[u8]) -> Option<u32> {
        let begun = self.begin(response, link, item);
        let utterance = self.utterances.iter_mut().find(|known| known.number == begun.0)?;
        if utterance.has_ended {
            return None;
        }
        utterance.received += audio.len() as u64;
        let number = utterance.number;
        if !std::mem::replace(&mut utterance.is_queued, true) {
            self.queue.push_back(Out::Event(SessionEvent::Utterance { utterance: number, response }));
        }
        for piece in audio.chunks(LARGEST_PIECE) {
            self.queued_bytes += piece.len();
            self.queue.push_back(Out::Audio(spoken(number, piece)));
        }
        begun.1.then_some(number)
    }

    /// The utterance of an item, and whether it is new.
    fn begin(&mut self, response: u32, link: u32, item: String) -> (u32, bool) {
        if let Some(known) = self.utterances.iter().find(|known| known.item == item && known.link == link) {
            return (known.number, false);
        }
        self.count += 1;
        let utterance = Utterance {
            number: self.count,
            response,
            link,
            item,
            copy: None,
            words: String::new(),
            received: 0,
            sent: 0,
            is_queued: false,
            is_announced: false,
            has_ended: false,
            has_all: false,
            is_whole: false,
            is_final: false,
            played: None,
        };
        self.utterances.push_back(utterance);
        (self.count, true)
    }

    /// More words of an item. They may come before its first audio.
    pub fn words(&mut self, response: u32, link: u32, item: &str, text: &str) -> Option<u32> {
        let begun = self.begin(response, link, item.to_owned());
        if let Some(utterance) = self.utterances.iter_mut().find(|known| known.number == begun.0) {
            utterance.words.push_str(text);
        }
        begun.1.then_some(begun.0)
    }

    /// All words of an item.
    pub fn all_words(&mut self, item: &str, text: String) {
        let utterance = self.utterances.iter_mut().find(|known| known.item == item && !known.is_final);
        if let Some(utterance) = utterance.filter(|_| !text.is_empty()) {
            utterance.words = text;
        }
    }

    /// All audio of an item has come.
    pub fn end(&mut self, item: &str) {
        let open = self.utterances.iter_mut().find(|known| known.item == item && !known.has_ended);
        if let Some(utterance) = open {
            utterance.has_all = true;
        }
        self.announce_end(item);
    }

    fn announce_end(&mut self, item: &str) {
        let open = self.utterances.iter_mut().find(|known| known.item == item && !known.has_ended);
        if let Some(utterance) = open {
            utterance.has_ended = true;
            if utterance.is_queued {
                let utterance = utterance.number;
                self.queue.push_back(Out::Event(SessionEvent::UtteranceDone { utterance }));
            }
        }
    }

    /// An answer has ended. Gives those utterances that were played before this was known, or never had a sound.
    pub fn end_answer(&mut self, response: u32, is_whole: bool) -> Vec<(Utterance, Fate)> {
        let of_answer = self.utterances.iter_mut().filter(|known| known.response == response);
        let items: Vec<String> = of_answer
            .map(|utterance| {
                (utterance.is_whole, utterance.is_final) = (is_whole, true);
                utterance.item.clone()
            })
            .collect();
        items.iter().for_each(|item| self.announce_end(item));
        self.settled()
    }

    /// Those whose fate is known.
    fn settled(&mut self) -> Vec<(Utterance, Fate)> {
        let is_settled = |known: &&Utterance| known.played.is_some() || known.is_final && !known.is_queued;
        let played: Vec<u32> = self.utterances.iter().filter(is_settled).map(|known| known.number).collect();
        played.into_iter().filter_map(|number| self.played(number)).collect()
    }

    /// The caller heard it to its end. `None`: what its end is will be known later, or its fate is known.
    pub fn played(&mut self, number: u32) -> Option<(Utterance, Fate)> {
        let place = self.utterances.iter().position(|known| known.number == number)?;
        let utterance = &mut self.utterances[place];
        utterance.played.get_or_insert(utterance.sent);
        if !utterance.is_final {
            return None;
        }
        let utterance = self.utterances.remove(place)?;
        let heard_ms = utterance.played.unwrap_or(0) / BYTES_PER_MS;
        let is_all = utterance.is_whole && utterance.played == Some(utterance.received);
        let fate = utterance.fate(heard_ms, !is_all);
        Some((utterance, fate))
    }

    /// The caller heard no more than so much of it.
    pub fn cut(&mut self, number: u32, heard_ms: u64) -> Option<(Utterance, Fate)> {
        let place = self.utterances.iter().position(|known| known.number == number)?;
        let utterance = self.utterances.remove(place)?;
        let fate = utterance.fate(heard_ms, true);
        Some((utterance, fate))
    }

    /// Throws away what was not sent yet. Gives the answers that are concerned, the utterances that the bridge knows nothing
    /// of, and whether there are others.
    pub fn interrupt(&mut self) -> Interruption {
        self.queue.retain(|out| {
            matches!(out, Out::Event(event) if !matches!(
                event,
                SessionEvent::Utterance { .. } | SessionEvent::UtteranceDone { .. }
            ))
        });
        self.queued_bytes = 0;
        // Nothing more comes of them.
        self.utterances.iter_mut().for_each(|utterance| utterance.has_ended = true);
        let (known, unknown): (VecDeque<_>, VecDeque<_>) =
            self.utterances.drain(..).partition(|utterance| utterance.is_announced);
        self.utterances = known;
        let audible = self.utterances.iter().filter(|utterance| utterance.played.is_none());
        let responses: Vec<u32> = audible.chain(&unknown).map(|utterance| utterance.response).collect();
        let is_audible = self.utterances.iter().any(|utterance| utterance.played.is_none());
        let unheard = unknown.into_iter().map(|utterance| {
            let fate = utterance.fate(0, true);
            (utterance, fate)
        });
        Interruption { responses, unheard: unheard.collect(), is_audible }
    }

    /// Nothing more comes of what is being said: the connection is gone, or the call.
    pub fn cut_off(&mut self) -> Vec<(Utterance, Fate)> {
        let open = self.utterances.iter_mut().filter(|known| !known.is_final);
        let items: Vec<String> = open
            .map(|utterance| {
                (utterance.is_whole, utterance.is_final) = (utterance.has_all, true);
                utterance.item.clone()
            })
            .collect();
        items.iter().for_each(|item| self.announce_end(item));
        self.settled()
    }

    /// The utterances whose fate is open, with their words as far as they were sent.
    pub fn open(&mut self) -> impl Iterator<Item = (&mut Utterance, String)> {
        self.utterances.iter_mut().map(|utterance| {
            let text = utterance.fate(utterance.received / BYTES_PER_MS, true).text;
            (utterance, text)
        })
    }

    /// All of them, for good.
    pub fn drain(&mut self) -> Vec<(Utterance, Fate)> {
        let drained = self.utterances.drain(..).map(|utterance| {
            let fate = utterance.fate(0, true);
            (utterance, fate)
        });
        drained.collect()
    }

    /// Something is being said, or waits to be, and the caller has not heard it yet.
    pub fn is_speaking(&self) -> bool {
        !self.utterances.is_empty()
    }

    /// Whether anything of an answer was said.
    pub fn has_spoken(&self, response: u32) -> bool {
        self.utterances.iter().any(|known| known.response == response && known.received > 0)
    }

    pub fn say(&mut self, event: SessionEvent) {
        self.queue.push_back(Out::Event(event));
    }

    pub fn has_room(&self) -> bool {
        self.queued_bytes < MOST_BYTES
    }

    pub fn next_frame(&mut self) -> Option<Out> {
        let out = self.queue.pop_front()?;
        match &out {
            Out::Event(SessionEvent::Utterance { utterance, .. }) => {
                if let Some(known) = self.utterances.iter_mut().find(|known| known.number == *utterance) {
                    known.is_announced = true;
                }
            }
            Out::Audio(frame) => {
                let (number, audio) = plugin_api::requests::voice::read_spoken(frame)?;
                self.queued_bytes = self.queued_bytes.saturating_sub(audio.len());
                if let Some(known) = self.utterances.iter_mut().find(|known| known.number == number) {
                    known.sent += audio.len() as u64;
                }
            }
            Out::Event(_) => {}
        }
        Some(out)
    }
}

/// What becomes of what was being said.
#[derive(Debug, Default)]
pub struct Interruption {
    pub responses: Vec<u32>,
    pub unheard: Vec<(Utterance, Fate)>,
    pub is_audible: bool,
}

impl Utterance {
    /// The model has made audio of it, which can be cut off.
    pub fn has_audio(&self) -> bool {
        self.received > 0
    }

    /// What was heard, given how much was played: never more than was sent.
    fn fate(&self, played_ms: u64, is_interrupted: bool) -> Fate {
        let audio_ms = self.received / BYTES_PER_MS;
        let heard_ms = played_ms.min(if is_interrupted { self.sent / BYTES_PER_MS } else { audio_ms });
        let text = match is_interrupted {
            _ if self.received == 0 => String::new(),
            true => heard(&self.words, Spoken { heard_ms, audio_ms, is_whole: self.is_whole }).to_owned(),
            false => self.words.clone(),
        };
        Fate { text, heard_ms, is_interrupted }
    }
}

//! Bytes of a stream become the events in it, as the host writes them: one line of JSON each, between an id and an empty
//! line. Comments, and what is no JSON, are passed over.

use serde_json::Value;

const END: &[u8] = b"\n\n";

/// What the host tells.
#[derive(Debug, PartialEq)]
pub(super) struct Event {
    /// What comes after it is asked for by this.
    pub(super) id: String,
    pub(super) told: Told,
}

/// What an event is about.
#[derive(Debug, PartialEq)]
pub(super) enum Told {
    /// A plugin's status changed.
    Change(Value),
    /// Everything as it is.
    Picture(Value),
}

/// A stream as far as it was read.
#[derive(Default)]
pub(super) struct Events {
    unfinished: Vec<u8>,
}

impl Events {
    /// The events that are whole by these bytes.
    pub(super) fn take(&mut self, piece: &[u8]) -> Vec<Event> {
        self.unfinished.extend_from_slice(piece);
        let mut events = Vec::new();
        while let Some(end) = self.unfinished.windows(END.len()).position(|bytes| bytes == END) {
            let block: Vec<u8> = self.unfinished.drain(..end + END.len()).collect();
            events.extend(event(&String::from_utf8_lossy(&block)));
        }
        events
    }
}

fn event(block: &str) -> Option<Event> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let data = serde_json::from_str(field("data")?).ok()?;
    let told = match field("event")? {
        "transition" => Told::Change(data),
        _ => Told::Picture(data),
    };
    Some(Event { id: field("id")?.to_owned(), told })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wherever_bytes_are_cut_the_events_are_the_same() {
        let text = b"retry: 1000\n\nid: a-1\nevent: snapshot\ndata: {\"n\":1}\n\n:\n\n\
                     id: a-2\nevent: transition\ndata: {\"n\":\"\xc3\xa9\"}\n\nid: a-3\nevent: resync\ndata: {";
        let whole = Events::default().take(text);
        let picture = Event { id: "a-1".to_owned(), told: Told::Picture(json!({ "n": 1 })) };
        let change = Event { id: "a-2".to_owned(), told: Told::Change(json!({ "n": "\u{e9}" })) };
        assert_eq!(whole, [picture, change]);
        for size in 1..text.len() {
            let mut events = Events::default();
            let parts: Vec<Event> = text.chunks(size).flat_map(|piece| events.take(piece)).collect();
            assert_eq!(parts, whole, "in pieces of {size}");
        }
    }
}

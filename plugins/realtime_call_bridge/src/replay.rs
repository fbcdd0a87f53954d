//! A recording -> how far the core of today agrees with it. Pure.

use std::collections::VecDeque;

use plugin_api::{
    error::OperationError,
    requests::bridge::{Difference, Replayed},
    serde::de::DeserializeOwned,
    serde_json,
};

use crate::{
    machine::Core,
    recording::{Header, Line, VERSION, What, write},
};

/// Feeds what came to a new core, and compares what it does with what was done.
///
/// # Errors
/// `invalid`: the text is no recording.
pub fn replay(name: &str, text: &str) -> Result<Replayed, OperationError> {
    let mut lines = text.lines().zip(1..);
    let (first, number) = lines.next().ok_or_else(|| OperationError::invalid("the recording is empty"))?;
    let header: Header = read(first, number)?;
    if header.recording != VERSION {
        let found = header.recording;
        return Err(OperationError::invalid(format!(
            "the recording has version {found}; {VERSION} is read here"
        )));
    }
    let mut comparison = Comparison::new(name, &header);
    for (text, number) in lines {
        let line = match read(text, number) {
            Ok(line) => line,
            // Its host was killed while it wrote.
            Err(_) if !text.ends_with('}') => Line { at: 0, media: 0, what: What::Truncated(true) },
            Err(error) => return Err(error),
        };
        if !comparison.take(line, number)? {
            break;
        }
    }
    let Comparison { mut replayed, is_over, .. } = comparison;
    // One that breaks off was cut by the end of its host.
    replayed.truncated |= !is_over && replayed.difference.is_none();
    Ok(replayed)
}

struct Comparison {
    core: Core,
    replayed: Replayed,
    /// What the core did and the recording has not shown yet.
    expected: VecDeque<What>,
    is_over: bool,
}

impl Comparison {
    fn new(name: &str, header: &Header) -> Self {
        let replayed =
            Replayed { recording: name.to_owned(), fed: 0, agreed: 0, truncated: false, difference: None };
        Self {
            core: Core::new(&header.stream, header.limits),
            replayed,
            expected: VecDeque::new(),
            is_over: false,
        }
    }

    /// Whether to go on.
    fn take(&mut self, line: Line, number: u64) -> Result<bool, OperationError> {
        let Line { at, media, what } = line;
        if matches!(what, What::Truncated(_)) {
            self.replayed.truncated = true;
            return Ok(false);
        }
        let unreadable =
            |error: OperationError| OperationError::invalid(format!("line {number}: {}", error.message));
        let done = what.clone();
        match what.into_input().map_err(unreadable)? {
            Some(input) => {
                if let Some(replayed) = self.expected.pop_front() {
                    return Ok(self.differs(number, None, Some(&replayed)));
                }
                let did = self.core.handle(at, input);
                self.expected.extend(did.iter().filter_map(What::of_output));
                self.replayed.fed += 1;
            }
            None => {
                let replayed = self.expected.pop_front();
                if replayed.as_ref() != Some(&done) {
                    return Ok(self.differs(number, Some(&done), replayed.as_ref()));
                }
                self.replayed.agreed += 1;
                self.is_over |= matches!(done, What::Ended(_));
            }
        }
        if self.expected.is_empty() && self.core.media_ms() != media {
            let clock = |ms: u64| Some(format!("the media clock is at {ms} ms"));
            self.replayed.difference = Some(Difference {
                line: number,
                media_ms: media,
                recorded: clock(media),
                replayed: clock(self.core.media_ms()),
            });
            return Ok(false);
        }
        Ok(true)
    }

    fn differs(&mut self, line: u64, recorded: Option<&What>, replayed: Option<&What>) -> bool {
        let shown = |what: &What| write(what).trim_end().to_owned();
        let media_ms = self.core.media_ms();
        self.replayed.difference =
            Some(Difference { line, media_ms, recorded: recorded.map(shown), replayed: replayed.map(shown) });
        false
    }
}

fn read<T: DeserializeOwned>(text: &str, number: u64) -> Result<T, OperationError> {
    serde_json::from_str(text)
        .map_err(|error| OperationError::invalid(format!("line {number} is none of a recording: {error}")))
}

//! Writes lines as a whole, whatever the file behind is: it waits for a non-blocking pipe, and begins anew on a line of its
//! own after one that was cut.

use std::{
    io::{self, ErrorKind, Write},
    thread,
    time::Duration,
};

/// How long to wait for a non-blocking file that takes nothing, doubled each time.
const PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Writes to one file.
pub(super) struct Pen<W> {
    sink: W,
    /// The last line was cut in the middle.
    torn: bool,
}

impl<W: Write> Pen<W> {
    pub(super) fn new(sink: W) -> Self {
        Self { sink, torn: false }
    }

    /// Writes these lines, and waits as long as it takes.
    ///
    /// # Errors
    /// The system refuses: then a part may have been written.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.torn && !lines.is_empty() {
            self.write_whole(b"\n")?;
        }
        self.write_whole(lines)
    }

    fn write_whole(&mut self, mut rest: &[u8]) -> io::Result<()> {
        let mut pause = PAUSE;
        while !rest.is_empty() {
            match self.sink.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    self.torn = !rest.is_empty();
                    pause = PAUSE;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    thread::sleep(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Takes so many bytes at a time, or refuses.
    struct Script {
        steps: VecDeque<Result<usize, ErrorKind>>,
        written: Vec<u8>,
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = self.steps.pop_front().unwrap_or(Ok(bytes.len()))?.min(bytes.len());
            self.written.extend(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[track_caller]
    fn check(steps: impl IntoIterator<Item = Result<usize, ErrorKind>>, expected: (&str, [bool; 2])) {
        let mut pen = Pen::new(Script { steps: steps.into_iter().collect(), written: Vec::new() });
        let written = [pen.write(b"first\n").is_ok(), pen.write(b"second\n").is_ok()];
        assert_eq!((str::from_utf8(&pen.sink.written).unwrap(), written), expected);
    }

    #[test]
    fn lines_are_written_whole() {
        check([], ("first\nsecond\n", [true, true]));
        check([Ok(2), Ok(1)], ("first\nsecond\n", [true, true]));
        check([Err(ErrorKind::Interrupted), Ok(2)], ("first\nsecond\n", [true, true]));
    }

    #[test]
    fn a_file_that_does_not_block_is_waited_for() {
        let full = Err(ErrorKind::WouldBlock);
        check([full, full, Ok(3), full, Ok(1), full], ("first\nsecond\n", [true, true]));
    }

    #[test]
    fn after_a_line_that_was_cut_the_next_one_stands_alone() {
        check([Err(ErrorKind::StorageFull)], ("second\n", [false, true]));
        check([Ok(3), Err(ErrorKind::StorageFull)], ("fir\nsecond\n", [false, true]));
        check([Ok(6), Err(ErrorKind::BrokenPipe)], ("first\n", [true, false]));
        check([Ok(0)], ("second\n", [false, true]));
    }
}

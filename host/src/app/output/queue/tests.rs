//! What a queue loses, counts and tells, with a sink that stalls, fails or takes as the test says.

use std::{
    io::{self, ErrorKind},
    sync::{Arc, mpsc},
};

use super::*;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Stalls,
    Fails,
    Takes,
}

/// What the test says of the sink.
#[derive(Clone)]
struct Control(Arc<(Mutex<Mood>, Condvar)>);

impl Control {
    fn set(&self, mood: Mood) {
        *self.0.0.lock().unwrap() = mood;
        self.0.1.notify_all();
    }
}

struct Sink {
    control: Control,
    written: mpsc::Sender<String>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (mood, changed) = &*self.control.0;
        let stalls = |mood: &mut Mood| *mood == Mood::Stalls;
        if *changed.wait_while(mood.lock().unwrap(), stalls).unwrap() == Mood::Fails {
            return Err(ErrorKind::StorageFull.into());
        }
        // The test may be over.
        let _ = self.written.send(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct World {
    queue: Arc<Queue>,
    sink: Control,
    written: mpsc::Receiver<String>,
}

fn tell(lost: &Lost) -> Vec<u8> {
    format!("lost {} and {}\n", lost.full, lost.failed).into_bytes()
}

/// A queue of six bytes, and a thread that writes and ends with the process.
fn world(mood: Mood) -> World {
    let [full, failed] = ["full", "failed"].map(|name| IntCounter::new(name, name).unwrap());
    let queue = Arc::new(Queue::new(6, full, failed));
    let sink = Control(Arc::new((Mutex::new(mood), Condvar::new())));
    let (by_sink, written) = mpsc::channel();
    let mut pen = Pen::new(Sink { control: sink.clone(), written: by_sink });
    let writer = queue.clone();
    thread::spawn(move || writer.write_all(&mut pen, tell));
    World { queue, sink, written }
}

impl World {
    fn push(&self, lines: &[&str]) {
        lines.iter().for_each(|line| self.queue.push(format!("{line}\n").into_bytes()));
    }

    #[track_caller]
    fn check(&self, expected: &[&str]) {
        for line in expected {
            let written = self.written.recv_timeout(Duration::from_secs(60)).unwrap();
            assert_eq!(written.trim_end(), *line);
        }
    }
}

#[test]
fn what_finds_no_room_is_lost_counted_and_told_once_the_sink_takes_again() {
    let world = world(Mood::Stalls);
    world.push(&["a"]);
    while !world.queue.state().busy {
        thread::yield_now();
    }
    world.push(&["b", "c", "d", "e", "f"]);
    assert_eq!(world.queue.full.get(), 2);
    world.sink.set(Mood::Takes);
    world.check(&["a", "lost 2 and 0", "b", "c", "d"]);
    world.push(&["g"]);
    world.check(&["g"]);
}

#[test]
fn what_cannot_be_written_is_lost_counted_and_told_though_nobody_says_anything_any_more() {
    let world = world(Mood::Fails);
    for (number, line) in ["a", "b"].into_iter().enumerate() {
        world.push(&[line]);
        while world.queue.failed.get() < number as u64 + 1 {
            thread::yield_now();
        }
    }
    world.sink.set(Mood::Takes);
    world.check(&["lost 0 and 2"]);
    world.push(&["c"]);
    world.check(&["c"]);
    assert_eq!((world.queue.failed.get(), world.queue.full.get()), (2, 0));
}

#[test]
fn the_end_waits_for_what_is_not_written_but_not_for_ever() {
    let world = world(Mood::Stalls);
    world.push(&["a"]);
    world.queue.flush(Duration::from_millis(10));
    world.sink.set(Mood::Takes);
    world.queue.flush(Duration::from_secs(60));
    assert_eq!(world.written.try_recv().as_deref(), Ok("a\n"));
}

#[test]
fn what_was_lost_is_told_at_the_end() {
    let world = world(Mood::Fails);
    world.push(&["a"]);
    while world.queue.failed.get() == 0 {
        thread::yield_now();
    }
    world.sink.set(Mood::Takes);
    world.queue.flush(Duration::from_secs(60));
    assert_eq!(world.written.try_recv().as_deref(), Ok("lost 0 and 1\n"));
}

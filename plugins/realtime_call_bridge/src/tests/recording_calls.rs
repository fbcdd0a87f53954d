//! The files of recorded calls: whose they are, and which of them are kept.

use std::{fs, path::Path};

use plugin_api::{
    error::ErrorKind,
    serde_json::json,
    tokio::{self, runtime::Builder},
};

use super::{
    setup::{Phone, Shared, plugin, until},
    world::{CALL, LIMITS, STREAM},
};
use crate::{
    recorder::{Recorder, forget},
    recording::{Header, Line, VERSION, What},
    settings::Recording,
};

const RECORDING: Recording = Recording { bytes: 1 << 20, kept: 50 };

/// Begins a recording, of which one line is written.
fn record(folder: &Path, stream: &str, recording: Recording) -> Recorder {
    let header = Header {
        recording: VERSION,
        call: CALL.to_owned(),
        stream: stream.to_owned(),
        began_at: "2026-11-24T12:00:00Z".to_owned(),
        limits: LIMITS,
    };
    let (mut recorder, unwritten) = Recorder::new(recording, &header);
    recorder.add(&Line { at: 100, media: 0, what: What::Tick(true) });
    unwritten.write(folder);
    recorder
}

fn names(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).into_iter().flatten().map(|file| file.unwrap().file_name());
    let mut names: Vec<_> = files.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

fn lines(folder: &Path, stream: &str) -> usize {
    fs::read_to_string(folder.join(format!("{stream}.jsonl"))).unwrap_or_default().lines().count()
}

#[tokio::test]
async fn who_has_no_good_token_costs_no_recording() {
    let folder = tempfile::tempdir().unwrap();
    let settings = json!({ "record": true, "recordings_kept": 2, "require_signature": false });
    let plugin = plugin(settings, &Shared::default(), |_| async { Ok(()) });
    let plugin = plugin.data_dir(folder.path()).create().unwrap();
    let recordings = folder.path().join(crate::NAME);
    let mut phone = Phone::call(&plugin, "good").await;
    let stop = phone.twilio.stop();
    phone.send(stop).await;
    phone.listen().await;
    let text = || fs::read_to_string(recordings.join(format!("{STREAM}.jsonl"))).unwrap_or_default();
    until("the recording to be whole", || text().contains(r#","ended":{"#)).await;
    let before = text();
    for stream in [STREAM, "MZ1", "MZ2"] {
        let reason = Phone::call_on(&plugin, stream, "wrong").await.listen().await;
        assert_eq!(reason.error.map(|error| error.kind), Some(ErrorKind::Denied));
    }
    // What a good call begins comes after what those could have begun.
    let _phone = Phone::call_on(&plugin, "MZ3", "good").await;
    until("the next recording", || lines(&recordings, "MZ3") > 0).await;
    assert_eq!(names(&recordings), [format!("{STREAM}.jsonl"), "MZ3.jsonl".to_owned()]);
    assert_eq!(text(), before);
}

#[tokio::test]
async fn the_oldest_make_room_and_none_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    for stream in ["MZ1", "MZ2", "MZ3", "MZ4"] {
        drop(record(folder.path(), stream, Recording { kept: 2, ..RECORDING }));
        until("it to be written", || lines(folder.path(), stream) == 2).await;
        // Files are told apart by the time of their last change.
        let written =
            || fs::metadata(folder.path().join(format!("{stream}.jsonl"))).unwrap().modified().unwrap();
        until("the clock of files to go on", || written().elapsed().is_ok_and(|age| age.as_millis() > 20))
            .await;
    }
    assert_eq!(names(folder.path()), ["MZ3.jsonl", "MZ4.jsonl"]);
    let before = fs::read_to_string(folder.path().join("MZ3.jsonl")).unwrap();
    drop(record(folder.path(), "MZ3", Recording { kept: 2, ..RECORDING }));
    drop(record(folder.path(), "MZ5", Recording { kept: 3, ..RECORDING }));
    until("the next to be written", || lines(folder.path(), "MZ5") == 2).await;
    assert_eq!(fs::read_to_string(folder.path().join("MZ3.jsonl")).unwrap(), before);
    assert_eq!(names(folder.path()), ["MZ3.jsonl", "MZ4.jsonl", "MZ5.jsonl"]);
}

#[test]
fn more_calls_are_recorded_at_once_than_there_are_threads() {
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let streams: Vec<_> = (1..=20).map(|number| format!("MZ{number}")).collect();
    let are_written = |count| streams.iter().all(|stream| lines(folder.path(), stream) == count);
    runtime.block_on(async {
        let record = |stream: &String| record(folder.path(), stream, RECORDING);
        let mut recorders: Vec<_> = streams.iter().map(record).collect();
        until("all to be written", || are_written(2)).await;
        for recorder in &mut recorders {
            recorder.add(&Line { at: 200, media: 0, what: What::Tick(true) });
        }
        until("all to go on", || are_written(3)).await;
    });
}

#[test]
fn a_recording_that_another_call_has_removed_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    forget(&folder.path().join("MZ1.jsonl")).unwrap();
    assert!(forget(folder.path()).is_err(), "a folder is no recording");
}

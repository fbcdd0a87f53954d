//! Rows: which transitions are to be written, and what comes back of them.

use jiff::SignedDuration;
use plugin_api::{error::Failure, manifest::Kind};
use serde_json::{Value, json};

use super::*;
use crate::status::{Board, BoardConfig, Event, PluginSpec, Snapshot};

/// A board whose only plugin has gone to and fro so many times.
fn board(transitions: u64) -> Board {
    let plugin = PluginSpec { kind: Some(Kind::Integration), ..PluginSpec::new("one") };
    let board = Board::new(BoardConfig {
        boot_id: "k3v9".to_owned(),
        version: "0.1.0".to_owned(),
        plugins: vec![plugin],
        now: at(0),
    });
    for second in 1..=transitions {
        let message = || "consent is missing".to_owned();
        board.apply(
            "one",
            match second {
                1 => Event::InitStarted { generation: 1, attempt: 1 },
                even if even % 2 == 0 => Event::InitSucceeded { took: std::time::Duration::ZERO },
                _ => Event::EvidenceFailed { failure: Failure::consent_required(message()) },
            },
            at(second.cast_signed()),
        );
    }
    board
}

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

fn plugin(snapshot: &Snapshot) -> &PluginHealth {
    snapshot.plugin("one").unwrap()
}

#[track_caller]
fn check_pending(transitions: u64, written: u64, expected: &[u64]) {
    let snapshot = board(transitions).snapshot();
    assert_eq!(plugin(&snapshot).transitions, transitions);
    let numbers: Vec<_> = pending(plugin(&snapshot), written).map(|row| row.number).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn what_is_above_the_last_number_is_written() {
    check_pending(0, 0, &[]);
    check_pending(4, 0, &[1, 2, 3, 4]);
    check_pending(4, 3, &[4]);
    check_pending(4, 4, &[]);
    // The first five are forgotten: nobody can write them any more.
    check_pending(105, 3, &(6..=105).collect::<Vec<_>>());
}

#[test]
fn what_earlier_runs_saw_is_not_written_again() {
    let board = board(3);
    let earlier = board.snapshot().plugin("one").unwrap().history.to_vec();
    board.recall("one", earlier);
    let snapshot = board.snapshot();
    assert_eq!(plugin(&snapshot).history.len(), 6);
    let numbers: Vec<_> = pending(plugin(&snapshot), 1).map(|row| row.number).collect();
    assert_eq!(numbers, [2, 3]);
}

#[test]
fn only_a_full_history_makes_rows_go() {
    assert!(forget("h", plugin(&board(99).snapshot())).is_none());
    let full = forget("h", plugin(&board(101).snapshot())).unwrap();
    assert_eq!(serde_json::to_value(&full.params).unwrap(), json!(["h", "one", 2_000_000]));
}

#[test]
fn a_row_comes_back_as_it_went() {
    let snapshot = board(3).snapshot();
    let mut rows: Vec<Value> = pending(plugin(&snapshot), 0)
        .map(|row| serde_json::to_value(row.insert("h", "k3v9").params).unwrap())
        .map(|params| json!([params[4], params[5], params[6], params[7], params[8]]))
        .collect();
    rows.reverse();
    let columns = ["at_us", "from_status", "to_status", "code", "message"];
    let read = |rows: &[Value]| {
        let rows: Rows = serde_json::from_value(json!({ "columns": columns, "rows": rows })).unwrap();
        transitions(&rows).unwrap()
    };
    assert_eq!(read(&rows), *plugin(&snapshot).history);
    let unknown = json!([7, "connected", "of the future", "", ""]);
    assert_eq!(read(&[unknown]), []);
}

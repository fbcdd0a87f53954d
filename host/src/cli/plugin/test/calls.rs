//! Whether operations and streams hold out against requests that fit nothing, deadlines that have passed, and callers
//! that go away.

use std::{sync::Arc, time::Duration};

use plugin_api::{
    error::{ErrorKind, OperationError},
    manifest::{OperationManifest, OperationMode},
    pipe,
    protocol::{CallHeader, CloseReason},
};
use serde_json::json;
use switchboard::loader::Instance;
use tokio::time::timeout;

use super::{
    bench::{Bench, header},
    checklist::{Checklist, Outcome},
    creating::Usable,
    garbage::{self, Garbage},
    witness::Witness,
};

/// How the SDK is left to do its work.
const LEAVE: &str =
    "take typed requests, never `unwrap` input, and block only in `tokio::task::spawn_blocking`";

/// Adds a line for each promise.
pub(super) async fn check(bench: &Bench, usable: Option<&Usable>, list: &mut Checklist) {
    let [garbage, unknown, deadline, streams, cancelled] = match usable {
        None => std::array::from_fn(|_| no_instance()),
        Some(Usable(settings)) => match bench.create(settings.clone(), "off", &Witness::default()).await {
            Err(failure) => std::array::from_fn(|_| again(&failure.to_string())),
            Ok(instance) => [
                garbage(bench, &instance).await,
                unknown(bench, &instance).await,
                passed(bench, &instance).await,
                closed_streams(bench, &instance).await,
                cancelled(bench, &instance).await,
            ],
        },
    };
    list.add("calls.garbage", "malformed requests are `invalid`, and cause no panic", garbage);
    list.add("calls.unknown", "an unknown operation is `not_found`", unknown);
    list.add("calls.deadline", "a call whose deadline has passed ends", deadline);
    list.add("calls.streams", "a stream that was closed ends", streams);
    list.add("calls.cancelled", "when callers go away, the instance still answers", cancelled);
}

/// What cannot be tried without an instance.
pub(super) fn no_instance() -> Outcome {
    Outcome::skipped("there is no instance", "see the line `create`")
}

/// An instance could be made before, and now no more.
pub(super) fn again(failure: &str) -> Outcome {
    Outcome::failed(
        format!("an instance can be created only once: {failure}"),
        "keep nothing in statics, and release files and ports in `stop`",
    )
}

fn operations(bench: &Bench, mode: OperationMode) -> impl Iterator<Item = &OperationManifest> {
    bench.manifest().operations.iter().filter(move |operation| operation.mode == mode)
}

async fn garbage(bench: &Bench, instance: &Arc<dyn Instance>) -> Outcome {
    let mut problems = Vec::new();
    for operation in &bench.manifest().operations {
        for garbage in garbage::requests(&operation.request) {
            let problem = answer(bench, instance, operation, garbage).await;
            problems.extend(problem.map(|problem| format!("`{}`, {problem}", operation.name)));
        }
    }
    Outcome::none(problems, LEAVE)
}

/// What is wrong with the answer to garbage.
async fn answer(
    bench: &Bench,
    instance: &Arc<dyn Instance>,
    operation: &OperationManifest,
    garbage: Garbage,
) -> Option<String> {
    let Garbage { what, payload, is_invalid } = garbage;
    let header = header(&operation.name);
    let outcome = match operation.mode {
        OperationMode::Call => {
            bench.within(instance.call(&header, payload)).await.map(|answer| answer.map(drop))
        }
        OperationMode::Stream => {
            let (opener, server, _) = pipe::pair();
            opener.close(CloseReason::done("nobody wants it"));
            bench.within(instance.open(&header, payload, server)).await
        }
    };
    match outcome {
        None => Some(format!("{what}: it does not answer within {:?}", bench.limit)),
        Some(Err(OperationError { kind: ErrorKind::Panicked, message, .. })) => {
            Some(format!("{what}: {message}"))
        }
        Some(Err(OperationError { kind: ErrorKind::Invalid, .. })) => None,
        Some(Err(error)) if is_invalid => Some(format!("{what}: the error is `{error}`")),
        Some(Ok(())) if is_invalid => Some(format!("{what}: it accepts what its own schema does not allow")),
        Some(_) => None,
    }
}

async fn unknown(bench: &Bench, instance: &Arc<dyn Instance>) -> Outcome {
    let answer = bench.within(instance.call(&header("surely_no_operation"), b"{}".to_vec())).await;
    match answer {
        Some(Err(OperationError { kind: ErrorKind::NotFound, .. })) => Outcome::ok(),
        Some(Err(error)) => Outcome::failed(format!("the error is `{error}`"), LEAVE),
        Some(Ok(_)) => Outcome::failed("it is answered", LEAVE),
        None => Outcome::failed(format!("it does not answer within {:?}", bench.limit), LEAVE),
    }
}

async fn passed(bench: &Bench, instance: &Arc<dyn Instance>) -> Outcome {
    let mut late = Vec::new();
    for operation in operations(bench, OperationMode::Call) {
        let header = CallHeader { deadline_ms: Some(0), ..header(&operation.name) };
        for Garbage { payload, .. } in garbage::few(&operation.request) {
            if bench.within(instance.call(&header, payload)).await.is_none() {
                late.push(format!("`{}` goes on", operation.name));
            }
        }
    }
    Outcome::none(late, "check `call.remaining()` in loops, and `.await` between steps")
}

/// Streams that could be opened without harm: those that need to be told nothing.
async fn closed_streams(bench: &Bench, instance: &Arc<dyn Instance>) -> Outcome {
    let mut endless = Vec::new();
    let mut tried = 0;
    for operation in operations(bench, OperationMode::Stream) {
        if !jsonschema::is_valid(&operation.request, &json!({})) {
            continue;
        }
        tried += 1;
        let (opener, server, _) = pipe::pair();
        opener.close(CloseReason::done("nobody wants it"));
        match bench.within(instance.open(&header(&operation.name), b"{}".to_vec(), server)).await {
            None => endless.push(format!("`{}` goes on for {:?}", operation.name, bench.limit)),
            Some(Err(OperationError { kind: ErrorKind::Panicked, message, .. })) => {
                endless.push(format!("`{}`: {message}", operation.name));
            }
            Some(_) => {}
        }
    }
    match tried {
        0 => Outcome::Ok("none can be opened without a request".to_owned()),
        _ => Outcome::none(endless, "end when `send` or `recv` gives the reason why the stream is closed"),
    }
}

async fn cancelled(bench: &Bench, instance: &Arc<dyn Instance>) -> Outcome {
    let at_once = Duration::from_millis(1);
    for operation in operations(bench, OperationMode::Call) {
        for Garbage { payload, .. } in garbage::few(&operation.request) {
            // Whether it ended before it was dropped does not matter.
            let _ = timeout(at_once, instance.call(&header(&operation.name), payload)).await;
        }
    }
    let _ = timeout(at_once, instance.init()).await;
    let _ = timeout(at_once, instance.probe()).await;
    if bench.answers(instance).await {
        return Outcome::ok();
    }
    Outcome::failed(format!("it does not answer within {:?}", bench.limit), LEAVE)
}

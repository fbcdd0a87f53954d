//! Whether an instance comes up or says why not, can be probed, ends when it is told to, and can be made anew.

use std::sync::Arc;

use plugin_api::error::{Failure, Policy, ReasonCode};
use switchboard::loader::Instance;

use super::{
    bench::Bench,
    calls::{again, no_instance},
    checklist::{Checklist, Outcome},
    creating::Usable,
    witness::Witness,
};

/// How often a new instance is made.
const RELOADS: usize = 2;

/// The longest reason that is shown whole.
const LONGEST: usize = 1000;

/// Which entries end, so that later checks may use them.
#[derive(Clone, Copy, Default)]
pub(super) struct Lasting {
    pub(super) init: bool,
    pub(super) probe: bool,
    pub(super) stop: bool,
}

/// Adds a line for each promise.
pub(super) async fn check(bench: &Bench, usable: Option<&Usable>, list: &mut Checklist) -> Lasting {
    let mut lasting = Lasting::default();
    let [init, probe, stop, early, reload] = match usable {
        None => std::array::from_fn(|_| no_instance()),
        Some(usable) => live(bench, usable, &mut lasting).await,
    };
    list.add("init", "`init` succeeds, or fails with a message and a code", init);
    list.add("probe", "`probe` succeeds, or fails with a message and a code", probe);
    list.add("stop", "`stop` ends", stop);
    list.add("stop.early", "`stop` ends also before `init` has succeeded", early);
    list.add("reload", "it can be stopped and created again in the same process", reload);
    lasting
}

async fn live(bench: &Bench, usable: &Usable, lasting: &mut Lasting) -> [Outcome; 5] {
    let made = async || bench.create(usable.0.clone(), "off", &Witness::default()).await;
    let (first, second) = match (made().await, made().await) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(failure), _) | (_, Err(failure)) => {
            return std::array::from_fn(|_| again(&failure.to_string()));
        }
    };
    let init = entry(bench, "init", bench.within(first.init()).await, &mut lasting.init);
    let probe = if !lasting.init {
        Outcome::skipped("`init` does not end", "see the line `init`")
    } else if bench.manifest().probe_interval_ms.is_none() {
        lasting.probe = false;
        Outcome::Ok("it has none".to_owned())
    } else {
        entry(bench, "probe", bench.within(first.probe()).await, &mut lasting.probe)
    };
    let stop = stopped(bench, &first, &mut lasting.stop).await;
    let mut ends_early = false;
    let early = stopped(bench, &second, &mut ends_early).await;
    lasting.stop &= ends_early;
    drop((first, second));
    let reload = reload(bench, usable, *lasting).await;
    [init, probe, stop, early, reload]
}

/// Judges the outcome of `init` or `probe`.
fn entry(bench: &Bench, name: &str, outcome: Option<Result<(), Failure>>, ends: &mut bool) -> Outcome {
    *ends = outcome.is_some();
    match outcome {
        None => Outcome::failed(
            format!("it does not end within {:?}", bench.limit),
            "give every wait for the outside system a limit, shorter than the host's; or raise `--limit`",
        ),
        Some(Ok(())) => Outcome::ok(),
        Some(Err(failure)) => judge(name, &failure),
    }
}

/// A failure is no fault: the outside system may be away. It has to be of use to who reads it.
fn judge(name: &str, failure: &Failure) -> Outcome {
    let seen = format!("`{}`", failure.code);
    let names_setting = failure.setting.is_some();
    let shown = failure.message.chars().count();
    match (failure.code, failure.policy()) {
        (ReasonCode::Panicked, _) => Outcome::failed(failure.message.clone(), "return a `Failure` instead"),
        (_, Policy::NotConfigured | Policy::Quarantined | Policy::Dependency) | (ReasonCode::Crashed, _) => {
            Outcome::failed(format!("{seen} is reserved for the host"), "choose the code that fits")
        }
        (ReasonCode::Internal, _) => Outcome::failed(
            format!("{seen}: {}", failure.message),
            "`internal` is the plugin's own fault: choose the code that says what happened outside",
        ),
        (ReasonCode::AuthInvalid | ReasonCode::ConfigInvalid, _) if !names_setting => Outcome::failed(
            format!("{seen} does not say which setting to fix: {}", failure.message),
            "add `.setting(\"key\")`",
        ),
        (_, Policy::NeedsPerson) if failure.href.is_none() => {
            Outcome::failed(format!("{seen} has no link to follow"), "add `.href(\"…\")`")
        }
        _ if failure.message.trim().is_empty() => {
            Outcome::failed(format!("{seen} has no words"), "say what happened")
        }
        _ if failure.message.chars().any(char::is_control) || shown > LONGEST => Outcome::failed(
            format!("{seen} has a message that nobody can read: {}", failure.message),
            "a reason is one line of your own words, not what came from outside",
        ),
        _ => Outcome::Ok(format!("{seen}, {} ({name} works as it should)", failure.message)),
    }
}

async fn stopped(bench: &Bench, instance: &Arc<dyn Instance>, ends: &mut bool) -> Outcome {
    let outcome = bench.within(instance.stop()).await;
    *ends = matches!(outcome, Some(Ok(())));
    match outcome {
        Some(Ok(())) => Outcome::ok(),
        Some(Err(failure)) => Outcome::failed(failure.message, "stop what there is, and return"),
        None => Outcome::failed(
            format!("it does not end within {:?}", bench.limit),
            "give every step of `stop` a limit; what still runs is ended with the instance",
        ),
    }
}

async fn reload(bench: &Bench, usable: &Usable, lasting: Lasting) -> Outcome {
    if !lasting.stop {
        return Outcome::skipped("`stop` does not end", "see the lines `stop`");
    }
    for _ in 0..RELOADS {
        let instance = match bench.create(usable.0.clone(), "off", &Witness::default()).await {
            Ok(instance) => instance,
            Err(failure) => return again(&failure.to_string()),
        };
        if lasting.init {
            let _ = bench.within(instance.init()).await;
        }
        if !bench.answers(&instance).await {
            return again("its threads are blocked");
        }
        if !matches!(bench.within(instance.stop()).await, Some(Ok(()))) {
            return Outcome::failed("the second `stop` does not end", "keep nothing in statics");
        }
    }
    Outcome::Ok(format!("{RELOADS} times"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(failure: Failure, ok: bool) {
        assert_eq!(matches!(judge("init", &failure), Outcome::Ok(_)), ok, "{failure:?}");
    }

    #[test]
    fn a_failure_is_of_use_to_who_reads_it() {
        check(Failure::refused("nobody listens at `mail:25`"), true);
        check(Failure::auth_invalid("the password is refused").setting("password"), true);
        check(Failure::auth_invalid("the password is refused"), false);
        check(Failure::consent_required("nobody has agreed yet").href("/consent"), true);
        check(Failure::consent_required("nobody has agreed yet"), false);
        check(Failure::refused(""), false);
        check(Failure::protocol("\u{1b}[31mgarbage"), false);
        check(Failure::protocol("x".repeat(LONGEST + 1)), false);
        check(Failure::internal("oops"), false);
        check(Failure::new(ReasonCode::LoadFailed, "not mine to say"), false);
    }
}

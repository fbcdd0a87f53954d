//! What `switchboard doctor` asks of an operation that is marked `doctor`: to prove end to end that what the plugin connects to
//! works, and to name what a person has to mend where it does not.

use jiff::{Timestamp, fmt::rfc2822};

use crate::{
    error::{Failure, FixHint, OperationError},
    message,
    requests::Request,
};

/// Asks for an examination. It leaves nothing behind, and nobody outside notices it, unless `effects` says so.
#[message]
#[derive(Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Examine {
    /// Does also what others see, such as sending a mail to oneself. Without it such a check is skipped, and says what it
    /// would do.
    #[serde(default)]
    pub effects: bool,
}

impl Request for Examine {
    const OPERATION: &'static str = "doctor";
    type Response = Examination;
}

/// What was found.
#[message]
#[derive(Default, PartialEq, Eq)]
pub struct Examination {
    /// One for each thing that was looked at, in the order in which they build on each other.
    pub checks: Vec<Check>,
    /// The clock of the other side, where it tells the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Clock>,
}

/// One thing that was looked at.
#[message]
#[derive(PartialEq, Eq)]
pub struct Check {
    /// What, in snake_case.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was seen, for a person: lower case, no period, no secret.
    pub seen: String,
    /// What to do about it: the exact place in the vendor's console, or the variable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// The key of the plugin's setting to mend; the host names its variable where there is no `fix`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setting: Option<String>,
    /// It was skipped because others would see it: `effects` does it.
    #[serde(default)]
    pub has_effect: bool,
}

/// How a check ended.
#[message]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It works.
    Ok,
    /// It does not.
    Failed,
    /// It was not checked; the reason is given.
    Skipped,
}

impl Verdict {
    /// The name in JSON and on a terminal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl Check {
    /// It works, and this was seen.
    pub fn ok(name: &str, seen: impl Into<String>) -> Self {
        Self::new(name, Verdict::Ok, seen.into())
    }

    /// It does not work, and this was seen.
    pub fn failed(name: &str, seen: impl Into<String>) -> Self {
        Self::new(name, Verdict::Failed, seen.into())
    }

    /// It was not looked at, for this reason.
    pub fn skipped(name: &str, why: impl Into<String>) -> Self {
        Self::new(name, Verdict::Skipped, why.into())
    }

    /// It was not looked at, because others would see this.
    pub fn awaits_consent(name: &str, effect: impl Into<String>) -> Self {
        Self { has_effect: true, ..Self::skipped(name, effect) }
    }

    /// The outcome of a question that a probe could ask, too.
    pub fn of(name: &str, outcome: Result<String, Failure>) -> Self {
        match outcome {
            Ok(seen) => Self::ok(name, seen),
            Err(Failure { message, setting, href, advice, .. }) => {
                let link = href.map(|href| format!("follow {href}"));
                let fix = advice.map(|advice| advice.label).or(link);
                Self { fix, setting, ..Self::failed(name, message) }
            }
        }
    }

    /// The outcome of an operation.
    pub fn of_call(name: &str, outcome: Result<String, OperationError>) -> Self {
        match outcome {
            Ok(seen) => Self::ok(name, seen),
            Err(error) => {
                let FixHint { label, setting, href } = error.fix.map(|hint| *hint).unwrap_or_default();
                let fix = label.or(href.map(|href| format!("follow {href}")));
                Self { fix, setting, ..Self::failed(name, error.message) }
            }
        }
    }

    /// With what a person has to do.
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// With the key of the setting to mend.
    pub fn setting(mut self, key: &str) -> Self {
        self.setting = Some(key.to_owned());
        self
    }

    /// Whether there is room on the disk of this folder: 256 MiB at least.
    #[cfg(feature = "disk")]
    pub fn disk(name: &str, folder: &std::path::Path) -> Self {
        const MIB: u64 = 1024 * 1024;
        const LEAST: u64 = 256 * MIB;
        let place = folder.display();
        let disk = match rustix::fs::statvfs(folder) {
            Ok(disk) => disk,
            Err(error) => {
                return Self::failed(name, format!("the disk of `{place}` cannot be asked: {error}"));
            }
        };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let seen = format!("{} MiB are free for `{place}`", free / MIB);
        if free >= LEAST {
            return Self::ok(name, seen);
        }
        Self::failed(name, format!("{seen}: less than {}", LEAST / MIB))
            .fix("make room on that disk, or enlarge it")
    }

    fn new(name: &str, verdict: Verdict, seen: String) -> Self {
        Self { name: name.to_owned(), verdict, seen, fix: None, setting: None, has_effect: false }
    }
}

/// This machine's clock beside that of another.
#[message]
#[derive(PartialEq, Eq)]
pub struct Clock {
    /// The other machine.
    pub server: String,
    /// How far ours is ahead, in milliseconds; negative when it is behind. Good to about a second.
    pub ahead_ms: i64,
}

impl Clock {
    /// The clock of who just answered with this header `Date`; `None` if it is no date.
    pub fn read(server: &str, date: &str) -> Option<Self> {
        Self::at(server, date, Timestamp::now())
    }

    fn at(server: &str, date: &str, now: Timestamp) -> Option<Self> {
        let theirs = rfc2822::parse(date).ok()?.timestamp();
        // The header is cut to whole seconds: on average it is half a second late.
        let ahead_ms = now.as_millisecond() - theirs.as_millisecond() - 500;
        Some(Self { server: server.to_owned(), ahead_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_read_from_a_header() {
        let now: Timestamp = "2026-11-24T11:38:26.500Z".parse().unwrap();
        let ahead = |date| Clock::at("a", date, now).map(|clock| clock.ahead_ms);
        assert_eq!(ahead("Tue, 24 Nov 2026 11:38:26 GMT"), Some(0));
        assert_eq!(ahead("Tue, 24 Nov 2026 11:38:16 GMT"), Some(10_000));
        assert_eq!(ahead("Tue, 24 Nov 2026 12:38:26 GMT"), Some(-3_600_000));
        assert_eq!(ahead("yesterday"), None);
    }

    #[test]
    fn a_failure_names_the_setting_or_the_link() {
        let check = Check::of("login", Err(Failure::auth_invalid("refused").setting("password")));
        assert_eq!((check.verdict, check.setting.as_deref()), (Verdict::Failed, Some("password")));
        let gone =
            OperationError::not_found("the model is gone").with_fix(FixHint::label("Choose another model"));
        assert_eq!(Check::of_call("model", Err(gone)).fix.as_deref(), Some("Choose another model"));
        let check = Check::of("consent", Err(Failure::consent_required("missing").href("/start")));
        assert_eq!(check.fix.as_deref(), Some("follow /start"));
        assert_eq!(Check::of("login", Ok("let in".to_owned())), Check::ok("login", "let in"));
    }
}

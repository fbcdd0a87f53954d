//! The settings as plugins.toml gives them -> [`Config`], checked. No I/O.

use plugin_api::{prelude::*, settings::Span};

use crate::times;

/// How jobs are done.
#[plugin_api::settings]
pub struct Settings {
    /// The time zone of rules and local times that name none, such as `Europe/Berlin`.
    #[serde(default = "time_zone")]
    pub time_zone: String,
    /// How many jobs this host does at once.
    #[serde(default = "concurrent")]
    #[schemars(range(min = 1, max = 1000))]
    pub concurrent: u32,
    /// How often it looks for jobs whose moment has come, and whether what was missing is there again.
    #[serde(default = "poll")]
    pub poll: Span,
    /// How long a job stays claimed by a host that no longer renews the claim. The same on all hosts of a database.
    #[serde(default = "lease")]
    pub lease: Span,
    /// How long one attempt may take.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// How often a job is begun before it becomes a dead letter.
    #[serde(default = "attempts")]
    #[schemars(range(min = 1, max = 100))]
    pub attempts: u32,
    /// The pause before the second attempt, doubled with each further one.
    #[serde(default = "backoff")]
    pub backoff: Span,
    /// The longest pause between two attempts.
    #[serde(default = "longest_backoff")]
    pub longest_backoff: Span,
    /// How late a job is still worth doing, where it does not say so itself.
    #[serde(default = "late")]
    pub late: Span,
    /// The longest time between two checks of the event of a reminder; shorter as it comes nearer.
    #[serde(default = "event_check")]
    pub event_check: Span,
    /// How many jobs of one person may wait at once.
    #[serde(default = "jobs_per_person")]
    #[schemars(range(min = 1))]
    pub jobs_per_person: u32,
}

/// The settings, checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub zone_name: String,
    pub concurrent: usize,
    pub poll: Duration,
    pub lease: Duration,
    pub timeout: Duration,
    pub attempts: u32,
    pub backoff: Duration,
    pub longest_backoff: Duration,
    pub late_ms: i64,
    pub event_check_ms: i64,
    pub jobs_per_person: u32,
}

/// Shorter, and a busy host could not renew it in time.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

impl Config {
    /// Checks the settings.
    pub fn check(settings: Settings) -> Result<Self, Failure> {
        times::zone("time_zone", &settings.time_zone)
            .map_err(|error| Failure::config_invalid(error.message).setting("time_zone"))?;
        if settings.lease.0 < SHORTEST_LEASE {
            return Err(Failure::config_invalid(format!(
                "`lease` is {:?}: a host could not renew it in time, give it {SHORTEST_LEASE:?} or more",
                settings.lease
            ))
            .setting("lease"));
        }
        for (key, span) in
            [("poll", settings.poll), ("timeout", settings.timeout), ("event_check", settings.event_check)]
        {
            if span.0.is_zero() {
                let message = format!("`{key}` is 0: expected a positive time, such as `10s`");
                return Err(Failure::config_invalid(message).setting(key));
            }
        }
        Ok(Self {
            zone_name: settings.time_zone,
            concurrent: settings.concurrent as usize,
            poll: settings.poll.0,
            lease: settings.lease.0,
            timeout: settings.timeout.0,
            attempts: settings.attempts,
            backoff: settings.backoff.0,
            longest_backoff: settings.longest_backoff.0,
            late_ms: millis(settings.late.0),
            event_check_ms: millis(settings.event_check.0),
            jobs_per_person: settings.jobs_per_person,
        })
    }
}

/// A length of time in milliseconds.
pub fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4)
}

fn time_zone() -> String {
    "UTC".to_owned()
}

fn concurrent() -> u32 {
    32
}

fn poll() -> Span {
    Span(Duration::from_secs(1))
}

fn lease() -> Span {
    Span(Duration::from_secs(30))
}

fn timeout() -> Span {
    Span(Duration::from_secs(60))
}

fn attempts() -> u32 {
    8
}

fn backoff() -> Span {
    Span(Duration::from_secs(5))
}

fn longest_backoff() -> Span {
    Span(Duration::from_secs(600))
}

fn late() -> Span {
    Span(Duration::from_secs(24 * 3600))
}

fn event_check() -> Span {
    Span(Duration::from_secs(300))
}

fn jobs_per_person() -> u32 {
    100
}

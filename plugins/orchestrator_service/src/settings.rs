//! The settings as plugins.toml and the environment give them -> [`Config`], checked, with every default decided. No I/O.

use plugin_api::{phone::is_number, prelude::*, settings::Span, web::public_base_url};

const DEFAULT_STEPS: u32 = 20;
const DEFAULT_TOKENS: u64 = 200_000;
const DEFAULT_TIME: Duration = Duration::from_secs(5 * 60);
const DEFAULT_TOOL_TIMEOUT: Duration = Duration::from_secs(30);
const DEFAULT_MODEL_TIMEOUT: Duration = Duration::from_secs(100);
const DEFAULT_RESULT_BYTES: usize = 16 * 1024;
const DEFAULT_CONCURRENT_RUNS: u16 = 16;
const DEFAULT_LEASE: Duration = Duration::from_secs(30);
const DEFAULT_APPROVAL_TIME: Duration = Duration::from_secs(24 * 60 * 60);
const DEFAULT_NOTIFY_EVERY: Duration = Duration::from_secs(15 * 60);
const DEFAULT_TOOLS_WAIT: Duration = Duration::from_secs(2 * 60);
const DEFAULT_KEEP: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// A lease is renewed three times in its length, over a database that may be slow.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

/// How runs are worked on, and who decides in them.
#[plugin_api::settings]
pub struct Settings {
    /// The model; left out, the one of `openai`.
    pub model: Option<String>,
    /// Who the assistant is and how it behaves, in words for the model. They come before the rules that always hold.
    pub instructions: Option<String>,
    /// Most turns of the model in a run. Default 20.
    #[schemars(range(min = 1, max = 1000))]
    pub max_steps: Option<u32>,
    /// Most tokens of a run, input and output. Default 200000.
    #[schemars(range(min = 1))]
    pub max_tokens: Option<u64>,
    /// Longest work on a run; waiting for a person does not count. Default 5m.
    pub max_time: Option<Span>,
    /// Longest wait for a tool. Default 30s.
    pub tool_timeout: Option<Span>,
    /// Longest wait for one answer of the model. Default 100s.
    pub model_timeout: Option<Span>,
    /// What the model is shown of the result of a tool, in bytes; the rest is cut off, with a note. Default 16384.
    #[schemars(range(min = 256, max = 1_048_576))]
    pub tool_result_bytes: Option<usize>,
    /// Most runs that this host works on at the same time. Default 16.
    #[schemars(range(min = 1, max = 1000))]
    pub concurrent_runs: Option<u16>,
    /// How long, by the database's clock, a run stays claimed by a host that no longer renews the claim; then any host resumes
    /// it. On SQLite the next start ends the claims of a process that is gone at once. The same on all hosts. Default 30s.
    pub lease: Option<Span>,
    /// How long a run waits for a plugin that is being started or restarted before the model goes on without its tools.
    /// Default 2m.
    pub tools_wait: Option<Span>,
    /// How long a person may take to decide; then it counts as denied. An action that was allowed waits as long
    /// for a plugin that is not in service. Default 24h.
    pub approval_time: Option<Span>,
    /// Who is told that a decision is needed, with a link to make it by: an email address, through `smtp`, or a number
    /// such as `+15551234567`, by SMS through `twilio_service`. Left out, nobody is told.
    #[setting(env = "ORCHESTRATOR_APPROVER")]
    pub approver: Option<String>,
    /// How often the approver is notified at most: of the first decision at once, and of all that are needed within this
    /// time after it by one message at its end. Default 15m.
    pub notify_every: Option<Span>,
    /// The address of this host as people reach it, such as `https://switchboard.example.com`. Without it there are no
    /// links, and decisions are made by `switchboard call` or the routes.
    #[setting(env = "PUBLIC_BASE_URL")]
    pub public_base_url: Option<String>,
    /// How long a run is kept after its end. Default 2160h, which is 90 days.
    pub keep: Option<Span>,
}

/// The settings, checked and complete.
#[derive(Debug, Clone)]
pub struct Config {
    pub model: Option<String>,
    pub instructions: Option<String>,
    pub max_steps: u32,
    pub max_tokens: u64,
    pub max_time: Duration,
    pub tool_timeout: Duration,
    pub model_timeout: Duration,
    pub tool_result_bytes: usize,
    pub concurrent_runs: usize,
    pub lease: Duration,
    pub tools_wait: Duration,
    pub approval_time: Duration,
    pub approver: Option<Approver>,
    pub notify_every: Duration,
    /// Without a slash at its end.
    pub public_base_url: Option<String>,
    pub keep: Duration,
}

/// Who decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approver {
    Email(String),
    Phone(String),
}

impl Config {
    /// Checks the settings.
    pub fn check(settings: Settings) -> Result<Self, Failure> {
        let lease = positive("lease", settings.lease, DEFAULT_LEASE)?;
        if lease < SHORTEST_LEASE {
            return Err(Failure::config_invalid("`lease` is shorter than a second: expected such as `30s`")
                .setting("lease"));
        }
        Ok(Self {
            model: settings.model,
            instructions: settings.instructions,
            max_steps: settings.max_steps.unwrap_or(DEFAULT_STEPS),
            max_tokens: settings.max_tokens.unwrap_or(DEFAULT_TOKENS),
            max_time: positive("max_time", settings.max_time, DEFAULT_TIME)?,
            tool_timeout: positive("tool_timeout", settings.tool_timeout, DEFAULT_TOOL_TIMEOUT)?,
            model_timeout: positive("model_timeout", settings.model_timeout, DEFAULT_MODEL_TIMEOUT)?,
            tool_result_bytes: settings.tool_result_bytes.unwrap_or(DEFAULT_RESULT_BYTES),
            concurrent_runs: settings.concurrent_runs.unwrap_or(DEFAULT_CONCURRENT_RUNS).into(),
            lease,
            tools_wait: positive("tools_wait", settings.tools_wait, DEFAULT_TOOLS_WAIT)?,
            approval_time: positive("approval_time", settings.approval_time, DEFAULT_APPROVAL_TIME)?,
            approver: settings.approver.as_deref().map(approver).transpose()?,
            notify_every: positive("notify_every", settings.notify_every, DEFAULT_NOTIFY_EVERY)?,
            public_base_url: settings
                .public_base_url
                .as_deref()
                .map(|url| public_base_url(url, "people reach it"))
                .transpose()?,
            keep: positive("keep", settings.keep, DEFAULT_KEEP)?,
        })
    }
}

fn positive(key: &str, span: Option<Span>, default: Duration) -> Result<Duration, Failure> {
    match span {
        Some(Span(Duration::ZERO)) => {
            Err(Failure::config_invalid(format!("`{key}` is 0: expected a positive time, such as `10s`"))
                .setting(key))
        }
        Some(Span(span)) => Ok(span),
        None => Ok(default),
    }
}

fn approver(text: &str) -> Result<Approver, Failure> {
    if is_number(text) {
        return Ok(Approver::Phone(text.to_owned()));
    }
    let is_email = text.split_once('@').is_some_and(|(name, domain)| !name.is_empty() && !domain.is_empty());
    if is_email && !text.contains(char::is_whitespace) {
        return Ok(Approver::Email(text.to_owned()));
    }
    Err(Failure::config_invalid(format!(
        "`approver` is `{text}`: expected an email address, or a number such as `+15551234567`"
    ))
    .setting("approver"))
}

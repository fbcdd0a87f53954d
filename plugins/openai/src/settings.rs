//! The settings as plugins.toml and the environment give them -> [`Config`], checked, with every default decided.
//! No I/O: the file of `ca_file` is read when the first request is made. Nothing else here reads the environment.

use std::{path::PathBuf, time::Duration};

use plugin_api::{message, prelude::*, requests::openai::defaults, settings::Span, web::check_plaintext};
use reqwest::Url;

const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_REALTIME_PING: Duration = Duration::from_secs(20);
/// The most that OpenAI takes in one request.
const DEFAULT_EMBEDDING_BATCH: usize = 2048;

/// Which server, by which key, and which models.
#[plugin_api::settings]
pub struct Settings {
    /// The API key. A server that wants none takes any text.
    #[setting(env = "OPENAI_API_KEY")]
    pub api_key: Secret,
    /// The model that answers when a request names none. Default `gpt-6-luna`.
    #[setting(env = "OPENAI_MODEL")]
    pub model: Option<String>,
    /// The model that makes vectors when a request names none. Default `text-embedding-3-small`.
    #[setting(env = "OPENAI_EMBEDDING_MODEL")]
    pub embedding_model: Option<String>,
    /// Where the API is. Any compatible server serves; its address usually ends in `/v1`. Default
    /// `https://api.openai.com/v1`.
    #[setting(env = "OPENAI_BASE_URL")]
    pub base_url: Option<String>,
    /// Where the Realtime API is: `wss://…`, or `ws://…` without encryption. By default `realtime` below the base URL.
    #[setting(env = "OPENAI_REALTIME_API_URL")]
    pub realtime_url: Option<String>,
    /// Lets the key, and everything that is said, be sent unencrypted (`http:`, `ws:`) to another machine. Default false.
    #[setting(env = "OPENAI_ALLOW_PLAINTEXT")]
    pub allow_plaintext: Option<bool>,
    /// The model of a realtime session that names none. Default `gpt-realtime-2.1`.
    #[setting(env = "OPENAI_REALTIME_MODEL")]
    pub realtime_model: Option<String>,
    /// The organisation that is charged, `org-…`, for keys that belong to several.
    #[setting(env = "OPENAI_ORG_ID")]
    pub organization: Option<String>,
    /// The project that is charged, `proj_…`, for keys that belong to several.
    #[setting(env = "OPENAI_PROJECT_ID")]
    pub project: Option<String>,
    /// A PEM file with the certificates of the authorities to trust instead of the machine's own, for a server with a
    /// private certificate.
    #[setting(env = "OPENAI_CA_FILE")]
    pub ca_file: Option<String>,
    /// Longest wait for a whole answer, and for the next piece of one that is streamed. Default 120s; the host's
    /// `calls.timeout` should not be shorter.
    #[setting(env = "OPENAI_TIMEOUT")]
    pub timeout: Option<Span>,
    /// Longest wait for a connection, and for the list of models that verifies it. Default 10s.
    pub connect_timeout: Option<Span>,
    /// How often a realtime connection is pinged; after three pings without an answer it counts as broken.
    /// Default 20s.
    pub realtime_ping: Option<Span>,
    /// The field of a chat that carries the limit of tokens. By default `max_completion_tokens` for OpenAI itself and
    /// `max_tokens` for every other server.
    pub max_tokens_field: Option<MaxTokensField>,
    /// Most texts of one request for vectors; a larger call becomes several requests. Default 2048, as OpenAI takes.
    #[schemars(range(min = 1))]
    pub embedding_batch: Option<usize>,
}

/// The field of a chat that carries the limit of tokens.
#[message]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// The older one, which compatible servers know.
    MaxTokens,
    /// The newer one, which OpenAI's thinking models demand.
    MaxCompletionTokens,
}

/// A model, and whether somebody chose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    pub name: String,
    pub chosen: bool,
}

/// The model of a setting, and how an operator changes it.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    pub model: &'a str,
    pub setting: &'static str,
    pub variable: &'static str,
}

/// The settings, checked and complete.
#[derive(Debug)]
pub struct Config {
    pub api_key: Secret,
    pub model: Model,
    pub embedding_model: Model,
    pub realtime_model: String,
    pub base_url: Url,
    pub realtime_url: Url,
    pub organization: Option<String>,
    pub project: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub timeout: Duration,
    pub connect_timeout: Duration,
    pub realtime_ping: Duration,
    pub max_tokens_field: MaxTokensField,
    pub embedding_batch: usize,
}

impl Config {
    /// Checks the settings; `resolve` makes a path of the settings absolute.
    pub fn check(settings: Settings, resolve: impl Fn(&str) -> PathBuf) -> Result<Self, Failure> {
        let base_url = url("base_url", settings.base_url.as_deref(), DEFAULT_BASE_URL, ["http", "https"])?;
        let beside = beside(&base_url);
        let realtime_url = url("realtime_url", settings.realtime_url.as_deref(), &beside, ["ws", "wss"])?;
        let config = Self {
            api_key: Secret::new(header("api_key", settings.api_key.expose())?),
            model: model(settings.model, defaults::CHAT),
            embedding_model: model(settings.embedding_model, defaults::EMBEDDING),
            realtime_model: model(settings.realtime_model, defaults::REALTIME).name,
            organization: settings.organization.map(|value| header("organization", &value)).transpose()?,
            project: settings.project.map(|value| header("project", &value)).transpose()?,
            ca_file: settings.ca_file.as_deref().map(resolve),
            timeout: positive("timeout", settings.timeout, DEFAULT_TIMEOUT)?,
            connect_timeout: positive("connect_timeout", settings.connect_timeout, DEFAULT_CONNECT_TIMEOUT)?,
            realtime_ping: positive("realtime_ping", settings.realtime_ping, DEFAULT_REALTIME_PING)?,
            max_tokens_field: settings.max_tokens_field.unwrap_or_else(|| field_for(&base_url)),
            embedding_batch: settings.embedding_batch.unwrap_or(DEFAULT_EMBEDDING_BATCH).max(1),
            base_url,
            realtime_url,
        };
        let permit = Some(("OPENAI_ALLOW_PLAINTEXT", settings.allow_plaintext == Some(true)));
        for (setting, url) in [("base_url", &config.base_url), ("realtime_url", &config.realtime_url)] {
            check_plaintext(setting, (url.scheme(), url.host_str().unwrap_or_default()), permit)?;
        }
        Ok(config)
    }

    /// The model of chats that name none.
    pub fn chat_choice(&self) -> Choice<'_> {
        Choice { model: &self.model.name, setting: "model", variable: "OPENAI_MODEL" }
    }

    /// The model of vectors where none is named.
    pub fn embedding_choice(&self) -> Choice<'_> {
        let (setting, variable) = ("embedding_model", "OPENAI_EMBEDDING_MODEL");
        Choice { model: &self.embedding_model.name, setting, variable }
    }

    /// The model of realtime sessions that name none.
    pub fn realtime_choice(&self) -> Choice<'_> {
        let (setting, variable) = ("realtime_model", "OPENAI_REALTIME_MODEL");
        Choice { model: &self.realtime_model, setting, variable }
    }

    /// Whether it is OpenAI itself.
    pub fn is_openai(&self) -> bool {
        is_openai(&self.base_url)
    }

    /// The server as messages name it: `host` or `host:port`.
    pub fn server(&self) -> String {
        authority(&self.base_url)
    }

    /// The realtime server as messages name it.
    pub fn realtime_server(&self) -> String {
        authority(&self.realtime_url)
    }

    /// Whether what the one server says of the key holds for the other.
    pub fn is_one_server(&self) -> bool {
        self.server() == self.realtime_server()
    }
}

/// `host`, or `host:port` where the port is not the scheme's own.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// An address without anything behind its path, and without a slash at its end.
fn url(key: &str, given: Option<&str>, default: &str, schemes: [&str; 2]) -> Result<Url, Failure> {
    let text = given.unwrap_or(default).trim().trim_end_matches('/');
    let refuse = |why: &str| {
        let [plain, encrypted] = schemes;
        // What stands before an `@` may be a password.
        let shown = text.rsplit('@').next().unwrap_or_default();
        Failure::config_invalid(format!(
            "`{key}` is `{shown}`: {why}; expected `{encrypted}://…`, or `{plain}://…` without encryption"
        ))
        .setting(key)
    };
    let url = Url::parse(text).map_err(|_| refuse("that is no address"))?;
    match () {
        () if !schemes.contains(&url.scheme()) => Err(refuse("another scheme is needed")),
        () if !url.has_host() => Err(refuse("no host is named")),
        () if !url.username().is_empty() || url.password().is_some() => {
            Err(refuse("no name or password belongs here, the key goes into `OPENAI_API_KEY`"))
        }
        () if url.fragment().is_some() => Err(refuse("nothing may stand behind a `#`")),
        () if key == "base_url" && url.query().is_some() => Err(refuse("nothing may stand behind a `?`")),
        () => Ok(url),
    }
}

/// The Realtime API where OpenAI has it: below the base URL.
fn beside(base_url: &Url) -> String {
    let rest = base_url.as_str().trim_end_matches('/').trim_start_matches("http");
    format!("ws{rest}/realtime")
}

/// Something that goes into a header.
fn header(key: &str, value: &str) -> Result<String, Failure> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(value.to_owned());
    }
    let why = "has a space, a line break or a letter beyond ASCII in it, or nothing: copy it again";
    Err(Failure::config_invalid(format!("`{key}` {why}")).setting(key))
}

fn model(given: Option<String>, default: &str) -> Model {
    match given {
        Some(name) => Model { name: name.trim().to_owned(), chosen: true },
        None => Model { name: default.to_owned(), chosen: false },
    }
}

fn field_for(base_url: &Url) -> MaxTokensField {
    match is_openai(base_url) {
        true => MaxTokensField::MaxCompletionTokens,
        false => MaxTokensField::MaxTokens,
    }
}

fn is_openai(base_url: &Url) -> bool {
    let host = base_url.host_str().unwrap_or_default();
    host == "openai.com" || host.ends_with(".openai.com")
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

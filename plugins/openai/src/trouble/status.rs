//! An answer that is a refusal: status, headers and body -> a [`Trouble`]. Its message is ours; the server's words are kept
//! beside it, scrubbed.

use std::time::Duration;

use plugin_api::{
    requests::openai::TroubleCode,
    serde_json::{self, Value},
    web::{self, seconds_to_wait},
};
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::{Trouble, connecting::Way};

const LONGEST_CODE: usize = 64;

/// What stands in place of what may be a key.
pub const HIDDEN: &str = "[hidden]";
/// So a key begins, or it stands behind this.
const KEYS: [&str; 6] = ["sk-", "gsk_", "aiza", "key-", "bearer", "xai-"];

/// By which words servers say that a request is too long.
const TOO_LONG: [&str; 12] = [
    "context length",
    "context window",
    "context size",
    "maximum context",
    "too many tokens",
    "maximum number of tokens",
    "prompt is too long",
    "input is too long",
    "reduce the length",
    "exceed_context_size",
    // Groq with 413 and OpenAI with 429: more than a minute's share, so that waiting does not help
    // (HunorLaczko/ha-groq-cloud-api#27).
    TOO_LARGE,
    // llama.cpp, with a status of 500.
    "too large to process",
];
/// By which words servers say that no tools are called here, and what to do about it.
const NO_TOOLS: [(&str, &str); 13] = [
    ("does not support tools", OTHER_MODEL),
    // OpenRouter (pydantic/pydantic-ai#2896).
    ("support tool use", OTHER_MODEL),
    ("tool calling is not supported", OTHER_MODEL),
    ("tool use is not supported", OTHER_MODEL),
    ("tool call is not supported", OTHER_MODEL),
    ("tools is not supported", OTHER_MODEL),
    ("tools are not supported", OTHER_MODEL),
    ("function calling is not enabled", OTHER_MODEL),
    ("functions are not supported", OTHER_MODEL),
    (
        "enable-auto-tool-choice",
        "start vLLM with `--enable-auto-tool-choice` and the `--tool-call-parser` of the model",
    ),
    ("tools param requires --jinja", "start llama-server with `--jinja`"),
    ("does not support function calling", OTHER_MODEL),
    (
        "use /v1/responses",
        "this model calls tools by another API alone: choose another one in `OPENAI_MODEL`",
    ),
];

/// By which words servers ask for fewer texts at once: text-embeddings-inference and DashScope; Gemini.
const BATCH_SIZE: [&str; 2] = ["batch size", "requests can be in one batch"];
/// A model that writes such calls again and again is too small for tools.
pub const BETTER_MODEL: &str = "Choose a model that is better at calling tools in `OPENAI_MODEL`";
const TOO_LARGE: &str = "request too large";
const OTHER_MODEL: &str = "choose a model that calls tools in `OPENAI_MODEL`";
/// By which words servers say that they do not know the key, with a status that says nothing of it: Google's is 400.
const NO_KEY: [&str; 4] = ["api key not valid", "api_key_invalid", "invalid api key", "incorrect api key"];

/// What the body of a refusal says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// Its `code`, else its `type`, else its `status`.
    pub code: Option<String>,
    /// Its words, without what may be a key. [`Trouble::without`] bounds them.
    pub words: Option<String>,
    /// Its words ask for a shorter request.
    pub is_too_long: bool,
    /// Its words say that no tools are called here: what to do about it.
    pub no_tools: Option<&'static str>,
    /// Its words ask for fewer texts at once.
    pub is_batch: bool,
    /// Its words miss a right of the key, or the account's money.
    pub lacks: Option<Lack>,
    /// The parameter that it names, where that is one that callers cannot choose.
    pub param: Option<Param>,
    /// How long to wait, where the body says so and no header: Google's `retryDelay`, such as `12.5s`.
    pub retry_after: Option<Duration>,
}

/// A right or means that servers tell of by words alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// The key is known and has not the right to this.
    Scope,
    /// The account has no credit.
    Credit,
    /// The key is not known.
    Key,
}

/// A parameter that the settings or the operation decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Param {
    /// The field of the limit of tokens.
    MaxTokens,
    /// Whether the answer is streamed.
    Stream,
}

impl Refusal {
    /// Reads what OpenAI, vLLM, Ollama and others write; what fits none of them says nothing but its words.
    pub fn read(body: &[u8]) -> Self {
        match serde_json::from_slice(body) {
            Ok(body) => Self::of(&body),
            Err(_) => {
                let text = String::from_utf8_lossy(body);
                let is_page = text.trim_start().starts_with('<');
                Self::said(if is_page { title(&text) } else { &text })
            }
        }
    }

    /// The same out of JSON.
    pub fn of(body: &Value) -> Self {
        // Gemini puts it into a list.
        let body = body.get(0).unwrap_or(body);
        let error = body.get("error").filter(|error| !error.is_null()).unwrap_or(body);
        let word = |key: &str| error.get(key).and_then(Value::as_str).filter(|text| is_code(text));
        let words = ["message", "detail", "msg"].iter().find_map(|key| said(error.get(key)?));
        // The words of the server behind a gateway: OpenRouter's own are `Provider returned error`.
        let behind = error.pointer("/metadata/raw").and_then(said).map(|raw| format!(": {raw}"));
        let words = words.map(|words| words + &behind.unwrap_or_default());
        let words = words.or_else(|| sentence(body));
        let code = word("code").or_else(|| word("type")).or_else(|| word("status")).map(str::to_owned);
        let refusal = Self::said(&words.unwrap_or_default());
        let is_too_long = refusal.is_too_long
            || code.as_deref().is_some_and(|code| TOO_LONG.iter().any(|sign| code.contains(sign)));
        // OpenRouter answers 403 to words that it filters.
        let is_filtered = error.pointer("/metadata/flagged_input").is_some();
        let param = match error.get("param").and_then(Value::as_str) {
            Some("max_tokens" | "max_completion_tokens") => Some(Param::MaxTokens),
            Some("stream") => Some(Param::Stream),
            _ => None,
        };
        let code = if is_filtered { Some(FILTER[0].to_owned()) } else { code };
        let details = error.get("details").and_then(Value::as_array).into_iter().flatten();
        let mut waits = details.filter_map(|detail| detail.get("retryDelay")?.as_str()?.strip_suffix('s'));
        let retry_after = waits.next().and_then(|seconds| seconds_to_wait(seconds.parse().ok()?));
        Self { code, is_too_long, param, retry_after, ..refusal }
    }

    fn said(words: &str) -> Self {
        let lower = words.to_ascii_lowercase();
        let says = |signs: &[&str]| signs.iter().any(|sign| lower.contains(sign));
        Self {
            code: None,
            words: Some(scrubbed(words)).filter(|words| !words.is_empty()),
            is_too_long: says(&TOO_LONG),
            no_tools: NO_TOOLS.iter().find(|(sign, _)| lower.contains(sign)).map(|(_, fix)| *fix),
            is_batch: says(&BATCH_SIZE) && !lower.contains("physical batch size"),
            lacks: match () {
                () if says(&["missing scope", "insufficient permissions"]) => Some(Lack::Scope),
                () if says(&["credit balance is too low", "insufficient balance"]) => Some(Lack::Credit),
                () if says(&NO_KEY) => Some(Lack::Key),
                () => None,
            },
            ..Self::default()
        }
    }

    /// Whether a request must be shorter. With 429 servers speak of tokens, too, where waiting helps.
    fn is_too_long_for(&self, status: u16) -> bool {
        match status {
            413 => true,
            429 => self.words.as_ref().is_some_and(|words| words.to_ascii_lowercase().contains(TOO_LARGE)),
            _ => self.is_too_long || self.says(CONTEXT),
        }
    }

    fn says(&self, codes: &[&str]) -> bool {
        self.code.as_deref().is_some_and(|code| codes.contains(&code))
    }
}

/// The title of a proxy's page, such as `502 Bad Gateway`.
fn title(page: &str) -> &str {
    let inside = |page: &'_ str| {
        let begin = page.find("<title>")? + "<title>".len();
        Some((begin, begin + page[begin..].find("</title>")?))
    };
    inside(page).map_or("", |(begin, end)| &page[begin..end])
}

/// The first words in a body of no known form.
fn sentence(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| text.contains(' ')),
        Value::Array(list) => list.iter().find_map(sentence),
        Value::Object(map) => {
            let named = map.iter().filter(|(key, _)| !matches!(key.as_str(), "code" | "type" | "status"));
            named.map(|(_, value)| value).find_map(sentence)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Words, or JSON that holds them.
fn said(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// One line of words, without what may be a key: whole, cut, or starred out.
fn scrubbed(text: &str) -> String {
    let may_be_key = |word: &str| {
        let lower = word.to_ascii_lowercase();
        // Also in the middle of JSON that another server wrote.
        let mut parts =
            lower.split(|letter: char| !(letter.is_ascii_alphanumeric() || "-_".contains(letter)));
        lower.contains("***") || parts.any(|part| KEYS.iter().any(|key| part.starts_with(key)))
    };
    let words = text.split(|letter: char| letter.is_whitespace() || letter.is_control());
    let words = words.filter(|word| !word.is_empty());
    let words: Vec<&str> = words.map(|word| if may_be_key(word) { HIDDEN } else { word }).collect();
    words.join(" ")
}

/// One word of a program, and never a key: those have capitals or are longer.
fn is_code(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.');
    (1..=LONGEST_CODE).contains(&text.len()) && text.bytes().all(allowed)
}

/// The trouble behind an answer with this status.
pub fn refused(way: Way<'_>, status: u16, headers: &HeaderMap, body: &[u8]) -> Trouble {
    let refusal = Refusal::read(body);
    let trouble = judge(way, status, &refusal);
    let waits = matches!(trouble.code, TroubleCode::RateLimited | TroubleCode::Unavailable);
    Trouble {
        retry_after: retry_after(headers).or(refusal.retry_after).filter(|_| waits),
        http_status: Some(status),
        vendor_code: refusal.code,
        // What a server says of a key it may say with the key.
        words: refusal.words.filter(|_| trouble.code != TroubleCode::AuthInvalid),
        ..trouble
    }
}

/// The trouble that an answer tells of after it had begun.
pub fn broken_off(server: &str, body: &Value) -> Trouble {
    let refusal = Refusal::of(body);
    let way = Way::http(server);
    let trouble = match () {
        () if refusal.says(&["rate_limit_exceeded", "insufficient_quota"]) => judge(way, 429, &refusal),
        () if refusal.says(MODEL) => judge(way, 404, &refusal),
        () if refusal.says(ACCOUNT) => judge(way, 403, &refusal),
        () if refusal.is_too_long
            || refusal.no_tools.is_some()
            || [CONTEXT, FILTER, TOOL_USE].iter().any(|codes| refusal.says(codes)) =>
        {
            judge(way, 400, &refusal)
        }
        () => {
            Trouble::new(TroubleCode::Unavailable, format!("`{server}` breaks off the answer with an error"))
        }
    };
    Trouble { vendor_code: refusal.code, words: refusal.words, ..trouble }
}

/// OpenAI says so with 404 or 403, Groq, Mistral and others with 400.
const MODEL: &[&str] =
    &["model_not_found", "model_decommissioned", "invalid_model", "model_not_available", "unknown_model"];
const SCOPE: &[&str] = &["missing_scope", "insufficient_permissions"];
/// Refused whatever the request: by country or address.
const PLACE: &[&str] = &["unsupported_country_region_territory", "ip_not_authorized"];
const BATCH: &[&str] = &["array_above_max_length"];
const UNSUPPORTED: &[&str] = &["unsupported_parameter", "unsupported_value"];
/// The refusal of us that an event of a session tells of, or the end of one.
pub fn refused_in_session(way: Way<'_>, refusal: &Refusal) -> Option<Trouble> {
    let status = match () {
        () if refusal.says(QUOTA) || refusal.lacks == Some(Lack::Credit) => 429,
        () if refusal.says(ACCOUNT) || refusal.says(SCOPE) || refusal.lacks == Some(Lack::Scope) => 403,
        () => return None,
    };
    let trouble = judge(way, status, refusal);
    let message = trouble.message.replace(&format!(" (HTTP {status})"), "");
    Some(Trouble { message, vendor_code: refusal.code.clone(), ..trouble })
}

const CONTEXT: &[&str] = &["context_length_exceeded", "string_above_max_length"];
const FILTER: &[&str] = &["content_filter", "content_policy_violation"];
const TOOL_USE: &[&str] = &["tool_use_failed"];
const QUOTA: &[&str] = &["insufficient_quota", "billing_hard_limit_reached", "quota_exceeded"];
const ACCOUNT: &[&str] = &["account_deactivated", "billing_not_active", "organization_deactivated"];

fn judge(way: Way<'_>, status: u16, refusal: &Refusal) -> Trouble {
    let Way { server, setting, variable } = way;
    let trouble = |code, words: &str| Trouble::new(code, format!("`{server}` {words} (HTTP {status})"));
    match status {
        400..=499 if refusal.says(QUOTA) || refusal.lacks == Some(Lack::Credit) => quota(server, status),
        400..=499 if refusal.says(ACCOUNT) => trouble(
            TroubleCode::Account,
            "says that the account is closed or not paid for: see its billing page",
        ),
        400..=599 if refusal.no_tools.is_some() => {
            let fix = refusal.no_tools.unwrap_or_default();
            let words = format!("`{server}` calls no tools (HTTP {status}): {fix}");
            let trouble = Trouble::new(TroubleCode::ToolsUnsupported, words).advise(capital(fix));
            Trouble { setting: (fix == OTHER_MODEL).then_some("model"), ..trouble }
        }
        400 | 422 if refusal.says(TOOL_USE) => {
            trouble(TroubleCode::ToolUseFailed, "says that the model wrote an invalid tool call")
                .advise(BETTER_MODEL)
        }
        400..=404 if refusal.says(MODEL) => no_model(server, status),
        401 | 403 if refusal.says(SCOPE) || refusal.lacks == Some(Lack::Scope) => Trouble {
            is_ours: true,
            ..trouble(
                TroubleCode::Forbidden,
                "knows the key and does not permit it this: give it the right to it there (OpenAI: Settings > API keys, \
                 Model capabilities: Request)",
            )
        },
        400 | 413 | 422 if refusal.says(BATCH) || refusal.is_batch => trouble(
            TroubleCode::ConfigInvalid,
            "takes fewer texts in one request: set `embedding_batch` to as many as it takes",
        )
        .setting("embedding_batch"),
        400 | 403 if refusal.lacks == Some(Lack::Key) => no_key(server, status),
        400 | 413 | 422 | 429 | 500 if refusal.is_too_long_for(status) => trouble(
            TroubleCode::ContextTooLong,
            "says that the request is too long for the model: shorten it",
        ),
        400 | 403 | 422 if refusal.says(FILTER) => {
            trouble(TroubleCode::ContentFilter, "filters the words of the request")
        }
        401 => no_key(server, status),
        402 => quota(server, status),
        403 if refusal.says(PLACE) => Trouble {
            is_ours: true,
            ..trouble(TroubleCode::Forbidden, "serves neither this country nor this address")
                .advise("Run this host where the vendor serves it, permit its address there, or set `OPENAI_BASE_URL`")
        },
        403 => trouble(
            TroubleCode::Forbidden,
            "does not permit this: see what the key, the project and the country may use",
        ),
        // llama.cpp's word for vectors that it was not started for.
        404 | 501 => no_model(server, status),
        400 if refusal.says(UNSUPPORTED) => unsupported(server, status, refusal.param),
        429 => trouble(TroubleCode::RateLimited, "asks to slow down: too many requests or tokens in a time"),
        408 | 409 | 500..=599 => trouble(TroubleCode::Unavailable, "cannot serve at the moment"),
        400..=499 => trouble(TroubleCode::InvalidRequest, "refuses the request"),
        300..=399 => trouble(
            TroubleCode::ConfigInvalid,
            &format!("leads elsewhere, where the key is not sent: give the final address in `{variable}`"),
        )
        .setting(setting),
        _ => Trouble::protocol(server, &format!("with HTTP {status}, which is not a valid answer")),
    }
}

/// The same words as a sentence of its own.
fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

fn no_key(server: &str, status: u16) -> Trouble {
    let words = "does not know the key: check `OPENAI_API_KEY`";
    Trouble::new(TroubleCode::AuthInvalid, format!("`{server}` {words} (HTTP {status})")).setting("api_key")
}

fn no_model(server: &str, status: u16) -> Trouble {
    let words = "has no such model, or this key may not use it";
    Trouble::new(TroubleCode::ModelNotFound, format!("`{server}` {words} (HTTP {status})"))
}

/// A parameter that callers cannot leave out is the fault of a setting, or of the account.
fn unsupported(server: &str, status: u16, param: Option<Param>) -> Trouble {
    let trouble = |code, words: &str| Trouble::new(code, format!("`{server}` {words} (HTTP {status})"));
    match param {
        Some(Param::MaxTokens) => trouble(
            TroubleCode::InvalidRequest,
            "wants the limit of tokens in another field for this model: change `max_tokens_field`",
        )
        .setting("max_tokens_field"),
        Some(Param::Stream) => trouble(
            TroubleCode::Forbidden,
            "does not stream this model's answers to this organisation: verify it there (OpenAI: Settings > \
             Organization > General)",
        )
        .advise("Verify the organisation at the vendor (OpenAI: Settings > Organization > General)"),
        None => trouble(TroubleCode::InvalidRequest, "refuses the request"),
    }
}

fn quota(server: &str, status: u16) -> Trouble {
    let words = "the account's credit or its limit is used up: see its billing page";
    Trouble::new(TroubleCode::Quota, format!("`{server}` says that {words} (HTTP {status})"))
}

/// How long to wait: `retry-after-ms`, or `Retry-After`.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let millis = text("retry-after-ms").and_then(|millis| millis.trim().parse::<f64>().ok());
    let wait = millis.and_then(|millis| seconds_to_wait(millis / 1000.0));
    wait.or_else(|| web::retry_after(text(RETRY_AFTER.as_str())?))
}

//! Finds the running host by its folder for data, or by `--url` if it runs elsewhere, and talks to it. A host that is
//! stopped or hangs is waited for no longer than `--timeout`.

use std::{
    error::Error,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use plugin_api::settings::Span;
use reqwest::{
    Client, ClientBuilder, RequestBuilder, Response, StatusCode, Url,
    header::{ACCEPT, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use switchboard::{
    app::RunFile,
    config::{Environment, HostConfig},
    http::NO_TOKEN,
};
use tokio::time::{sleep, timeout};

use super::{Exit, Failed, Source, load};

/// The media type of server-sent events.
const EVENTS: &str = "text/event-stream";

/// The event after which they go on.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How often a host that takes its time is asked whether it is alive.
const BEAT: Duration = Duration::from_secs(1);

/// Where the running host is, and how long it may be silent.
#[derive(Debug, Clone, clap::Args)]
pub struct Reach {
    /// How long the running host may be silent before the command ends with exit code 3.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = patience)]
    timeout: Span,
    /// The address of a host that runs elsewhere, such as `https://switchboard.example.com`; without `--config`, also from
    /// `SWITCHBOARD_URL`. No configuration is read then, and the operator's token comes from `SWITCHBOARD_TOKEN`.
    #[arg(long, value_name = "URL", value_parser = address)]
    url: Option<Url>,
}

fn patience(text: &str) -> Result<Span, String> {
    let span = Span::parse(text)?;
    if span.0.is_zero() { Err("it must be more than zero".to_owned()) } else { Ok(span) }
}

fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or("expected a URL such as `https://switchboard.example.com`")?;
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(
            "it must have no user, password, `?` or `#`: the token comes from `SWITCHBOARD_TOKEN`".to_owned()
        );
    }
    Ok(url)
}

/// A way to the running host.
pub struct HostClient {
    http: Client,
    base: String,
    /// How the host is named in messages.
    name: String,
    /// Its address is given; otherwise it runs with this configuration, on this machine.
    is_elsewhere: bool,
    token: Option<String>,
    patience: Duration,
}

/// Why there is no answer, and what to do about it.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(
        "no host runs in `{}`\n  hint: start one with `switchboard run`; for one that runs elsewhere, point `--config` at \
         its plugins.toml, or give its address by `--url`", folder.display()
    )]
    NoHost { folder: PathBuf },
    #[error(
        "`{}` is closed to this user, so that nobody can tell whether a host runs there: {reason}\n  hint: run this as the \
         user of the host, or give the host's address by `--url`", folder.display()
    )]
    Closed { folder: PathBuf, reason: String },
    #[error("no HTTP client can be made: {error}\n  hint: report it: your configuration is not the cause")]
    NoClient { error: String },
    #[error(
        "{host} does not answer: {error}\n  hint: it is starting, stopping, or was killed: see its log, or start it with \
         `switchboard run`"
    )]
    Gone { host: String, error: String },
    #[error("{host} cannot be reached: {error}\n  hint: check the address, and that the host runs there")]
    Away { host: String, error: String },
    #[error(
        "{host} did not answer within {patience:?}\n  hint: it may be stopped or overloaded: look at the process, or give it \
         more time by `--timeout`"
    )]
    Silent { host: String, patience: Duration },
    #[error(
        "{base} answered {status} without JSON\n  hint: another program answers there, or a proxy whose host is down: check \
         the address, and that the host runs"
    )]
    NoJson { base: String, status: u16 },
    #[error(
        "the host answered `host.{what}` with something unknown to this command: {error}\n  hint: use the `switchboard` that the \
         host was started from"
    )]
    Unknown { what: String, error: String },
}

impl From<Trouble> for Failed {
    fn from(trouble: Trouble) -> Self {
        let exit = match trouble {
            Trouble::NoClient { .. } | Trouble::Unknown { .. } => Exit::Failed,
            // Exit codes 0 to 2 of `status` tell how the host is.
            _ => Exit::Unreachable,
        };
        Self::new(exit, trouble)
    }
}

/// What came back, whatever its status.
struct Answer {
    status: StatusCode,
    tag: Option<String>,
    /// Null if there is none.
    body: Value,
}

impl HostClient {
    /// The host that runs with this configuration, or at the address that is given.
    pub fn find(source: &Source, reach: Reach) -> Result<Self, Failed> {
        let patience = reach.timeout.0;
        let environment = Environment::of_process();
        let variable = environment.get("SWITCHBOARD_URL").filter(|_| !source.is_given && reach.url.is_none());
        let by_variable = variable.map(address).transpose();
        let by_variable = by_variable
            .map_err(|problem| Failed::new(Exit::Usage, format!("`SWITCHBOARD_URL`: {problem}")))?;
        let Some(url) = reach.url.or(by_variable) else {
            let HostConfig { data_dir, token, .. } = load(&source.path)?.host;
            let run = match RunFile::read(&data_dir) {
                Ok(run) => run.ok_or(Trouble::NoHost { folder: data_dir })?,
                Err(error) => {
                    return Err(Trouble::Closed { folder: data_dir, reason: error.to_string() }.into());
                }
            };
            let base = format!("http://{}", reachable(run.address));
            let name = format!("the host at {base} (process {})", run.pid);
            let token = token.map(|token| token.expose().to_owned());
            let http = client(Client::builder().no_proxy())?;
            return Ok(Self { http, base, name, is_elsewhere: false, token, patience });
        };
        let base = url.as_str().trim_end_matches('/').to_owned();
        let name = format!("the host at {base}");
        let token = environment.get("SWITCHBOARD_TOKEN").map(|token| token.trim().to_owned());
        let http = client(Client::builder())?;
        Ok(Self { http, base, name, is_elsewhere: true, token, patience })
    }

    /// Reads a route of health.
    pub async fn get(&self, path: &str) -> Result<Value, Failed> {
        self.read(self.http.get(self.url(path))).await.map(|answer| answer.body)
    }

    /// Reads a route of health unless it is still what it was under this entity tag; gives the new tag with the answer.
    pub async fn get_if_changed(
        &self,
        path: &str,
        known: Option<&str>,
    ) -> Result<Option<(Option<String>, Value)>, Failed> {
        let request = self.http.get(self.url(path));
        let request = known.into_iter().fold(request, |request, tag| request.header(IF_NONE_MATCH, tag));
        let Answer { status, tag, body } = self.read(request).await?;
        Ok((status != StatusCode::NOT_MODIFIED).then_some((tag, body)))
    }

    /// Listens to a route that tells events, those after `last` if there was one; `None` if there is none, or it takes
    /// nobody any more.
    pub async fn listen(&self, path: &str, last: Option<&str>) -> Option<Response> {
        let request = self.http.get(self.url(path)).header(ACCEPT, EVENTS);
        let request = last.into_iter().fold(request, |request, last| request.header(LAST_EVENT_ID, last));
        let answer = timeout(self.patience, self.with_token(request).send()).await.ok()?.ok()?;
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        (answer.status().is_success() && kind.starts_with(EVENTS)).then_some(answer)
    }

    /// Asks an operation of the host itself, and waits as long as the host is alive.
    ///
    /// # Errors
    /// What the host refused it by.
    pub async fn ask<T: DeserializeOwned>(&self, operation: &str, request: &Value) -> Result<T, Failed> {
        let (status, answer) = self.post(&format!("/api/operations/host/{operation}"), request, &[]).await?;
        if status >= 400 {
            return Err(Failed::new(Exit::Failed, problem_text(&answer)));
        }
        serde_json::from_value(answer)
            .map_err(|error| Trouble::Unknown { what: operation.to_owned(), error: error.to_string() }.into())
    }

    /// Posts JSON with the headers that have a value, and waits as long as the host is alive: how long an operation may
    /// take is its own limit. Gives the HTTP status with the answer.
    pub async fn post(
        &self,
        path: &str,
        body: &Value,
        headers: &[(&str, Option<String>)],
    ) -> Result<(u16, Value), Failed> {
        let given = headers.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let request = self.http.post(self.url(path)).json(body);
        let request = given.fold(request, |request, (name, value)| request.header(*name, value));
        let answer = tokio::select! {
            answer = self.exchange(request) => answer?,
            silent = self.silence() => return Err(silent),
        };
        Ok((answer.status.as_u16(), answer.body))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn with_token(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// For what the host answers from memory: at once, or it is in trouble.
    async fn read(&self, request: RequestBuilder) -> Result<Answer, Failed> {
        let answer = timeout(self.patience, self.exchange(request)).await.map_err(|_| self.silent())??;
        if answer.status.is_client_error() || answer.status.is_server_error() {
            // Exit codes 0 to 2 tell how the host is, which is unknown here.
            return Err(Failed::new(Exit::Unreachable, problem_text(&answer.body)));
        }
        Ok(answer)
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<Answer, Failed> {
        let gone = |error: reqwest::Error| {
            let (host, error) = (self.name.clone(), reason(&error));
            if self.is_elsewhere { Trouble::Away { host, error } } else { Trouble::Gone { host, error } }
        };
        let answer = self.with_token(request).send().await.map_err(gone)?;
        let status = answer.status();
        let tag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        if status == StatusCode::NOT_MODIFIED {
            return Ok(Answer { status, tag, body: Value::Null });
        }
        let no_json = |_| Trouble::NoJson { base: self.base.clone(), status: status.as_u16() };
        let body = answer.json().await.map_err(no_json)?;
        Ok(Answer { status, tag, body })
    }

    /// Ends once the host has given no sign of life for too long. One that no longer listens is about to stop, and ends
    /// the connection of the request by itself.
    async fn silence(&self) -> Failed {
        while timeout(self.patience, self.http.get(self.url("/livez")).send()).await.is_ok() {
            sleep(BEAT).await;
        }
        self.silent()
    }

    fn silent(&self) -> Failed {
        Trouble::Silent { host: self.name.clone(), patience: self.patience }.into()
    }
}

/// reqwest makes no client without a provider, though loopback is not encrypted; an error says there is one.
fn client(builder: ClientBuilder) -> Result<Client, Trouble> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    builder.build().map_err(|error| Trouble::NoClient { error: error.to_string() })
}

/// The innermost error: those around it only say that a request failed.
fn reason(error: &reqwest::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// A host that listens on every address is found on this machine's own.
fn reachable(listens: SocketAddr) -> SocketAddr {
    let ip = match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listens.port())
}

/// A problem as a person reads it: what, why, and what to do.
pub(super) fn problem_text(problem: &Value) -> String {
    let text = |key: &str| problem.get(key).and_then(Value::as_str);
    let what = text("detail").or(text("title")).unwrap_or("the host refused it");
    let mut lines = vec![what.to_owned()];
    for cause in problem.get("root_causes").and_then(Value::as_array).into_iter().flatten() {
        let part = |key: &str| cause.get(key).and_then(Value::as_str).unwrap_or_default();
        let why = if part("message") == what { String::new() } else { format!(": {}", part("message")) };
        lines.push(format!("  caused by: {} is {}{why}", part("name"), part("status")));
    }
    lines.extend(problem.get("details").map(|details| format!("  details: {details}")));
    let hint = match problem.get("status").and_then(Value::as_u64) {
        // A caller without a token is told where it is, not in which header; unless the host has none itself.
        Some(401) if what != NO_TOKEN => Some(
            "set `SWITCHBOARD_TOKEN`, or, for a host on this machine, point `--config` at its configuration",
        ),
        _ => text("hint"),
    };
    lines.extend(hint.map(|hint| format!("  hint: {hint}")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn each_trouble_says_what_mends_it() {
        let base = "http://127.0.0.1:8080".to_owned();
        let host = format!("the host at {base} (process 4711)");
        let all = [
            Trouble::NoHost { folder: "/srv/data".into() },
            Trouble::NoClient { error: "no certificates".to_owned() },
            Trouble::Closed { folder: "/srv/data".into(), reason: "permission denied".to_owned() },
            Trouble::Gone { host: host.clone(), error: "Connection refused (os error 111)".to_owned() },
            Trouble::Away {
                host: "the host at https://x.example".to_owned(),
                error: "no such name".to_owned(),
            },
            Trouble::Silent { host, patience: Duration::from_secs(10) },
            Trouble::NoJson { base, status: 502 },
            Trouble::Unknown { what: "reload".to_owned(), error: "missing field `added`".to_owned() },
        ];
        let told = all.map(Failed::from).map(|failed| format!("{:?} {failed}\n", failed.code));
        expect![[r#"
            Unreachable error: no host runs in `/srv/data`
              hint: start one with `switchboard run`; for one that runs elsewhere, point `--config` at its plugins.toml, or give its address by `--url`
            Failed error: no HTTP client can be made: no certificates
              hint: report it: your configuration is not the cause
            Unreachable error: `/srv/data` is closed to this user, so that nobody can tell whether a host runs there: permission denied
              hint: run this as the user of the host, or give the host's address by `--url`
            Unreachable error: the host at http://127.0.0.1:8080 (process 4711) does not answer: Connection refused (os error 111)
              hint: it is starting, stopping, or was killed: see its log, or start it with `switchboard run`
            Unreachable error: the host at https://x.example cannot be reached: no such name
              hint: check the address, and that the host runs there
            Unreachable error: the host at http://127.0.0.1:8080 (process 4711) did not answer within 10s
              hint: it may be stopped or overloaded: look at the process, or give it more time by `--timeout`
            Unreachable error: http://127.0.0.1:8080 answered 502 without JSON
              hint: another program answers there, or a proxy whose host is down: check the address, and that the host runs
            Failed error: the host answered `host.reload` with something unknown to this command: missing field `added`
              hint: use the `switchboard` that the host was started from
        "#]].assert_eq(&told.concat());
    }

    #[test]
    fn an_address_is_judged_before_anybody_is_asked() {
        for good in
            ["https://switchboard.example.com", "http://10.0.0.5:8080/", "https://example.com/behind/a/proxy"]
        {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in ["switchboard.example.com", "ftp://example.com", "10.0.0.5:8080", ""] {
            assert_eq!(
                address(bad).unwrap_err(),
                "expected a URL such as `https://switchboard.example.com`",
                "{bad}"
            );
        }
        for bad in
            ["https://ann:hush@example.com", "https://example.com/?token=hush", "https://example.com/#x"]
        {
            let refusal = address(bad).unwrap_err();
            assert!(refusal.contains("`SWITCHBOARD_TOKEN`") && !refusal.contains("hush"), "{bad}: {refusal}");
        }
    }
}

//! A refresh token -> access tokens, each used until shortly before its end (RFC 6749, 6). A refresh token that the
//! provider replaces replaces ours, also after a restart.

use std::{pin::Pin, sync::Arc};

use oauth2::{
    AsyncHttpClient, AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, RefreshToken,
    RequestTokenError, TokenResponse as _, TokenUrl,
    basic::{BasicClient, BasicErrorResponse, BasicErrorResponseType},
    http,
};
use plugin_api::{
    prelude::*,
    tls::install_provider,
    tokio::{
        self,
        sync::Mutex,
        time::{Instant, timeout, timeout_at},
    },
    tracing,
    web::retry_after,
};
use reqwest::{StatusCode, header};

use super::kept::Kept;
use crate::{
    errors::tokens,
    settings::{Proof, Renewal, is_local},
};

/// Renewed so long before its end.
const AHEAD: Duration = Duration::from_secs(60);
/// A token that does not say how long it holds is taken to hold this long.
const SHORT_LIFE: Duration = Duration::from_secs(300);
/// Nor is one used longer than a day, whatever the provider says.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the provider may take. Longer than a login waits: what it replaces after that is still kept.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of that a stop waits for: less than the host's grace, which is 10 s by default.
const LAST_PATIENCE: Duration = Duration::from_secs(8);
/// The codes of OAuth by which a provider says that it cannot serve now (RFC 6749, 4.1.2.1).
const OUTAGES: [&str; 2] = ["temporarily_unavailable", "server_error"];

/// Where access tokens come from.
pub enum Tokens {
    /// It is given by the settings.
    Given(Secret),
    Renewed(Arc<Renewer>),
}

/// Renews one access token at a time.
pub struct Renewer {
    context: Context,
    renewal: Renewal,
    kept: Kept,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// Absent as long as nobody has looked what was kept.
    refresh: Option<Secret>,
    /// With the moment from which on it is renewed.
    access: Option<(Secret, Instant)>,
}

impl Tokens {
    /// `None` for a password.
    pub fn of(proof: &Proof, context: &Context) -> Option<Self> {
        match proof {
            Proof::Password(_) => None,
            Proof::Token(token) => Some(Self::Given(token.clone())),
            Proof::Renewal(renewal) => Some(Self::Renewed(Arc::new(Renewer {
                context: context.clone(),
                renewal: Renewal::clone(renewal),
                kept: Kept::new(context, &renewal.refresh),
                held: Mutex::default(),
            }))),
        }
    }

    /// An access token that holds, or a timeout.
    pub async fn access(&self, until: Instant) -> Result<Secret, Failure> {
        let renewer = match self {
            Self::Given(token) => return Ok(token.clone()),
            Self::Renewed(renewer) => renewer.clone(),
        };
        let host = renewer.host().to_owned();
        // A task of its own: a caller that goes away must not take a token with it that the provider just replaced.
        let renewal = tokio::spawn(async move { renewer.access().await });
        match timeout_at(until, renewal).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Failure::internal("the renewal of the access token did not complete")),
            Err(_) => Err(tokens::out_of_reach(&host, true)),
        }
    }

    /// The mail server did not take the access token: the next one is new.
    pub async fn forget(&self) {
        if let Self::Renewed(renewer) = self {
            renewer.held.lock().await.access = None;
        }
    }

    /// Waits for a renewal under way: its token may be the only one that is still good. Ends within the host's grace.
    pub async fn settle(&self) {
        let Self::Renewed(renewer) = self else { return };
        if timeout(LAST_PATIENCE, renewer.held.lock()).await.is_err() {
            tracing::warn!(
                "`{}` has not answered the request for an access token in {LAST_PATIENCE:?}, and the plugin stops: if it \
                 replaced the refresh token meanwhile, obtain a new one and set `SMTP_OAUTH_REFRESH_TOKEN`",
                renewer.host()
            );
        }
    }
}

impl Renewer {
    async fn access(&self) -> Result<Secret, Failure> {
        // A second caller waits for the first one's token.
        let mut held = self.held.lock().await;
        if let Some((token, renew_at)) = &held.access
            && Instant::now() < *renew_at
        {
            return Ok(token.clone());
        }
        let given = &self.renewal.refresh;
        let mut refresh = match &held.refresh {
            Some(refresh) => refresh.clone(),
            None => self.kept.read().await.unwrap_or_else(|| given.clone()),
        };
        // Before it is used: the provider may repeat it in what is logged. The host knows that of the settings.
        if refresh != *given {
            self.context.secret(refresh.expose()).await?;
        }
        let mut answer = renew(&self.renewal, &refresh).await;
        // The settings may hold a newer consent than what was kept.
        if matches!(answer, Err(NoToken::Ended(_))) && refresh != *given {
            refresh = given.clone();
            answer = renew(&self.renewal, &refresh).await;
        }
        let answer = answer.map_err(|(NoToken::Ended(failure) | NoToken::Failed(failure))| failure)?;
        // First of all, for the one before may be good no longer.
        if let Some(replacement) = answer.refresh {
            refresh = replacement;
            self.kept.write(&refresh).await;
        }
        held.refresh = Some(refresh.clone());
        for secret in [&refresh, &answer.access] {
            self.context.secret(secret.expose()).await?;
        }
        held.access = Some((answer.access.clone(), Instant::now() + answer.life.saturating_sub(AHEAD)));
        Ok(answer.access)
    }

    fn host(&self) -> &str {
        self.renewal.url.host_str().unwrap_or_default()
    }
}

/// Why there is no access token.
enum NoToken {
    /// The refresh token is not good any more.
    Ended(Failure),
    Failed(Failure),
}

struct Answer {
    access: Secret,
    life: Duration,
    /// Absent if the one before stays good.
    refresh: Option<Secret>,
}

async fn renew(renewal: &Renewal, refresh: &Secret) -> Result<Answer, NoToken> {
    install_provider();
    let mut http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")));
    // A proxy of the environment does not lead to this machine.
    if is_local(&renewal.url) {
        http = http.no_proxy();
    }
    let http = http.build().map_err(|_| NoToken::Failed(Failure::internal("no HTTP client can be made")))?;
    let mut client = BasicClient::new(ClientId::new(renewal.client_id.clone()))
        .set_auth_type(AuthType::RequestBody)
        .set_token_uri(TokenUrl::from_url(renewal.url.clone()));
    if let Some(secret) = &renewal.client_secret {
        client = client.set_client_secret(ClientSecret::new(secret.expose().to_owned()));
    }
    let refresh = RefreshToken::new(refresh.expose().to_owned());
    let answer = client.exchange_refresh_token(&refresh).request_async(&Http(http)).await;
    let answer = answer.map_err(|trouble| failure(trouble, renewal))?;
    Ok(Answer {
        access: Secret::new(answer.access_token().secret().clone()),
        life: answer.expires_in().unwrap_or(SHORT_LIFE).min(LONGEST_LIFE),
        refresh: answer.refresh_token().map(|token| Secret::new(token.secret().clone())),
    })
}

/// Our HTTP client, as OAuth's library wants it. An outage is an error, and no answer of OAuth.
struct Http(reqwest::Client);

/// Why there is no answer of OAuth.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error("{0}")]
    Broken(#[from] reqwest::Error),
    #[error("it answers {status}")]
    Outage { status: StatusCode, wait: Option<Duration> },
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = NoAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, NoAnswer>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let response = self.0.execute(request.try_into()?).await?;
            let status = response.status();
            if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
                let wait = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
                return Err(NoAnswer::Outage { status, wait: wait.and_then(retry_after) });
            }
            let mut answer = http::Response::new(response.bytes().await?.to_vec());
            *answer.status_mut() = status;
            Ok(answer)
        })
    }
}

fn failure(trouble: RequestTokenError<NoAnswer, BasicErrorResponse>, renewal: &Renewal) -> NoToken {
    let host = renewal.url.host_str().unwrap_or_default();
    NoToken::Failed(match trouble {
        RequestTokenError::ServerResponse(answer) => {
            tracing::debug!(error = %answer, "no access token");
            match answer.error() {
                BasicErrorResponseType::InvalidGrant => return NoToken::Ended(tokens::ended(host)),
                BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient => {
                    tokens::unknown_client(host)
                }
                // Microsoft says so with status 400 too.
                BasicErrorResponseType::Extension(code) if OUTAGES.contains(&code.as_str()) => {
                    tokens::outage(host, code)
                }
                other => tokens::refused(host, other.as_ref()),
            }
        }
        RequestTokenError::Request(NoAnswer::Outage { status, wait }) => {
            let failure = match status {
                StatusCode::TOO_MANY_REQUESTS => tokens::slow_down(host),
                status => tokens::outage(host, status.as_str()),
            };
            match wait {
                Some(wait) => failure.retry_after(wait),
                None => failure,
            }
        }
        RequestTokenError::Request(NoAnswer::Broken(error)) => {
            tracing::debug!(%error, "the token endpoint cannot be reached");
            tokens::out_of_reach(host, error.is_timeout())
        }
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => tokens::no_endpoint(host),
    })
}

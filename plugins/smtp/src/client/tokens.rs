//! A refresh token -> access tokens, each kept until shortly before its end (RFC 6749, 6). A refresh token that is
//! replaced by the server replaces ours as long as this process runs.

use std::pin::Pin;

use oauth2::{
    AsyncHttpClient, AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, RefreshToken,
    RequestTokenError, TokenResponse as _, TokenUrl,
    basic::{BasicClient, BasicErrorResponse, BasicErrorResponseType},
    http,
};
use plugin_api::{
    prelude::*,
    tls::install_provider,
    tokio::{sync::Mutex, time::Instant},
    tracing,
};

use crate::{
    errors::tokens,
    settings::{Proof, Renewal},
};

/// Renewed so long before its end.
const AHEAD: Duration = Duration::from_secs(60);
/// A token that does not say how long it holds is taken to hold this long.
const SHORT_LIFE: Duration = Duration::from_secs(300);

/// Where access tokens come from.
pub struct Tokens {
    context: Context,
    source: Source,
}

enum Source {
    /// It is given by the settings.
    Given(Secret),
    Renewed(Box<Renewal>, Mutex<Held>),
}

struct Held {
    refresh: Secret,
    /// With the moment from which on it is renewed.
    access: Option<(Secret, Instant)>,
}

impl Tokens {
    /// `None` for a password.
    pub fn of(proof: &Proof, context: &Context) -> Option<Self> {
        let source = match proof {
            Proof::Password(_) => return None,
            Proof::Token(token) => Source::Given(token.clone()),
            Proof::Renewal(renewal) => {
                let held = Held { refresh: renewal.refresh.clone(), access: None };
                Source::Renewed(renewal.clone(), Mutex::new(held))
            }
        };
        Some(Self { context: context.clone(), source })
    }

    /// An access token that holds.
    pub async fn access(&self) -> Result<Secret, Failure> {
        let (renewal, held) = match &self.source {
            Source::Given(token) => return Ok(token.clone()),
            Source::Renewed(renewal, held) => (renewal, held),
        };
        // Whoever comes second waits for the first one's token.
        let mut held = held.lock().await;
        if let Some((token, renew_at)) = &held.access
            && Instant::now() < *renew_at
        {
            return Ok(token.clone());
        }
        let answer = renew(renewal, &held.refresh).await?;
        for token in [Some(&answer.access), answer.refresh.as_ref()].into_iter().flatten() {
            self.context.secret(token.expose()).await?;
        }
        held.access = Some((answer.access.clone(), Instant::now() + answer.life.saturating_sub(AHEAD)));
        held.refresh = answer.refresh.unwrap_or_else(|| held.refresh.clone());
        Ok(answer.access)
    }

    /// The mail server did not take the access token: the next one is new.
    pub async fn forget(&self) {
        if let Source::Renewed(_, held) = &self.source {
            held.lock().await.access = None;
        }
    }
}

struct Answer {
    access: Secret,
    life: Duration,
    /// Absent if the one before stays good.
    refresh: Option<Secret>,
}

async fn renew(renewal: &Renewal, refresh: &Secret) -> Result<Answer, Failure> {
    install_provider();
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|_| Failure::internal("no HTTP client can be made"))?;
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
        life: answer.expires_in().unwrap_or(SHORT_LIFE),
        refresh: answer.refresh_token().map(|token| Secret::new(token.secret().clone())),
    })
}

/// Our HTTP client, as OAuth's library wants it. An outage is an error, and no answer of OAuth.
struct Http(reqwest::Client);

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = reqwest::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, reqwest::Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let response = self.0.execute(request.try_into()?).await?;
            let status = response.status();
            if status.is_server_error() {
                response.error_for_status_ref()?;
            }
            let mut answer = http::Response::new(response.bytes().await?.to_vec());
            *answer.status_mut() = status;
            Ok(answer)
        })
    }
}

fn failure(trouble: RequestTokenError<reqwest::Error, BasicErrorResponse>, renewal: &Renewal) -> Failure {
    let host = renewal.url.host_str().unwrap_or_default();
    match trouble {
        RequestTokenError::ServerResponse(answer) => {
            tracing::debug!(error = %answer, "no access token");
            match answer.error() {
                BasicErrorResponseType::InvalidGrant => tokens::ended(host),
                BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient => {
                    tokens::unknown_client(host)
                }
                other => tokens::refused(host, other.as_ref()),
            }
        }
        RequestTokenError::Request(error) => {
            tracing::debug!(%error, "the token endpoint cannot be reached");
            tokens::out_of_reach(host, error.is_timeout())
        }
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => tokens::no_endpoint(host),
    }
}

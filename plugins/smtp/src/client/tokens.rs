//! A refresh token -> access tokens, each used until shortly before its end (RFC 6749, 6). A refresh token that the
//! provider replaces replaces ours, also after a restart.

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

use super::kept::Kept;
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
    Renewed(Box<Renewal>, Kept, Mutex<Held>),
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
        let source = match proof {
            Proof::Password(_) => return None,
            Proof::Token(token) => Source::Given(token.clone()),
            Proof::Renewal(renewal) => {
                Source::Renewed(renewal.clone(), Kept::new(context, &renewal.refresh), Mutex::default())
            }
        };
        Some(Self { context: context.clone(), source })
    }

    /// An access token that holds.
    pub async fn access(&self) -> Result<Secret, Failure> {
        let (renewal, kept, held) = match &self.source {
            Source::Given(token) => return Ok(token.clone()),
            Source::Renewed(renewal, kept, held) => (renewal, kept, held),
        };
        // A second caller waits for the first one's token.
        let mut held = held.lock().await;
        if let Some((token, renew_at)) = &held.access
            && Instant::now() < *renew_at
        {
            return Ok(token.clone());
        }
        let mut refresh = match &held.refresh {
            Some(refresh) => refresh.clone(),
            None => kept.read().await.unwrap_or_else(|| renewal.refresh.clone()),
        };
        let mut answer = renew(renewal, &refresh).await;
        // The settings may hold a newer consent than what was kept.
        if matches!(answer, Err(NoToken::Ended(_))) && refresh != renewal.refresh {
            refresh = renewal.refresh.clone();
            answer = renew(renewal, &refresh).await;
        }
        let answer = answer.map_err(|(NoToken::Ended(failure) | NoToken::Failed(failure))| failure)?;
        if let Some(replacement) = answer.refresh {
            self.context.secret(replacement.expose()).await?;
            kept.write(&replacement).await;
            refresh = replacement;
        }
        self.context.secret(answer.access.expose()).await?;
        held.refresh = Some(refresh);
        held.access = Some((answer.access.clone(), Instant::now() + answer.life.saturating_sub(AHEAD)));
        Ok(answer.access)
    }

    /// The mail server did not take the access token: the next one is new.
    pub async fn forget(&self) {
        if let Source::Renewed(_, _, held) = &self.source {
            held.lock().await.access = None;
        }
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
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|_| NoToken::Failed(Failure::internal("no HTTP client can be made")))?;
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

fn failure(trouble: RequestTokenError<reqwest::Error, BasicErrorResponse>, renewal: &Renewal) -> NoToken {
    let host = renewal.url.host_str().unwrap_or_default();
    NoToken::Failed(match trouble {
        RequestTokenError::ServerResponse(answer) => {
            tracing::debug!(error = %answer, "no access token");
            match answer.error() {
                BasicErrorResponseType::InvalidGrant => return NoToken::Ended(tokens::ended(host)),
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
    })
}

//! Google's side of OAuth 2: where consent is asked for, a code or a refresh token -> tokens, and the end of a grant.

use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope, TokenResponse,
    TokenUrl,
    basic::{BasicClient, BasicErrorResponse, BasicErrorResponseType, BasicTokenResponse},
};
use plugin_api::{jiff::Timestamp, prelude::*, tracing};
use reqwest::Url;

use crate::{
    client::{Client, Deadline},
    client_secrets::ClientSecrets,
    errors::Fault,
};

/// A token that does not say how long it holds is taken to hold this long.
const SHORT_LIFE: Duration = Duration::from_secs(300);

type Endpoints = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// An OAuth client of Google.
pub struct Google {
    pub secrets: ClientSecrets,
    /// The setting to mend when Google does not know the client.
    setting: &'static str,
    endpoints: Endpoints,
    http: Client,
}

/// What Google gives for a code or a refresh token.
#[derive(Debug, Clone)]
pub struct Tokens {
    pub access: Secret,
    pub expires_at: Timestamp,
    /// Absent if the one before stays good.
    pub refresh: Option<Secret>,
    /// Absent if they are those that were asked for.
    pub scopes: Option<Vec<String>>,
}

/// Why there are no tokens.
#[derive(Debug, Clone)]
pub enum NoTokens {
    /// The code or the refresh token is not good any more.
    InvalidGrant,
    /// Something else, which the plugin's health tells of.
    Failed(Failure),
}

/// Where a browser is sent to, and what must be remembered until it comes back.
pub struct Question {
    pub url: Url,
    pub state: String,
    pub verifier: Secret,
}

impl Google {
    pub fn new(secrets: ClientSecrets, setting: &'static str, http: Client) -> Self {
        let mut client = BasicClient::new(ClientId::new(secrets.client_id.clone()));
        if let Some(secret) = &secrets.client_secret {
            client = client.set_client_secret(ClientSecret::new(secret.expose().to_owned()));
        }
        let endpoints = client
            .set_auth_type(AuthType::RequestBody)
            .set_auth_uri(AuthUrl::from_url(secrets.auth_uri.clone()))
            .set_token_uri(TokenUrl::from_url(secrets.token_uri.clone()));
        Self { secrets, setting, endpoints, http }
    }

    /// Asks for consent that lasts, also while nobody is there.
    pub fn question(&self, scopes: &[String], back_to: &Url) -> Question {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let back_to = RedirectUrl::from_url(back_to.clone());
        let (url, state) = self
            .endpoints
            .authorize_url(CsrfToken::new_random)
            .add_scopes(scopes.iter().cloned().map(Scope::new))
            .add_extra_param("access_type", "offline")
            .add_extra_param("prompt", "consent")
            .add_extra_param("include_granted_scopes", "true")
            .set_pkce_challenge(challenge)
            .set_redirect_uri(std::borrow::Cow::Owned(back_to))
            .url();
        Question { url, state: state.into_secret(), verifier: Secret::new(verifier.into_secret()) }
    }

    /// A code that came back with the browser.
    pub async fn exchange(&self, code: &str, verifier: &Secret, back_to: &Url) -> Result<Tokens, NoTokens> {
        let request = self
            .endpoints
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()))
            .set_redirect_uri(std::borrow::Cow::Owned(RedirectUrl::from_url(back_to.clone())));
        self.tokens(request.request_async(&self.http).await)
    }

    /// A new access token.
    pub async fn refresh(&self, refresh: &Secret) -> Result<Tokens, NoTokens> {
        let refresh = RefreshToken::new(refresh.expose().to_owned());
        self.tokens(self.endpoints.exchange_refresh_token(&refresh).request_async(&self.http).await)
    }

    /// Ends a grant. One that has ended already is as good.
    pub async fn revoke(&self, token: &Secret, deadline: Deadline) -> Result<(), Fault> {
        let url = &self.secrets.revoke_uri;
        match self.http.post_form(url, ("token", token.expose()), deadline).await? {
            200..300 | 400 => Ok(()),
            status => Err(Fault::Unanswered(Failure::unavailable(format!("Google answered {status}")))),
        }
    }

    fn tokens(&self, answer: Result<BasicTokenResponse, Trouble>) -> Result<Tokens, NoTokens> {
        let answer = answer.map_err(|trouble| self.no_tokens(trouble))?;
        let life = answer.expires_in().unwrap_or(SHORT_LIFE);
        Ok(Tokens {
            access: Secret::new(answer.access_token().secret().clone()),
            expires_at: Timestamp::now().saturating_add(life).unwrap_or(Timestamp::MAX),
            refresh: answer.refresh_token().map(|token| Secret::new(token.secret().clone())),
            scopes: answer.scopes().map(|scopes| scopes.iter().map(|scope| scope.to_string()).collect()),
        })
    }

    fn no_tokens(&self, trouble: Trouble) -> NoTokens {
        let answer = match trouble {
            RequestTokenError::ServerResponse(answer) => answer,
            RequestTokenError::Request(fault) => return NoTokens::Failed(fault.into()),
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                let host = self.secrets.token_uri.host_str().unwrap_or_default();
                let message = format!(
                    "`{host}` does not answer as a token endpoint: check `token_uri` of the client secrets"
                );
                return NoTokens::Failed(Failure::protocol(message).setting(self.setting));
            }
        };
        tracing::debug!(error = %answer, "Google gives no tokens");
        match answer.error() {
            BasicErrorResponseType::InvalidGrant => NoTokens::InvalidGrant,
            BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient => {
                NoTokens::Failed(
                    Failure::auth_invalid(
                        "Google does not know the OAuth client, or its secret is wrong: download its JSON again",
                    )
                    .setting(self.setting),
                )
            }
            other => NoTokens::Failed(
                Failure::protocol(format!("Google gives no tokens: `{}`", word(other.as_ref())))
                    .advise(FixAction::SeeVendor, "Check the OAuth client and its consent screen in Google's console"),
            ),
        }
    }
}

type Trouble = RequestTokenError<Fault, BasicErrorResponse>;

/// Of a code that a person sees: a word, and nothing else.
fn word(code: &str) -> String {
    code.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '_').take(60).collect()
}

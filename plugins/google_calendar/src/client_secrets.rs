//! The JSON that Google's console offers for an OAuth client -> its id, secret and addresses. Never shows any of it.

use plugin_api::{
    files,
    prelude::*,
    serde_json::{self, Value},
};
use reqwest::Url;

use crate::settings::{self, CALLBACK_PATH, Source};

const AUTH_URI: &str = "https://accounts.google.com/o/oauth2/v2/auth";
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
const REVOKE_URI: &str = "https://oauth2.googleapis.com/revoke";

/// Where Google's console has it.
const WHERE: &str = "in Google's console under APIs & Services, Credentials, OAuth 2.0 Client IDs, download the JSON of \
                     a client of the type Web application or Desktop app";

/// An OAuth client of Google.
#[derive(Debug, Clone)]
pub struct ClientSecrets {
    pub client_id: String,
    pub client_secret: Option<Secret>,
    pub auth_uri: Url,
    pub token_uri: Url,
    pub revoke_uri: Url,
    /// As the console lists them, to the letter.
    pub redirect_uris: Vec<String>,
    /// A desktop app: it may come back to any address of this machine.
    pub installed: bool,
}

impl ClientSecrets {
    /// Reads them from where the settings say.
    pub fn load(source: &Source) -> Result<Self, Failure> {
        let refuse = |why: String| Failure::config_invalid(why).setting(source.setting());
        match source {
            Source::Json(json) => Self::parse(json.expose())
                .map_err(|why| refuse(format!("`GOOGLE_OAUTH_CLIENT_SECRETS_JSON` {why}"))),
            Source::File(path) => {
                let shown = path.display();
                let text = files::read_text(path).map_err(|error| {
                    refuse(format!("the file `{shown}` cannot be read: {error}; {WHERE}"))
                })?;
                Self::parse(&text).map_err(|why| refuse(format!("the file `{shown}` {why}")))
            }
        }
    }

    /// Reads the JSON. The error says what is wrong with it, and shows nothing of it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let json: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
            format!("is no JSON (line {}, column {}); {WHERE}", error.line(), error.column())
        })?;
        let (client, installed) = match (json.get("web"), json.get("installed")) {
            (Some(client), _) => (client, false),
            (None, Some(client)) => (client, true),
            (None, None) if json.get("type") == Some(&Value::from("service_account")) => {
                return Err(format!(
                    "is the key of a service account, which no person can consent for; {WHERE}"
                ));
            }
            (None, None) => return Err(format!("has neither `web` nor `installed`; {WHERE}")),
        };
        Ok(Self {
            client_id: text_of(client, "client_id")?.ok_or_else(|| format!("has no `client_id`; {WHERE}"))?,
            client_secret: text_of(client, "client_secret")?.map(Secret::new),
            auth_uri: address(client, "auth_uri", AUTH_URI)?,
            token_uri: address(client, "token_uri", TOKEN_URI)?,
            revoke_uri: address(client, "revoke_uri", REVOKE_URI)?,
            redirect_uris: texts_of(client, "redirect_uris")?,
            installed,
        })
    }

    /// Whether Google will send a browser back to this address.
    pub fn may_return_to(&self, uri: &Url) -> bool {
        let listed =
            |known: &String| known == uri.as_str() || Url::parse(known).is_ok_and(|known| known == *uri);
        // Google lets a desktop app choose port and path on this machine.
        self.redirect_uris.is_empty()
            || (self.installed && settings::is_loopback(uri))
            || self.redirect_uris.iter().any(listed)
    }

    /// What to do when Google would not send a browser back to this address.
    pub fn how_to_return_to(&self, uri: &Url) -> String {
        format!(
            "Google would not send the browser back to `{uri}`: registered for this OAuth client are `{}`. Add it in \
             Google's console to the client's authorised redirect URIs and download the JSON again, or set \
             `PUBLIC_BASE_URL` so that a registered address is `PUBLIC_BASE_URL` and `{CALLBACK_PATH}`",
            self.redirect_uris.join("`, `")
        )
    }
}

fn text_of(client: &Value, key: &str) -> Result<Option<String>, String> {
    match client.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("has a `{key}` that is no text; {WHERE}")),
    }
}

fn texts_of(client: &Value, key: &str) -> Result<Vec<String>, String> {
    match client.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(list) => serde_json::from_value(list.clone())
            .map_err(|_| format!("has `{key}` that is no list of texts; {WHERE}")),
    }
}

fn address(client: &Value, key: &str, default: &str) -> Result<Url, String> {
    let text = text_of(client, key)?;
    settings::secure_address(key, text.as_deref().unwrap_or(default))
        .map_err(|failure| format!("cannot be used: {}", failure.message))
}

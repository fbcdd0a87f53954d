//! The grant in the database -> an access token that holds, renewed ahead of its end by one flight: within this process
//! by a lock, among hosts by a lease. A refresh token that Google replaced is never lost to an older one.

use std::sync::{Arc, Mutex, PoisonError};

use plugin_api::{
    jiff::Timestamp,
    prelude::*,
    process,
    serde_json::{self, Value, json},
    tokio::{
        self,
        time::{Instant, sleep, timeout, timeout_at},
    },
    tracing,
};

use crate::{
    client::Deadline,
    errors::{self, Fault},
    oauth::{self, Google, NoTokens},
    random,
    store::{Store, StoredGrant},
};

/// Renewed so long before its end, or in the last fifth of a shorter life.
const AHEAD: Duration = Duration::from_secs(300);
/// How long one waits for another host's refresh; longer than its lease.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of that a stop waits for: less than the host's grace, which is 10 s by default.
const LAST_PATIENCE: Duration = Duration::from_secs(8);
const PAUSE: Duration = Duration::from_millis(200);
const SAVES: u32 = 3;

/// What a person granted.
#[derive(Debug, Clone)]
pub struct Grant {
    refresh: Secret,
    access: Secret,
    expires_at: Timestamp,
    renew_at: Timestamp,
    /// What it covers, where Google said so.
    scopes: Option<Vec<String>>,
}

/// The tokens of the one account.
pub struct Tokens {
    context: Context,
    store: Store,
    /// Tells this host from others that refresh.
    holder: String,
    flight: tokio::sync::Mutex<()>,
    held: Mutex<Option<Held>>,
    /// The grant as it lay in the database when it was last looked at.
    seen: Mutex<Option<StoredGrant>>,
}

struct Held {
    grant: Grant,
    version: i64,
    /// It is newer than what lies in the database under this version.
    unsaved: bool,
    /// The host keeps its tokens out of the log: only then they are used.
    is_scrubbed: bool,
}

impl Grant {
    /// Out of a code; `None` without the refresh token that makes it last.
    pub fn new(tokens: &oauth::Tokens) -> Option<Self> {
        Some(Self::from_tokens(tokens, tokens.refresh.clone()?))
    }

    fn from_tokens(tokens: &oauth::Tokens, refresh: Secret) -> Self {
        let life = Duration::try_from(tokens.expires_at.duration_since(Timestamp::now())).unwrap_or_default();
        let ahead = AHEAD.min(life / 5);
        Self {
            refresh,
            access: tokens.access.clone(),
            expires_at: tokens.expires_at,
            renew_at: tokens.expires_at.saturating_sub(ahead).unwrap_or(Timestamp::MIN),
            scopes: tokens.scopes.clone(),
        }
    }

    /// Google need not send the refresh token again: then the old one stays good.
    fn renewed(&self, tokens: &oauth::Tokens) -> Self {
        let renewed =
            Self::from_tokens(tokens, tokens.refresh.clone().unwrap_or_else(|| self.refresh.clone()));
        Self { scopes: renewed.scopes.or_else(|| self.scopes.clone()), ..renewed }
    }

    fn is_fresh(&self, refused: Option<&Secret>) -> bool {
        Timestamp::now() < self.renew_at && refused != Some(&self.access)
    }

    /// Good enough while no other can be had.
    fn still_holds(&self, refused: Option<&Secret>) -> bool {
        Timestamp::now() < self.expires_at && refused != Some(&self.access)
    }

    fn write(&self) -> String {
        json!({
            "refresh": self.refresh.expose(),
            "access": self.access.expose(),
            "expires_at": self.expires_at.to_string(),
            "renew_at": self.renew_at.to_string(),
            "scopes": self.scopes,
        })
        .to_string()
    }

    fn read(text: &str) -> Option<Self> {
        let json: Value = serde_json::from_str(text).ok()?;
        let text = |key: &str| json.get(key).and_then(Value::as_str);
        Some(Self {
            refresh: Secret::new(text("refresh")?),
            access: Secret::new(text("access")?),
            expires_at: text("expires_at")?.parse().ok()?,
            renew_at: text("renew_at")?.parse().ok()?,
            // What was written by an older version says nothing of it.
            scopes: json
                .get("scopes")
                .and_then(|scopes| serde_json::from_value(scopes.clone()).ok())
                .flatten(),
        })
    }
}

impl Tokens {
    pub fn new(context: Context, store: Store) -> Result<Self, OperationError> {
        Ok(Self {
            context,
            store,
            holder: format!("{}{}", process::name(), random::id()?),
            flight: tokio::sync::Mutex::default(),
            held: Mutex::default(),
            seen: Mutex::default(),
        })
    }

    /// A token to ask with. `refused`: one that Google did not take.
    pub async fn access(
        self: &Arc<Self>,
        google: &Arc<Google>,
        refused: Option<&Secret>,
        deadline: Deadline,
    ) -> Result<Secret, Fault> {
        if let Some(token) = self.fresh(refused) {
            return Ok(token);
        }
        // A task of its own: a caller who goes away must not take a token with it that Google just replaced.
        let (tokens, google, refused) = (self.clone(), google.clone(), refused.cloned());
        let renewal = tokio::spawn(async move { tokens.renew(&google, refused.as_ref()).await });
        match timeout_at(deadline, renewal).await {
            Ok(Ok(outcome)) => outcome.map_err(Fault::NoAccess),
            Ok(Err(_)) => Err(Fault::NoAccess(Failure::internal("the refresh did not complete"))),
            Err(_) => Err(Fault::OutOfTime { sent: false }),
        }
    }

    /// Holds what is kept here against the database: another host may have connected, refreshed or disconnected.
    pub async fn reload(&self) -> Result<(), Failure> {
        let _flight = self.flight.lock().await;
        self.save().await?;
        let stored = self.usable().await?;
        let known = self.lock().as_ref().is_some_and(|held| held.version == stored.version);
        if !known {
            self.drop_held();
        }
        Ok(())
    }

    /// Waits for a refresh under way: its token may be the only one that is still good. Ends within the host's grace.
    pub async fn settle(&self) {
        if timeout(LAST_PATIENCE, self.flight.lock()).await.is_err() {
            tracing::warn!(
                "the refresh of the access token has not ended in {LAST_PATIENCE:?}, and the plugin stops: if Google \
                 replaced the refresh token meanwhile, connect the calendar again"
            );
        }
    }

    /// Takes a new grant in the place of any other.
    pub async fn put(&self, grant: Grant) -> Result<(), Failure> {
        let _flight = self.flight.lock().await;
        let sealed = self.seal(&grant).await?;
        let version = self.store.put_grant(&sealed).await?;
        self.hold(grant, version, false).await
    }

    /// What the grant covers; `None` where Google did not say.
    pub async fn scopes(&self) -> Result<Option<Vec<String>>, Failure> {
        let stored = self.usable().await?;
        Ok(self.open(&stored.sealed).await?.scopes)
    }

    /// The token to revoke, if there is one that can be opened.
    pub async fn to_revoke(&self) -> Option<Secret> {
        let stored = self.store.grant().await.ok()??;
        self.open(&stored.sealed).await.ok().map(|grant| grant.refresh)
    }

    /// Whether there is another grant in the database than when it was last looked at.
    pub async fn has_news(&self) -> bool {
        let stored = self.store.grant().await.ok().flatten();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        stored.is_some_and(|stored| !stored.ended && Some(&stored) != seen.as_ref())
    }

    /// Forgets the grant.
    pub async fn forget(&self) -> Result<(), OperationError> {
        let _flight = self.flight.lock().await;
        self.store.forget().await?;
        self.drop_held();
        Ok(())
    }

    async fn renew(&self, google: &Google, refused: Option<&Secret>) -> Result<Secret, Failure> {
        let _flight = self.flight.lock().await;
        let patience = Instant::now() + PATIENCE;
        loop {
            if let Some(token) = self.fresh(refused) {
                return Ok(token);
            }
            if let Some(token) = self.step(google, refused).await? {
                return Ok(token);
            }
            if Instant::now() >= patience {
                return Err(Failure::unavailable("another host takes too long to refresh the access token"));
            }
            sleep(PAUSE).await;
        }
    }

    /// `None`: another host is at it, look again.
    async fn step(&self, google: &Google, refused: Option<&Secret>) -> Result<Option<Secret>, Failure> {
        self.save().await?;
        let stored = self.usable().await?;
        let grant = self.open(&stored.sealed).await?;
        if grant.is_fresh(refused) {
            let token = grant.access.clone();
            *self.lock() = Some(Held { grant, version: stored.version, unsaved: false, is_scrubbed: true });
            return Ok(Some(token));
        }
        if !self.store.lease(stored.version, &self.holder).await? {
            return Ok(None);
        }
        match google.refresh(&grant.refresh).await {
            Ok(tokens) => self.keep(grant.renewed(&tokens), stored.version).await,
            Err(NoTokens::InvalidGrant) if self.store.end(stored.version).await? => {
                self.drop_held();
                Err(ended())
            }
            // Somebody put another grant there meanwhile.
            Err(NoTokens::InvalidGrant) => Ok(None),
            Err(NoTokens::Failed(failure)) => {
                self.store.release(stored.version, &self.holder).await?;
                let token = grant.still_holds(refused).then(|| grant.access.clone());
                token.map(Some).ok_or(failure)
            }
        }
    }

    /// Keeps a renewed grant: here at once, because Google may have replaced the old one; then in the database.
    async fn keep(&self, grant: Grant, version: i64) -> Result<Option<Secret>, Failure> {
        let token = grant.access.clone();
        let scrubbed = self.hold(grant, version, true).await;
        for attempt in 1..=SAVES {
            match self.save().await {
                Ok(()) => return scrubbed.map(|()| self.lock().is_some().then_some(token)),
                Err(failure) => {
                    tracing::warn!(
                        attempt,
                        "the renewed grant is not in the database yet: {}",
                        failure.message
                    );
                    sleep(PAUSE).await;
                }
            }
        }
        scrubbed.map(|()| Some(token))
    }

    /// Writes what is not in the database yet, unless something newer is there.
    async fn save(&self) -> Result<(), Failure> {
        let unsaved =
            self.lock().as_ref().filter(|held| held.unsaved).map(|held| (held.grant.clone(), held.version));
        let Some((grant, version)) = unsaved else { return Ok(()) };
        let sealed = self.seal(&grant).await?;
        match self.store.renew(version, &sealed).await? {
            true => {
                if let Some(held) = self.lock().as_mut() {
                    (held.version, held.unsaved) = (version + 1, false);
                }
            }
            false => self.drop_held(),
        }
        Ok(())
    }

    /// The grant in the database, if it can be used.
    async fn usable(&self) -> Result<StoredGrant, Failure> {
        let stored = self.store.grant().await?;
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&stored);
        let failure = match stored {
            Some(stored) if !stored.ended => return Ok(stored),
            Some(_) => ended(),
            None => errors::consent_missing(),
        };
        self.drop_held();
        Err(failure)
    }

    async fn seal(&self, grant: &Grant) -> Result<String, Failure> {
        Ok(self.context.host().seal(&grant.write()).await.map_err(unsealed)?.sealed)
    }

    async fn open(&self, sealed: &str) -> Result<Grant, Failure> {
        let text = self.context.host().open(sealed).await.map_err(unsealed)?;
        let grant = Grant::read(&text)
            .ok_or_else(|| errors::consent_ended("the grant in the database cannot be read"))?;
        // Before they are used: Google may repeat them in what is logged.
        self.scrub(&grant).await?;
        Ok(grant)
    }

    /// Keeps its tokens out of the log.
    async fn scrub(&self, grant: &Grant) -> Result<(), OperationError> {
        for token in [&grant.access, &grant.refresh] {
            self.context.secret(token.expose()).await?;
        }
        Ok(())
    }

    /// Holds a grant, also if the host does not take its tokens as secrets: then it is kept, and not used.
    async fn hold(&self, grant: Grant, version: i64, unsaved: bool) -> Result<(), Failure> {
        *self.lock() = Some(Held { grant: grant.clone(), version, unsaved, is_scrubbed: false });
        self.scrub(&grant).await?;
        if let Some(held) = self.lock().as_mut() {
            held.is_scrubbed = true;
        }
        Ok(())
    }

    fn fresh(&self, refused: Option<&Secret>) -> Option<Secret> {
        let held = self.lock();
        let usable = held.as_ref().filter(|held| held.is_scrubbed && held.grant.is_fresh(refused));
        usable.map(|held| held.grant.access.clone())
    }

    fn drop_held(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The host's key is at fault, and its message names the variable: waiting does not help.
pub fn unsealed(error: OperationError) -> Failure {
    match error.kind {
        ErrorKind::Conflict | ErrorKind::Denied | ErrorKind::Invalid => {
            Failure::config_invalid(error.message)
                .advise(FixAction::CorrectSetting, "Correct the secret key of this host as the reason says")
        }
        _ => error.into(),
    }
}

fn ended() -> Failure {
    errors::consent_ended(
        "Google does not honour the consent any more: it was withdrawn, unused for six months, or the consent screen is \
         in \"Testing\", where it ends after seven days",
    )
}

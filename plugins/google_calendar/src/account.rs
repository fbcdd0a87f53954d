//! The one Google account that is connected: brought up, verified, asked, and its state told to the host.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant as Clock,
};

use jiff::tz::TimeZone;
use plugin_api::{
    error::Policy,
    prelude::*,
    requests::{doctor, host::Report},
    serde_json::Value,
    tokio::{
        self,
        sync::OnceCell,
        time::{sleep, timeout_at},
    },
    tracing,
};

use crate::{
    client::{Ask, Client, Deadline},
    client_secrets::ClientSecrets,
    errors::Fault,
    oauth::Google,
    settings::Config,
    store::Store,
    times,
    tokens::{self, Tokens},
};

/// Evidence of success is told once in this time.
const EVIDENCE_PAUSE: Duration = Duration::from_secs(10);
/// How often one looks whether somebody connected an account at another host.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// The account.
pub struct Account {
    pub config: Config,
    pub context: Context,
    pub store: Store,
    pub tokens: Arc<Tokens>,
    client: Client,
    google: OnceCell<Arc<Google>>,
    /// The time zone of the calendar, as it was last read.
    zone: Mutex<Option<String>>,
    told: Mutex<Option<Clock>>,
    watching: AtomicBool,
}

impl Account {
    pub fn new(config: Config, context: Context) -> Result<Self, Failure> {
        let store = Store::new(context.clone());
        Ok(Self {
            client: Client::new(config.api_base_url.clone(), config.timeout)?,
            tokens: Arc::new(Tokens::new(context.clone(), store.clone())?),
            config,
            context,
            store,
            google: OnceCell::new(),
            zone: Mutex::default(),
            told: Mutex::default(),
            watching: AtomicBool::new(false),
        })
    }

    /// Everything that consent needs: the client secrets, the tables, and the key that seals.
    pub async fn ready(&self) -> Result<Arc<Google>, Failure> {
        let google = self.google().await?;
        let ours = self.context.host().key_fingerprint().await.map_err(tokens::unsealed)?;
        let theirs = self.store.key_fingerprint(&ours).await?;
        if ours == theirs {
            return Ok(google);
        }
        Err(Failure::config_invalid(format!(
            "the tokens in the database are sealed under another secret key (fingerprint `{theirs}`, this host's is \
             `{ours}`): set `SWITCHBOARD_SECRET_KEY` to the key of the host that sealed them, or forget them by `DELETE \
             /api/calendar/oauth` and connect the calendar again"
        ))
        .advise(
            FixAction::CorrectSetting,
            "Set `SWITCHBOARD_SECRET_KEY` to the key that sealed the tokens, or forget them and connect the calendar \
             again",
        ))
    }

    /// The client secrets and the tables, whatever key seals; once.
    pub async fn google(&self) -> Result<Arc<Google>, Failure> {
        self.google.get_or_try_init(|| self.bring_up()).await.cloned()
    }

    async fn bring_up(&self) -> Result<Arc<Google>, Failure> {
        let source = &self.config.client_secrets;
        let secrets = ClientSecrets::load(source)?;
        if let Some(secret) = &secrets.client_secret {
            self.context.secret(secret.expose()).await?;
        }
        if let Some(uri) = self.config.redirect_uri.as_ref().filter(|uri| !secrets.may_return_to(uri)) {
            let message = secrets.how_to_return_to(uri);
            return Err(Failure::config_invalid(message).setting(source.setting()));
        }
        self.store.migrate().await?;
        Ok(Arc::new(Google::new(secrets, source.setting(), self.client.clone())))
    }

    /// Whether the account's calendar can be read: what `connected` means.
    pub async fn verify(self: &Arc<Self>, deadline: Deadline) -> Result<(), Failure> {
        let outcome = timeout_at(deadline, self.read_calendar(deadline)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(Failure::timeout("Google did not answer in time")));
        match &outcome {
            Err(failure) if failure.policy() == Policy::NeedsPerson => self.watch(),
            _ => {}
        }
        outcome
    }

    async fn read_calendar(&self, deadline: Deadline) -> Result<(), Failure> {
        self.ready().await?;
        self.tokens.reload().await?;
        let calendar = &self.config.calendar;
        let ask = Ask::get(&["calendars", calendar, "events"])
            .with("maxResults", "1".to_owned())
            .with("fields", "kind,timeZone".to_owned());
        match self.ask_quietly(&ask, deadline).await {
            Ok(answer) if answer.get("kind").and_then(Value::as_str) == Some("calendar#events") => {
                self.note_zone(&answer);
                Ok(())
            }
            Ok(_) => Err(Failure::protocol(
                "what answers is not the Calendar API: check `GOOGLE_CALENDAR_API_BASE_URL`",
            )
            .setting("api_base_url")),
            Err(fault) if fault.has_status(404) => {
                Err(Failure::config_invalid(format!("the connected account has no calendar `{calendar}`"))
                    .setting("calendar"))
            }
            Err(fault) => Err(fault.into()),
        }
    }

    /// Asks the API in the account's name, and tells the host what that shows of it.
    pub async fn ask(&self, ask: &Ask, deadline: Deadline) -> Result<Value, Fault> {
        let outcome = self.ask_by_names(ask, deadline).await;
        match &outcome {
            Ok(_) => self.tell_success(),
            Err(fault) => {
                if let Some(report) = fault.evidence() {
                    self.tell(report);
                }
            }
        }
        outcome
    }

    /// Google's clock, as its last answer told it.
    pub fn clock(&self) -> Option<doctor::Clock> {
        self.client.clock()
    }

    /// Google follows a zone that is renamed late, or not at all: a name that it does not take is tried by the others. A
    /// refusal did nothing, so that asking again does no harm.
    async fn ask_by_names(&self, ask: &Ask, deadline: Deadline) -> Result<Value, Fault> {
        let outcome = self.ask_quietly(ask, deadline).await;
        let refused = outcome.as_ref().err().and_then(Fault::refused_zone);
        for name in refused.map(times::other_names).unwrap_or_default() {
            let outcome = self.ask_quietly(&ask.in_zone(name), deadline).await;
            if outcome.as_ref().err().and_then(Fault::refused_zone).is_none() {
                return outcome;
            }
        }
        outcome
    }

    /// A token that Google does not take is refreshed once, however long it should have held.
    async fn ask_quietly(&self, ask: &Ask, deadline: Deadline) -> Result<Value, Fault> {
        let google = self.google().await.map_err(Fault::NoAccess)?;
        let token = self.tokens.access(&google, None, deadline).await?;
        match self.client.ask(ask, &token, deadline).await {
            Err(fault) if fault.has_status(401) => {
                let token = self.tokens.access(&google, Some(&token), deadline).await?;
                self.client.ask(ask, &token, deadline).await
            }
            outcome => outcome,
        }
    }

    /// The time zone that is meant when nobody names one.
    ///
    /// # Errors
    /// `invalid` if the calendar's is not known here: another one would put working hours into the night.
    pub fn zone(&self) -> Result<TimeZone, OperationError> {
        if let Some(zone) = &self.config.time_zone {
            return Ok(zone.clone());
        }
        let Some(name) = self.zone.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
            return Ok(TimeZone::UTC);
        };
        times::known_zone(&name).ok_or_else(|| {
            OperationError::invalid(format!(
                "the calendar's time zone, `{name}`, is not known here: give `time_zone`, or set `GOOGLE_CALENDAR_TIME_ZONE`"
            ))
        })
    }

    /// Learns the calendar's time zone from a list of its events.
    fn note_zone(&self, answer: &Value) {
        if let Some(name) = answer.get("timeZone").and_then(Value::as_str) {
            *self.zone.lock().unwrap_or_else(PoisonError::into_inner) = Some(name.to_owned());
        }
    }

    fn tell_success(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= EVIDENCE_PAUSE) {
            *told = Some(Clock::now());
            self.tell(Report::Success);
        }
    }

    /// Does not wait: no request depends on it.
    pub fn tell(&self, report: Report) {
        let context = self.context.clone();
        tokio::spawn(async move {
            if let Err(error) = context.host().report(report).await {
                tracing::debug!(%error, "the host did not accept the health report");
            }
        });
    }

    /// While consent is missing, looks whether somebody gave it at another host.
    fn watch(self: &Arc<Self>) {
        if self.watching.swap(true, Ordering::SeqCst) {
            return;
        }
        let account = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                sleep(LOOK_EVERY).await;
                let Some(account) = account.upgrade() else { return };
                if account.tokens.has_news().await {
                    account.watching.store(false, Ordering::SeqCst);
                    let _ = account.context.host().verify().await;
                    return;
                }
            }
        });
    }
}

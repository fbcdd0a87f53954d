//! What went wrong with Google -> a [`Fault`] -> why the plugin does not work, or why a request was not done. Google's
//! own words are never passed on; they are in the log at debug level.

use std::{error::Error, io};

use plugin_api::{prelude::*, requests::host::Report};

use crate::settings::START_PATH;

/// Why Google did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    /// There is no access token to ask with.
    #[error("{0}")]
    NoAccess(Failure),
    /// It never reached Google.
    #[error("{0}")]
    Unreached(Failure),
    /// It was sent, and no whole answer came.
    #[error("{0}")]
    Unanswered(Failure),
    /// Google answered with an error.
    #[error("Google answered {} {}", .0.status, .0.reason)]
    Refused(Refusal),
    /// The caller's time ended.
    #[error("the caller's time ended")]
    OutOfTime {
        /// Something had been sent by then.
        sent: bool,
    },
}

/// An answer with an error status.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub status: u16,
    /// Google's word for it, such as `rateLimitExceeded`; empty if it has none.
    pub reason: String,
    pub retry_after: Option<Duration>,
    /// The time zone that it does not take.
    pub zone: Option<String>,
}

impl Refusal {
    /// Google asks to slow down.
    pub fn is_rate(&self) -> bool {
        let rate = ["rateLimitExceeded", "userRateLimitExceeded"];
        self.status == 429 || (self.status == 403 && rate.contains(&self.reason.as_str()))
    }

    fn is_quota(&self) -> bool {
        ["quotaExceeded", "dailyLimitExceeded", "dailyLimitExceededUnreg"].contains(&self.reason.as_str())
    }

    /// The consent does not cover it.
    fn lacks_scope(&self) -> bool {
        ["insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"].contains(&self.reason.as_str())
    }

    /// The account may read the calendar and not change it.
    fn is_read_only(&self) -> bool {
        self.status == 403 && ["requiredAccessLevel", "writerAccessRequired"].contains(&self.reason.as_str())
    }

    fn is_switched_off(&self) -> bool {
        ["accessNotConfigured", "SERVICE_DISABLED"].contains(&self.reason.as_str())
    }
}

impl Fault {
    /// Trying again may help, for nothing was done.
    pub fn is_undone(&self) -> bool {
        match self {
            Self::Unreached(failure) => matches!(
                failure.code,
                ReasonCode::Timeout | ReasonCode::Dns | ReasonCode::Refused | ReasonCode::Unavailable
            ),
            Self::Refused(refusal) => refusal.is_rate(),
            _ => false,
        }
    }

    /// Trying again may help, if doing it twice is no harm.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unanswered(failure) => failure.code != ReasonCode::Protocol,
            Self::Refused(refusal) => refusal.status >= 500 || refusal.is_rate(),
            _ => self.is_undone(),
        }
    }

    /// It may have been done all the same.
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::Unanswered(_) | Self::OutOfTime { sent: true } => true,
            Self::Refused(refusal) => refusal.status >= 500,
            _ => false,
        }
    }

    /// The time zone that Google does not take.
    pub fn refused_zone(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => refusal.zone.as_deref(),
            _ => None,
        }
    }

    /// Google's answer has this status.
    pub fn has_status(&self, status: u16) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.status == status)
    }

    /// What it says of the plugin as a whole; `None`: only of this request. A consent that covers a part is found by the
    /// probe if that part is what the probe reads; else the error tells.
    pub fn evidence(&self) -> Option<Report> {
        let of_the_whole = match self {
            Self::NoAccess(_) | Self::Unreached(_) | Self::Unanswered(_) => true,
            Self::Refused(refusal) => {
                refusal.status == 401
                    || refusal.status >= 500
                    || refusal.is_rate()
                    || refusal.is_quota()
                    || refusal.is_switched_off()
            }
            Self::OutOfTime { .. } => false,
        };
        of_the_whole.then(|| Failure::from(self.clone()).into())
    }

    /// As [`Self::into_error`], where `calendar` is that of the settings or one that the caller named: that the account may
    /// not write to its own calendar is ours to mend.
    pub fn into_error_of(self, what: &str, is_own_calendar: bool) -> OperationError {
        let is_read_only = matches!(&self, Self::Refused(refusal) if refusal.is_read_only());
        let error = self.into_error(what);
        if !(is_read_only && is_own_calendar) {
            return error;
        }
        let label = "share the calendar with the connected account so that it may change events";
        error
            .with_trouble(ReasonCode::Forbidden)
            .with_fix(FixHint { label: Some(label.to_owned()), ..FixHint::setting("calendar") })
    }

    /// As a caller sees it; `what` is the thing that it was about.
    pub fn into_error(self, what: &str) -> OperationError {
        match self {
            Self::NoAccess(failure) | Self::Unreached(failure) | Self::Unanswered(failure) => failure.into(),
            Self::OutOfTime { .. } => {
                OperationError::deadline(format!("Google had not answered for {what} when the time ended"))
            }
            Self::Refused(refusal) => refused(&refusal, what),
        }
    }
}

fn refused(refusal: &Refusal, what: &str) -> OperationError {
    let Refusal { status, reason, retry_after, zone } = refusal;
    let because = if reason.is_empty() { String::new() } else { format!(" (`{reason}`)") };
    let error = match status {
        _ if refusal.is_rate() || refusal.is_quota() => {
            let code = if refusal.is_rate() { ReasonCode::RateLimited } else { ReasonCode::Quota };
            OperationError::overloaded(format!("Google asks to slow down{because}")).with_trouble(code)
        }
        401 => Failure::from(Fault::Refused(refusal.clone())).into(),
        403 if refusal.lacks_scope() || refusal.is_switched_off() => {
            Failure::from(Fault::Refused(refusal.clone())).into()
        }
        403 => OperationError::denied(format!("the connected account may not do this with {what}{because}")),
        404 | 410 => OperationError::not_found(format!("Google knows no {what}")),
        409 => OperationError::conflict(format!("{what} contradicts what is there already{because}")),
        412 => OperationError::conflict(format!("{what} was changed meanwhile: read it again")),
        500.. => OperationError::unavailable(format!("Google answered {status}{because}")),
        _ => OperationError::invalid(match zone {
            Some(zone) => format!(
                "Google does not take the time zone `{zone}` for {what}, by any of its names: give another one with the \
                 same clock"
            ),
            None => format!("Google refuses the request for {what}: {status}{because}"),
        }),
    };
    match retry_after {
        Some(wait) => error.retry_after(*wait),
        None => error,
    }
}

/// As the health of the plugin tells it.
impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NoAccess(failure) | Fault::Unreached(failure) | Fault::Unanswered(failure) => failure,
            Fault::OutOfTime { .. } => Failure::timeout("Google did not answer in time"),
            Fault::Refused(refusal) => unwell(&refusal),
        }
    }
}

fn unwell(refusal: &Refusal) -> Failure {
    let Refusal { status, reason, retry_after, .. } = refusal;
    let because = if reason.is_empty() { String::new() } else { format!(" (`{reason}`)") };
    let failure = match status {
        _ if refusal.is_rate() => Failure::rate_limited(format!("Google asks to slow down{because}")),
        _ if refusal.is_quota() => {
            Failure::quota(format!("the project's quota of the Calendar API is used up{because}")).advise(
                FixAction::SeeVendor,
                "Raise the quota of the Calendar API in Google's console, or wait until it renews",
            )
        }
        401 => consent_ended("Google does not accept the access that was granted any more"),
        403 if refusal.lacks_scope() => Failure::consent_required(format!(
            "the consent does not cover what the calendar is used for{because}: connect it again and leave every box \
             ticked"
        ))
        .href(START_PATH),
        403 if refusal.is_switched_off() => Failure::forbidden(format!(
            "the Google Calendar API is switched off for the project of the OAuth client{because}: enable it in \
             Google's console under APIs & Services, Library"
        ))
        .advise(
            FixAction::SeeVendor,
            "Enable the Google Calendar API in Google's console under APIs & Services, Library; then verify it",
        ),
        403 => Failure::forbidden(format!("the connected account may not read the calendar{because}")).advise(
            FixAction::SeeVendor,
            "Share the calendar with the connected account, or connect the account that it belongs to",
        ),
        500.. => Failure::unavailable(format!("Google answered {status}{because}")),
        _ => Failure::protocol(format!("Google answered {status}{because} to a plain read"))
            .advise(FixAction::Upgrade, "Upgrade the plugin: Google does not take its requests any more"),
    };
    match retry_after {
        Some(wait) => failure.retry_after(*wait),
        None => failure,
    }
}

/// There was consent, and Google does not honour it any more.
pub fn consent_ended(why: &str) -> Failure {
    Failure::auth_expired(format!("{why}: connect the calendar again")).href(START_PATH)
}

/// There was no consent yet.
pub fn consent_missing() -> Failure {
    Failure::consent_required("configured, but nobody has connected a Google account yet").href(START_PATH)
}

/// What kept a request from getting its answer. `host` is whom it went to.
pub fn transport(error: &reqwest::Error, host: &str) -> Fault {
    if error.is_timeout() {
        let failure = Failure::timeout(format!("`{host}` did not answer in time"));
        return if error.is_connect() { Fault::Unreached(failure) } else { Fault::Unanswered(failure) };
    }
    if error.is_builder() {
        return Fault::Unreached(Failure::internal(format!("no request to `{host}` can be made")));
    }
    if error.is_connect() {
        return Fault::Unreached(no_connection(error, host));
    }
    Fault::Unanswered(Failure::unavailable(format!("`{host}` broke the connection off")))
}

fn no_connection(error: &reqwest::Error, host: &str) -> Failure {
    for cause in causes(error) {
        if is_tls(cause) {
            return Failure::tls(format!(
                "no trustworthy TLS connection to `{host}` can be made: its certificate is not trusted, or it \
                 speaks no TLS"
            ));
        }
        if cause.to_string().contains("dns error") {
            return Failure::dns(format!("the name `{host}` does not resolve to an address"));
        }
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            match error.kind() {
                io::ErrorKind::ConnectionRefused => {
                    return Failure::refused(format!("nobody listens at `{host}`"));
                }
                io::ErrorKind::TimedOut => {
                    return Failure::timeout(format!("`{host}` did not answer in time"));
                }
                _ => {}
            }
        }
    }
    Failure::unavailable(format!("no connection to `{host}` can be made"))
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

/// rustls hands its error over inside an I/O error.
fn is_tls(cause: &(dyn Error + 'static)) -> bool {
    let inside = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    cause.is::<rustls::Error>() || inside.is_some_and(|error| error.is::<rustls::Error>())
}

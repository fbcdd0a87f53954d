//! Email over SMTP; mails are written by lettre. In the order in which a mail passes:
//! - `settings`: what the operator gives -> a checked `Config`.
//! - `address`: text -> a mailbox, and nothing that could break a header.
//! - `message`: a request -> the bytes that are sent.
//! - `message_id`: the name of a mail, known before it is sent.
//! - `client`: a connection with login, and the conversation that hands a mail over.
//! - `errors`: what went wrong there -> why the plugin does not work, or why a mail was not sent.
//! - `ledger`: idempotency keys -> what became of the mail.
//! - `mailer`: all of this together: a request in, its outcome out, never two mails.
//! - `doctor`: a login, and a mail to oneself where one agrees.

mod settings;
mod address;
mod message;
mod message_id;
mod client;
mod errors;
mod ledger;
mod mailer;
mod doctor;
#[cfg(test)]
mod tests;

use plugin_api::{
    level::Level,
    prelude::*,
    requests::{
        doctor::{Examination, Examine},
        email::{SendEmail, Sent},
    },
};

use crate::{
    mailer::{Asker, Mailer},
    settings::{Config, Settings},
};

const PROBE_INTERVAL: Duration = Duration::from_secs(60);

/// One mail server, one sender.
struct Smtp {
    mailer: Mailer,
}

impl Plugin for Smtp {
    type Settings = Settings;

    fn manifest() -> ManifestBuilder<Self> {
        Manifest::integration("smtp")
            .about("Sends email over SMTP")
            .multi_instance()
            .all_or_none(["oauth_refresh_token", "oauth_client_id"])
            .probe_every(PROBE_INTERVAL)
            .operation(
                Operation::of(Self::send_email)
                    .about(
                        "Sends one email from the configured sender to one or more people, as plain text, HTML or \
                         both, with files if there are any. It cannot be taken back. If the outcome is unknown, do \
                         not send it again: say so.",
                    )
                    .tool()
                    .needs(Level::Shown)
                    .decisive(["to", "cc", "bcc", "reply_to", "subject"]),
            )
            .operation(
                Operation::of(Self::doctor)
                    .about("Checks that mail can be sent: by a login, and with `effects` by a mail to the sender")
                    .doctor(),
            )
    }

    fn create(settings: Settings, context: Context) -> Result<Self, Failure> {
        let config = Config::check(settings, |path| context.resolve_path(path))?;
        Ok(Self { mailer: Mailer::new(config, context) })
    }

    async fn probe(&self) -> Result<(), Failure> {
        self.mailer.verify().await
    }

    async fn stop(&self) {
        self.mailer.close().await;
    }
}

impl Smtp {
    async fn send_email(self: Arc<Self>, request: SendEmail, call: Call) -> Result<Sent, OperationError> {
        self.mailer.send(&request, Asker::of(&call)).await
    }

    async fn doctor(self: Arc<Self>, request: Examine, call: Call) -> Result<Examination, OperationError> {
        let checks = doctor::examine(&self.mailer, &request, Asker::of(&call)).await;
        Ok(Examination { checks, clock: None })
    }
}

plugin_api::export_plugin!(Smtp);

//! One mail on one connection, in two halves: who it is from and for, which can be broken off without a trace, and the
//! mail itself, after which only the server's answer tells whether it was taken.

use std::{iter, sync::Arc};

use lettre::transport::smtp::{
    Error as SmtpError,
    client::AsyncSmtpConnection,
    commands::{Data, Mail, Rcpt},
    extension::{Extension, MailBodyParameter, MailParameter},
};
use plugin_api::{
    prelude::*,
    tokio::{sync::OwnedSemaphorePermit, time::timeout},
    tracing,
};

use super::IdleConnections;
use crate::{
    errors::{
        connecting,
        reply::{About, Reply},
        sending,
    },
    message::Letter,
    settings::Config,
};

/// A mail is written in pieces of this size.
const PIECE: usize = 64 * 1024;

/// A connection while a mail is handed over on it. Dropping it closes the connection.
pub struct Session {
    connection: AsyncSmtpConnection,
    config: Arc<Config>,
    idle: Arc<IdleConnections>,
    _slot: OwnedSemaphorePermit,
}

/// Why the mail was not taken, or that nobody knows.
pub struct NotTaken {
    pub error: OperationError,
    /// The server says that the login is at fault, and with it the plugin as a whole.
    pub login: Option<Failure>,
}

impl Session {
    pub(super) fn new(
        connection: AsyncSmtpConnection,
        config: Arc<Config>,
        idle: Arc<IdleConnections>,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        Self { connection, config, idle, _slot: slot }
    }

    /// Says who the mail is from and for, up to the point where the server asks for the mail itself. Until then nothing
    /// is sent, and dropping the session leaves no trace.
    pub async fn announce(&mut self, letter: &Letter) -> Result<(), NotTaken> {
        let sender = Mail::new(Some(letter.sender.clone()), self.parameters(letter)?);
        self.ask(sender.to_string(), "while the sender was named", About::Sender).await?;

        let mut refused = Vec::new();
        for recipient in &letter.recipients {
            let command = Rcpt::new(recipient.clone(), Vec::new()).to_string();
            match self.answer(command, "while the recipients were named").await? {
                Ok(()) => {}
                Err(reply) => refused.push((recipient.to_string(), reply)),
            }
        }
        if !refused.is_empty() {
            let login = refused.iter().find_map(|(_, reply)| self.login_at_fault(reply));
            return Err(NotTaken { error: sending::refused_recipients(&refused), login });
        }
        self.ask(Data.to_string(), "before the mail was handed over", About::Mail).await
    }

    /// Hands the mail itself over. To be called once, after [`Session::announce`].
    pub async fn hand_over(&mut self, letter: &Letter) -> Result<(), NotTaken> {
        let limit = self.config.message_timeout;
        let mut complete = false;
        // lettre asks for a next piece before it writes the line that ends the mail: until then the server cannot
        // have taken it.
        let end = iter::from_fn(|| {
            complete = true;
            None
        });
        let pieces = letter.bytes.chunks(PIECE).chain(end);
        let answer = timeout(limit, self.connection.message_iter(pieces)).await;
        match answer {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => match self.reply(&error) {
                Some(reply) => Err(self.refusal(About::Mail, &reply)),
                None if complete => {
                    Err(sending::unknown(&letter.message_id, "the server's answer did not arrive whole")
                        .into())
                }
                None => Err(self.broke_off("while the mail was handed over").into()),
            },
            Err(_) if complete => Err(sending::unknown(
                &letter.message_id,
                &format!("the server gave no answer within {limit:?}"),
            )
            .into()),
            Err(_) => Err(self.broke_off("while the mail was handed over").into()),
        }
    }

    /// Keeps the connection for the next mail. Only after a mail was taken: then nothing of it is left over.
    pub fn keep(self) {
        self.idle.keep(self.connection);
    }

    /// What the server must know of the mail beforehand (RFC 6152, RFC 6531).
    fn parameters(&self, letter: &Letter) -> Result<Vec<MailParameter>, OperationError> {
        let server = self.connection.server_info();
        let mut parameters = Vec::new();
        let addresses = iter::once(&letter.sender).chain(&letter.recipients);
        let mut international = addresses.map(ToString::to_string).filter(|address| !address.is_ascii());
        if let Some(address) = international.next() {
            if !server.supports_feature(Extension::SmtpUtfEight) {
                return Err(sending::no_international_addresses(&address));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        // Only addresses beyond ASCII make bytes beyond ASCII; a server with SMTPUTF8 has 8BITMIME too.
        if !letter.bytes.is_ascii() {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        Ok(parameters)
    }

    /// Sends a command that must succeed.
    async fn ask(&mut self, command: String, place: &str, about: About) -> Result<(), NotTaken> {
        self.answer(command, place).await?.map_err(|reply| self.refusal(about, &reply))
    }

    /// Sends a command; the inner result is the server's answer, the outer one says that there was none.
    async fn answer(&mut self, command: String, place: &str) -> Result<Result<(), Reply>, NotTaken> {
        match timeout(self.config.timeout, self.connection.command(command)).await {
            Ok(Ok(_)) => Ok(Ok(())),
            Ok(Err(error)) => match self.reply(&error) {
                Some(reply) => Ok(Err(reply)),
                None => Err(self.broke_off(place).into()),
            },
            Err(_) => Err(self.broke_off(place).into()),
        }
    }

    fn reply(&self, error: &SmtpError) -> Option<Reply> {
        tracing::debug!(%error, "the mail server did not take a step");
        Reply::of(error)
    }

    fn refusal(&self, about: About, reply: &Reply) -> NotTaken {
        NotTaken { error: sending::refused(about, reply), login: self.login_at_fault(reply) }
    }

    fn login_at_fault(&self, reply: &Reply) -> Option<Failure> {
        reply.is_about_login().then(|| connecting::refused_login(reply, &self.config))
    }

    fn broke_off(&self, place: &str) -> OperationError {
        sending::broke_off(&self.config.address(), place)
    }
}

impl From<OperationError> for NotTaken {
    fn from(error: OperationError) -> Self {
        Self { error, login: None }
    }
}

//! One mail on one connection, in two halves: who it is from and for, which can be broken off without a trace, and the
//! mail itself, after which only the server's answer tells whether it was taken.

use std::{io, iter, sync::Arc};

use plugin_api::{
    prelude::*,
    tokio::{sync::OwnedSemaphorePermit, time::timeout},
    tracing,
};

use super::{IdleConnections, connection::Connection};
use crate::{
    errors::{
        login,
        reply::{About, Hint, Reply},
        sending,
    },
    message::Letter,
    settings::Config,
};

/// A connection while a mail is handed over on it. Dropping it closes the connection.
pub struct Session {
    connection: Connection,
    /// It carried a mail before.
    was_kept: bool,
    config: Arc<Config>,
    idle: Arc<IdleConnections>,
    slot: OwnedSemaphorePermit,
}

/// Why the mail was not taken, or that nobody knows.
pub struct NotTaken {
    pub error: OperationError,
    /// The server says that the login is at fault, and with it the plugin as a whole.
    pub login: Option<Failure>,
    /// The connection came to its end before anything was sent.
    pub ended: bool,
}

impl Session {
    pub(super) fn new(
        connection: Connection,
        was_kept: bool,
        config: Arc<Config>,
        idle: Arc<IdleConnections>,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        Self { connection, was_kept, config, idle, slot }
    }

    /// Whether it carried a mail before: then the server may have had enough of it.
    pub fn was_kept(&self) -> bool {
        self.was_kept
    }

    /// The same place among the connections, for another one.
    pub(super) fn into_slot(self) -> OwnedSemaphorePermit {
        self.slot
    }

    /// Says who the mail is from and for, up to the point where the server asks for the mail itself. Until then nothing
    /// is sent, and dropping the session leaves no trace.
    pub async fn announce(&mut self, letter: &Letter) -> Result<(), NotTaken> {
        let sender = format!("MAIL FROM:<{}>{}", letter.sender, self.parameters(letter)?);
        let reply = self.ask(&sender, "while the sender was named").await?;
        self.demand(reply.is_done(), About::Sender, &reply)?;

        let mut refused = Vec::new();
        for recipient in &letter.recipients {
            let reply =
                self.ask(&format!("RCPT TO:<{recipient}>"), "while the recipients were named").await?;
            if let Some(not_taken) = self.of_us(&reply) {
                return Err(not_taken);
            }
            if !reply.is_done() {
                refused.push((recipient.to_string(), reply));
            }
        }
        if !refused.is_empty() {
            return Err(sending::refused_recipients(&refused).into());
        }
        let reply = self.ask("DATA", "before the mail was handed over").await?;
        self.demand(reply.is_question(), About::Mail, &reply)
    }

    /// Hands the mail itself over. To be called once, after [`Session::announce`].
    pub async fn hand_over(&mut self, letter: &Letter) -> Result<(), NotTaken> {
        let limit = self.config.message_timeout;
        let mut complete = false;
        let connection = &mut self.connection;
        let answer = timeout(limit, async {
            connection.write_mail(&letter.bytes).await?;
            complete = true;
            connection.end_mail().await
        });
        let unknown = |why: &str| Err(sending::unknown(&letter.message_id, why).into());
        match answer.await {
            Ok(Ok(reply)) if reply.is_done() => Ok(()),
            // Neither taken nor refused: it makes no sense here.
            Ok(Ok(reply)) if reply.is_question() => unknown("the server's answer makes no sense"),
            Ok(Ok(reply)) => Err(self.refusal(About::Mail, &reply)),
            Ok(Err(_)) if complete => unknown("the server's answer did not arrive whole"),
            Err(_) if complete => unknown(&format!("the server gave no answer within {limit:?}")),
            Ok(Err(_)) | Err(_) => Err(self.broke_off("while the mail was handed over")),
        }
    }

    /// Keeps the connection for the next mail. Only after a mail was taken: then nothing of it is left over.
    pub fn keep(self) {
        self.idle.keep(self.connection);
    }

    /// What the server must know of the mail beforehand (RFC 6152, RFC 6531).
    fn parameters(&self, letter: &Letter) -> Result<String, OperationError> {
        let mut parameters = String::new();
        let addresses = iter::once(&letter.sender).chain(&letter.recipients);
        let mut international = addresses.map(ToString::to_string).filter(|address| !address.is_ascii());
        if let Some(address) = international.next() {
            if !self.connection.offers().smtputf8 {
                return Err(sending::no_international_addresses(&address));
            }
            parameters.push_str(" SMTPUTF8");
        }
        // Only addresses beyond ASCII make bytes beyond ASCII; a server with SMTPUTF8 has 8BITMIME too.
        if !letter.bytes.is_ascii() {
            parameters.push_str(" BODY=8BITMIME");
        }
        Ok(parameters)
    }

    async fn ask(&mut self, command: &str, place: &str) -> Result<Reply, NotTaken> {
        match timeout(self.config.timeout, self.connection.ask(command)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => {
                tracing::debug!(%error, "the mail server gives no reply");
                let broken = self.broke_off(place);
                Err(NotTaken { ended: error.kind() != io::ErrorKind::InvalidData, ..broken })
            }
            Err(_) => Err(self.broke_off(place)),
        }
    }

    fn demand(&self, is_met: bool, about: About, reply: &Reply) -> Result<(), NotTaken> {
        if is_met { Ok(()) } else { Err(self.refusal(about, reply)) }
    }

    fn refusal(&self, about: About, reply: &Reply) -> NotTaken {
        self.of_us(reply).unwrap_or_else(|| sending::refused(about, reply).into())
    }

    /// A refusal that concerns neither sender, recipients nor mail, whichever command it answers.
    fn of_us(&self, reply: &Reply) -> Option<NotTaken> {
        if !reply.is_refusal() {
            return None;
        }
        tracing::debug!(%reply, words = reply.lines.join(" "), "the mail server does not take a step");
        if reply.hint() == Some(Hint::Hello) {
            return Some(sending::refused_hello(reply, self.connection.name()).into());
        }
        if reply.is_about_login() {
            let failure = login::refused(reply, &self.config);
            let error = sending::refused_login(reply, &failure);
            return Some(NotTaken { login: Some(failure), ..error.into() });
        }
        reply
            .ends_connection()
            .then(|| NotTaken { ended: true, ..sending::ended(&self.config.address(), reply).into() })
    }

    fn broke_off(&self, place: &str) -> NotTaken {
        sending::broke_off(&self.config.address(), place).into()
    }
}

impl From<OperationError> for NotTaken {
    fn from(error: OperationError) -> Self {
        Self { error, login: None, ended: false }
    }
}

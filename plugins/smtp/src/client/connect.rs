//! Settings -> a connection that is encrypted as they demand and logged in. All steps share the setting `timeout`, and
//! the failure names the step that used it up.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plugin_api::{
    files,
    prelude::*,
    tls::install_provider,
    tokio::{
        net::{TcpStream, lookup_host},
        sync::OnceCell,
        time::{Instant, timeout, timeout_at},
    },
    tracing,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use rustls_platform_verifier::ConfigVerifierExt as _;
use tokio_rustls::TlsConnector;

use super::{
    connection::{Connection, Stream},
    tokens::Tokens,
};
use crate::{
    errors::{
        connecting, login,
        reply::{Hint, Reply},
        tls,
    },
    settings::{Config, Proof, TlsMode},
};

/// The server asks for what the exchange has not got: this ends it (RFC 4954, 4).
const CANCEL: &str = "*";

/// Makes connections.
pub struct Connector {
    config: Arc<Config>,
    /// Whom to trust; read when it is needed first.
    trust: OnceCell<Arc<ClientConfig>>,
    /// Where the access tokens come from, if one logs in with them.
    tokens: Option<Tokens>,
}

impl Connector {
    pub fn new(config: Arc<Config>, context: &Context) -> Self {
        let tokens = config.credentials.as_ref().and_then(|known| Tokens::of(&known.proof, context));
        Self { config, trust: OnceCell::new(), tokens }
    }

    /// Connects, encrypts, logs in.
    pub async fn connect(&self) -> Result<Connection, Failure> {
        let until = Instant::now() + self.config.timeout;
        let mut connection = self.reach(until).await?;
        if self.config.tls == TlsMode::Starttls {
            connection = self.encrypt(connection, until).await?;
        }
        self.log_in(&mut connection, until).await?;
        Ok(connection)
    }

    /// Waits until nothing is under way that must not be cut.
    pub async fn settle(&self) {
        if let Some(tokens) = &self.tokens {
            tokens.settle().await;
        }
    }

    /// Tries the server's addresses in turn until one greets.
    async fn reach(&self, until: Instant) -> Result<Connection, Failure> {
        let addresses = self.resolve(until).await?;
        let mut failure = None;
        for (index, address) in addresses.iter().enumerate() {
            let share = until.saturating_duration_since(Instant::now()) / (addresses.len() - index) as u32;
            match self.greet(*address, share, until).await {
                Ok(connection) => return Ok(connection),
                Err(other) => failure = Some(other),
            }
        }
        Err(failure.expect("there is at least one address"))
    }

    async fn resolve(&self, until: Instant) -> Result<Vec<SocketAddr>, Failure> {
        let lookup = lookup_host((self.config.server.as_str(), self.config.port));
        let addresses: Vec<SocketAddr> = self
            .within(until, "no address for its name", lookup)
            .await?
            .map_err(|error| connecting::resolving(&error, &self.config))?
            .collect();
        if addresses.is_empty() {
            let error = io::Error::other("no addresses");
            return Err(connecting::resolving(&error, &self.config));
        }
        Ok(addresses)
    }

    /// Connects to one address, encrypted at once if so demanded, and introduces itself after the greeting.
    async fn greet(
        &self,
        address: SocketAddr,
        share: Duration,
        until: Instant,
    ) -> Result<Connection, Failure> {
        let trust = match self.config.tls {
            TlsMode::Implicit => Some(self.trust().await?),
            TlsMode::Starttls | TlsMode::None => None,
        };
        let greeted = async {
            let stream = timeout(share, TcpStream::connect(address)).await.map_err(io::Error::from)??;
            stream.set_nodelay(true)?;
            let name = self.config.ehlo_name.clone().unwrap_or(literal(stream.local_addr()?.ip()));
            let stream: Box<dyn Stream> = Box::new(stream);
            let stream = match trust {
                Some(trust) => self.secure(stream, trust).await?,
                None => stream,
            };
            let mut connection = Connection::new(stream);
            let greeting = connection.hear().await?;
            let hello = if greeting.is_done() { Some(connection.hello(&name).await?) } else { None };
            Ok((connection, greeting, hello))
        };
        let greeted = self.within(until, connecting::GREETING, greeted).await?;
        let (connection, greeting, hello) = greeted.map_err(|error| self.broken(&error))?;
        self.demand(&greeting)?;
        hello.map_or(Ok(()), |hello| self.demand_hello(&hello, &connection))?;
        Ok(connection)
    }

    /// Upgrades to TLS. There is no going on without.
    async fn encrypt(&self, mut connection: Connection, until: Instant) -> Result<Connection, Failure> {
        if !connection.offers().starttls {
            return Err(tls::no_starttls(&self.config));
        }
        let trust = self.trust().await?;
        let reply = self.within(until, "no answer to STARTTLS", connection.ask("STARTTLS")).await?;
        self.demand(&reply.map_err(|error| self.broken(&error))?)?;
        let name = connection.name().to_owned();
        let stream = connection.into_stream().ok_or_else(|| tls::words_ahead(&self.config))?;
        let upgrade = async {
            let mut connection = Connection::new(self.secure(stream, trust).await?);
            let hello = connection.hello(&name).await?;
            Ok((connection, hello))
        };
        let upgraded = self.within(until, "no TLS handshake", upgrade).await?;
        let (connection, hello) = upgraded.map_err(|error| self.broken(&error))?;
        self.demand_hello(&hello, &connection)?;
        Ok(connection)
    }

    async fn secure(&self, stream: Box<dyn Stream>, trust: Arc<ClientConfig>) -> io::Result<Box<dyn Stream>> {
        let name = ServerName::try_from(self.config.server.clone()).map_err(io::Error::other)?;
        Ok(Box::new(TlsConnector::from(trust).connect(name, stream).await?))
    }

    /// Logs in by what the settings hold and the server offers (RFC 4954; XOAUTH2 as Google and Microsoft describe it).
    async fn log_in(&self, connection: &mut Connection, until: Instant) -> Result<(), Failure> {
        let Some(credentials) = &self.config.credentials else { return Ok(()) };
        let user = &credentials.user;
        let mechanisms = &connection.offers().mechanisms;
        let offered = |name: &str| mechanisms.iter().any(|offered| offered == name);
        let (command, answers) = match (&credentials.proof, &self.tokens) {
            (Proof::Password(password), _) if offered("PLAIN") => (
                format!("AUTH PLAIN {}", STANDARD.encode(format!("\0{user}\0{}", password.expose()))),
                Vec::new(),
            ),
            // User name and password, in this order, in whatever language they are asked for.
            (Proof::Password(password), _) if offered("LOGIN") => {
                ("AUTH LOGIN".to_owned(), vec![STANDARD.encode(user), STANDARD.encode(password.expose())])
            }
            (_, Some(tokens)) if offered("XOAUTH2") => {
                let token = tokens.access(until).await?;
                let text = format!("user={user}\x01auth=Bearer {}\x01\x01", token.expose());
                // A refusal comes as a question first, whose answer is empty.
                (format!("AUTH XOAUTH2 {}", STANDARD.encode(text)), vec![String::new()])
            }
            _ => return Err(login::not_offered(mechanisms, &self.config)),
        };
        let exchange = async {
            let mut answers = answers.into_iter();
            let mut reply = connection.ask(&command).await?;
            while reply.is_question() {
                tracing::debug!(question = reply.lines.join(" "), "the mail server sends another challenge");
                reply = connection.ask(&answers.next().unwrap_or(CANCEL.to_owned())).await?;
            }
            Ok(reply)
        };
        let reply = self.within(until, "no answer to the login", exchange).await?;
        let reply = reply.map_err(|error: io::Error| self.broken(&error))?;
        match reply.is_done() {
            true => Ok(()),
            false if reply.is_transient() => Err(connecting::unwilling(&reply, &self.config)),
            false => {
                if let Some(tokens) = &self.tokens {
                    // Out of time only during a renewal, which brings a new one anyway.
                    let _ = timeout_at(until, tokens.forget()).await;
                }
                Err(login::refused(&reply, &self.config))
            }
        }
    }

    fn demand(&self, reply: &Reply) -> Result<(), Failure> {
        if reply.is_done() { Ok(()) } else { Err(connecting::unwilling(reply, &self.config)) }
    }

    /// Servers refuse this machine here too: only the codes of a bad argument (RFC 5321, 4.2.2) and words blame the name.
    fn demand_hello(&self, reply: &Reply, connection: &Connection) -> Result<(), Failure> {
        match matches!(reply.code, 501 | 504) || reply.hint() == Some(Hint::Hello) {
            _ if reply.is_done() => Ok(()),
            true => Err(connecting::refused_hello(reply, connection.name(), &self.config)),
            false => Err(connecting::unwilling(reply, &self.config)),
        }
    }

    fn broken(&self, error: &io::Error) -> Failure {
        connecting::reaching(error, &self.config)
    }

    async fn within<T>(
        &self,
        until: Instant,
        missing: &str,
        step: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        timeout_at(until, step).await.map_err(|_| connecting::too_slow(missing, &self.config))
    }

    async fn trust(&self) -> Result<Arc<ClientConfig>, Failure> {
        self.trust.get_or_try_init(|| async { self.read_trust().map(Arc::new) }).await.cloned()
    }

    /// The authorities of `ca_file` alone, or those of this machine.
    fn read_trust(&self) -> Result<ClientConfig, Failure> {
        install_provider();
        let Some(path) = self.config.ca_file.as_deref() else {
            return ClientConfig::with_platform_verifier().map_err(|error| {
                tracing::debug!(%error, "no certificate authorities");
                tls::no_authorities(None)
            });
        };
        let pem = files::read(path).map_err(|error| tls::unreadable_authorities(path, &error))?;
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
        if added == 0 {
            return Err(tls::no_authorities(Some(path)));
        }
        Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
    }
}

/// The address of this machine as a name (RFC 5321, 4.1.3), for want of a better one.
fn literal(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    }
}

//! Settings -> a connection that is encrypted as they demand and logged in. All steps share the setting `timeout`, and
//! the failure names the step that used it up.

use std::{net::SocketAddr, sync::Arc};

use lettre::transport::smtp::{
    authentication::{Credentials, DEFAULT_MECHANISMS},
    client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters},
    extension::ClientId,
};
use plugin_api::{
    files,
    prelude::*,
    tokio::{
        net::lookup_host,
        sync::OnceCell,
        time::{Instant, timeout_at},
    },
    tracing,
};

use crate::{
    errors::{connecting, tls},
    settings::{Config, TlsMode},
};

/// Makes connections.
pub struct Connector {
    config: Arc<Config>,
    /// The name by which this machine introduces itself.
    hello: ClientId,
    /// Whom to trust; read when it is needed first.
    trust: OnceCell<TlsParameters>,
}

impl Connector {
    pub fn new(config: Arc<Config>) -> Self {
        Self { config, hello: ClientId::default(), trust: OnceCell::new() }
    }

    /// Connects, encrypts, logs in.
    pub async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let until = Instant::now() + self.config.timeout;
        let mut connection = self.reach(until).await?;
        if self.config.tls == TlsMode::Starttls {
            self.encrypt(&mut connection, until).await?;
        }
        if let Some((username, password)) = &self.config.credentials {
            let credentials = Credentials::new(username.clone(), password.expose().to_owned());
            self.log_in(&mut connection, &credentials, until).await?;
        }
        Ok(connection)
    }

    /// Tries the server's addresses in turn until one greets.
    async fn reach(&self, until: Instant) -> Result<AsyncSmtpConnection, Failure> {
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
            let error = std::io::Error::other("no addresses");
            return Err(connecting::resolving(&error, &self.config));
        }
        Ok(addresses)
    }

    /// Connects to one address, encrypted at once if so demanded, and waits for the greeting.
    async fn greet(
        &self,
        address: SocketAddr,
        share: Duration,
        until: Instant,
    ) -> Result<AsyncSmtpConnection, Failure> {
        let trust = match self.config.tls {
            TlsMode::Implicit => Some(self.trust().await?),
            TlsMode::Starttls | TlsMode::None => None,
        };
        let greeted = AsyncSmtpConnection::connect_tokio1(address, Some(share), &self.hello, trust, None);
        self.within(until, connecting::GREETING, greeted)
            .await?
            .map_err(|error| connecting::reaching(&error, &self.config))
    }

    /// Upgrades to TLS. There is no going on without.
    async fn encrypt(&self, connection: &mut AsyncSmtpConnection, until: Instant) -> Result<(), Failure> {
        if !connection.can_starttls() {
            return Err(tls::no_starttls(&self.config));
        }
        let upgrade = connection.starttls(self.trust().await?, &self.hello);
        self.within(until, "no TLS handshake", upgrade)
            .await?
            .map_err(|error| connecting::reaching(&error, &self.config))
    }

    async fn log_in(
        &self,
        connection: &mut AsyncSmtpConnection,
        credentials: &Credentials,
        until: Instant,
    ) -> Result<(), Failure> {
        if connection.server_info().get_auth_mechanism(DEFAULT_MECHANISMS).is_none() {
            return Err(connecting::no_login(&self.config));
        }
        self.within(until, "no answer to the login", connection.auth(DEFAULT_MECHANISMS, credentials))
            .await?
            .map(drop)
            .map_err(|error| connecting::login(&error, &self.config))
    }

    async fn within<T>(
        &self,
        until: Instant,
        missing: &str,
        step: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        timeout_at(until, step).await.map_err(|_| connecting::too_slow(missing, &self.config))
    }

    async fn trust(&self) -> Result<TlsParameters, Failure> {
        self.trust.get_or_try_init(|| async { self.read_trust() }).await.cloned()
    }

    /// The authorities of `ca_file` alone, or those of this machine.
    fn read_trust(&self) -> Result<TlsParameters, Failure> {
        let mut parameters = TlsParameters::builder(self.config.server.clone());
        let path = self.config.ca_file.as_deref();
        if let Some(path) = path {
            let pem = files::read(path).map_err(|error| tls::unreadable_authorities(path, &error))?;
            let authorities = Certificate::from_pem(&pem).map_err(|_| tls::no_authorities(Some(path)))?;
            // lettre takes a file without any certificate for one with none to add.
            if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
                return Err(tls::no_authorities(Some(path)));
            }
            parameters =
                parameters.certificate_store(CertificateStore::None).add_root_certificate(authorities);
        }
        parameters.build().map_err(|error| {
            tracing::debug!(%error, "no certificate authorities");
            tls::no_authorities(path)
        })
    }
}

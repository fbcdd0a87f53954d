//! The authorities of `ca_file` alone, or those of this machine -> one configuration of TLS for HTTP and for the
//! WebSocket. Read when it is needed first, and again after it failed.

use std::{path::PathBuf, sync::Arc};

use plugin_api::{files, tls::install_provider, tokio::net::lookup_host, tokio::sync::OnceCell, tracing};
use reqwest::{
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use rustls_platform_verifier::ConfigVerifierExt as _;

use crate::{
    settings::Config,
    trouble::{
        Trouble,
        connecting::{NoAddress, no_authorities, unreadable_authorities},
    },
};

/// Whom to trust.
pub struct Trust {
    ca_file: Option<PathBuf>,
    config: OnceCell<Arc<ClientConfig>>,
}

impl Trust {
    pub fn new(ca_file: Option<PathBuf>) -> Self {
        Self { ca_file, config: OnceCell::new() }
    }

    /// The configuration of TLS.
    pub async fn tls(&self) -> Result<Arc<ClientConfig>, Trouble> {
        self.config.get_or_try_init(|| async { self.read().map(Arc::new) }).await.cloned()
    }

    /// A client that follows no redirect, because the key must not go elsewhere, and that asks no proxy, because those
    /// would come from the environment.
    pub async fn http_client(&self, config: &Config) -> Result<reqwest::Client, Trouble> {
        let tls = ClientConfig::clone(&*self.tls().await?);
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Resolver)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(config.connect_timeout)
            .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
            .build();
        client.map_err(|error| {
            tracing::debug!(%error, "no HTTP client can be made");
            no_authorities(self.ca_file.as_deref())
        })
    }

    fn read(&self) -> Result<ClientConfig, Trouble> {
        install_provider();
        let Some(path) = self.ca_file.as_deref() else {
            return ClientConfig::with_platform_verifier().map_err(|error| {
                tracing::debug!(%error, "no certificate authorities");
                no_authorities(None)
            });
        };
        let pem = files::read(path).map_err(|error| unreadable_authorities(path, &error))?;
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
        if added == 0 {
            return Err(no_authorities(Some(path)));
        }
        Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
    }
}

/// The system's resolver, with an error that can be told from others.
struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = lookup_host((name.as_str(), 0)).await.map_err(|error| {
                tracing::debug!(%error, "the name does not resolve");
                NoAddress
            })?;
            let found: Addrs = Box::new(found.collect::<Vec<_>>().into_iter());
            Ok(found)
        })
    }
}

//! Settings -> an open WebSocket to the Realtime API, or the [`Trouble`] why there is none.

use std::net::SocketAddr;

use plugin_api::{
    requests::openai::TroubleCode,
    tokio::{
        net::{TcpStream, lookup_host},
        time::timeout,
    },
};
use reqwest::Url;
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config,
    tungstenite::{Error, client::IntoClientRequest as _},
};

use crate::{
    client::{endpoint::headers, trust::Trust},
    settings::Config,
    trouble::{
        Trouble,
        connecting::{NoAddress, Way, network, no_connection},
        status,
    },
};

/// An open WebSocket.
pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Connects, within the setting `connect_timeout`.
pub async fn dial(config: &Config, trust: &Trust, model: &str) -> Result<Socket, Trouble> {
    let server = config.realtime_server();
    let way = Way::realtime(&server);
    let dialled = timeout(config.connect_timeout, connect(config, trust, model, way)).await;
    dialled.unwrap_or_else(|_| Err(no_connection(way, config.connect_timeout)))
}

async fn connect(config: &Config, trust: &Trust, model: &str, way: Way<'_>) -> Result<Socket, Trouble> {
    let url = with_model(&config.realtime_url, model);
    let connector = match url.scheme() {
        "wss" => Connector::Rustls(trust.tls().await?),
        _ => Connector::Plain,
    };
    let addresses = resolve(&url).await.map_err(|error| network(&error, way))?;
    let tcp = TcpStream::connect(&addresses[..]).await.map_err(|error| network(&error, way))?;
    tcp.set_nodelay(true).map_err(|error| network(&error, way))?;
    let mut request = url.as_str().into_client_request().map_err(|error| refused(error, way))?;
    request.headers_mut().extend(headers(config));
    let opened = client_async_tls_with_config(request, tcp, None, Some(connector)).await;
    let (socket, _) = opened
        .map_err(|error| refused(error, way).about_model(way.server, model, config.realtime_choice()))?;
    Ok(socket)
}

/// The address for this model, unless the operator's names one.
fn with_model(url: &Url, model: &str) -> Url {
    let mut url = url.clone();
    if !url.query_pairs().any(|(key, _)| key == "model") {
        url.query_pairs_mut().append_pair("model", model);
    }
    url
}

async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, NoAddress> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or_default();
    let found: Vec<_> = lookup_host((host, port)).await.map_err(|_| NoAddress)?.collect();
    if found.is_empty() { Err(NoAddress) } else { Ok(found) }
}

fn refused(error: Error, way: Way<'_>) -> Trouble {
    match error {
        Error::Http(response) => {
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let body = response.into_body().unwrap_or_default();
            let trouble = status::refused(way, status, &headers, &body);
            // Most compatible servers have no Realtime API at all.
            match trouble.code {
                TroubleCode::ModelNotFound if trouble.vendor_code.is_none() => {
                    let message = format!(
                        "`{}` has no Realtime API at this address (HTTP {status}): check `{}`",
                        way.server, way.variable
                    );
                    let code = TroubleCode::ConfigInvalid;
                    Trouble { code, message, setting: Some(way.setting), ..trouble }
                }
                _ => trouble,
            }
        }
        Error::Io(error) => network(&error, way),
        _ => Trouble::protocol(way.server, "what is no WebSocket"),
    }
}

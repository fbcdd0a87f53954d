//! Embeds a host in another axum server, beside routes of its own:
//! `cargo run -p switchboard --example embedded -- plugins.toml 127.0.0.1:8081`, then ask for `/hello` and `/api/health`.

use std::{error::Error, net::SocketAddr, path::Path};

use axum::{Router, routing::get};
use switchboard::{
    app::Host,
    config::{self, Environment},
};
use tokio::{net::TcpListener, sync::oneshot};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "plugins.toml".to_owned());
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8081".to_owned());
    let host = Host::start(config::load(Path::new(&path), &Environment::of_process())?).await?;
    let listener = TcpListener::bind(address).await?;
    println!("listens on http://{}/", listener.local_addr()?);
    // An error says that Ctrl-C cannot be watched: then it serves until it is ended.
    let stop = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    };
    serve(listener, &host, stop).await?;
    host.stop().await;
    Ok(())
}

/// Routes of one's own first; everything else is the host's: health, operations, the plugins' routes.
pub fn application(host: &Host) -> Router {
    Router::new()
        .route("/hello", get(async || "Hello from the program around it"))
        .fallback_service(host.router())
}

/// Serves both until `stop`, and lets requests in progress end. The host is told who is at the other end: who sits at
/// this machine needs no operator's token.
pub async fn serve(
    listener: TcpListener,
    host: &Host,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let service = application(host).into_make_service_with_connect_info::<SocketAddr>();
    let (stopping, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let server = axum::serve(listener, service).with_graceful_shutdown(stopped).into_future();
    tokio::pin!(server);
    tokio::select! {
        served = &mut server => return served,
        () = stop => {}
    }
    // Or an open dashboard would be waited for as long as it is open.
    host.drain();
    drop(stopping);
    server.await
}

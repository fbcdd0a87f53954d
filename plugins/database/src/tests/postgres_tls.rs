//! `sslmode`, against a server with a certificate of its own authority.

use std::process::{Command, Stdio};

use plugin_api::{error::ReasonCode, serde_json::Value as Json};

use super::support::{client, run, server::Server};

/// Makes a certificate for `127.0.0.1` that vouches for itself. `false`: there is no openssl to make it.
fn certificate(server: &Server) -> bool {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &server.path("key.pem"), "-out", &server.path("cert.pem")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    made.is_ok_and(|status| status.success())
}

#[test]
fn each_mode_asks_for_what_it_says() {
    let Some(mut server) = Server::new() else { return };
    if !certificate(&server) {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "openssl is not installed: apt-get install openssl"
        );
        eprintln!("skipped: openssl is not installed (apt-get install openssl)");
        return;
    }
    server.own("key.pem");
    server.stop();
    let (key, cert) = (server.path("key.pem"), server.path("cert.pem"));
    server.start(&["ssl=on", &format!("ssl_cert_file={cert}"), &format!("ssl_key_file={key}")]);
    let url = server.url("postgres");
    let probe = |parameters: String| {
        let url = format!("{url}?{parameters}");
        async move { client(&url, Json::Null).probe().await.map_err(|failure| failure.code) }
    };
    run(async {
        for mode in ["disable", "prefer", "require"] {
            assert_eq!(probe(format!("sslmode={mode}")).await, Ok(()), "{mode}");
        }
        for mode in ["verify-ca", "verify-full"] {
            assert_eq!(probe(format!("sslmode={mode}")).await, Err(ReasonCode::Tls), "{mode}");
            assert_eq!(probe(format!("sslmode={mode}&sslrootcert={cert}")).await, Ok(()), "{mode}");
        }
        let missing = probe("sslrootcert=/nowhere&sslmode=verify-full".to_owned()).await;
        assert_eq!(missing, Err(ReasonCode::ConfigInvalid));
    });
}

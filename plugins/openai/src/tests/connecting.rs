//! Every way in which there is no answer: its kind, its code, its exact words.

use std::{io::Write as _, net::TcpListener, path::Path, sync::Arc, thread};

use expect_test::{Expect, expect};
use plugin_api::{
    serde_json::{Value, json},
    tokio,
};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use super::{
    peer::{Peer, Talk, closed_port},
    setup::{plugin, question, reply, shown, shown_failure},
};

async fn fails(port: u16, settings: Value, expected: Expect) {
    let error = plugin(port, settings).call(question()).await.expect_err("there is no answer");
    expected.assert_eq(&shown(&error, port));
}

#[tokio::test]
async fn nobody_there() {
    fails(
        closed_port(),
        json!({}),
        expect!["unavailable connection_refused: nobody listens at `127.0.0.1:PORT`"],
    )
    .await;
    fails(
        0,
        json!({ "base_url": "https://no-such-host.invalid/v1" }),
        expect!["unavailable dns: the name of `no-such-host.invalid` does not resolve to an address"],
    )
    .await;
    let failure = plugin(closed_port(), json!({})).init().await.unwrap_err();
    assert_eq!(failure.code.as_str(), "refused");
    let unknown = json!({ "base_url": "https://no-such-host.invalid/v1" });
    let failure = plugin(0, unknown).init().await.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.setting.as_deref()), ("dns", Some("base_url")));
}

#[tokio::test]
async fn silence() {
    let silent = Peer::start(Talk::fall_silent);
    fails(
        silent.port,
        json!({ "timeout": "200ms" }),
        expect!["deadline timeout: `127.0.0.1:PORT` gave no answer within 200ms"],
    )
    .await;
    let halfway = Peer::start(|talk| {
        talk.hear()?;
        talk.say("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"choices\"")?;
        talk.fall_silent()
    });
    fails(
        halfway.port,
        json!({ "timeout": "200ms" }),
        expect!["deadline timeout: `127.0.0.1:PORT` gave no answer within 200ms"],
    )
    .await;
}

#[tokio::test]
async fn an_answer_that_is_cut_off() {
    let cut = Peer::start(|talk| {
        talk.hear()?;
        talk.say("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"choices\"")
    });
    fails(
        cut.port,
        json!({}),
        expect![
            "unavailable unavailable: the connection to `127.0.0.1:PORT` broke before the answer was whole"
        ],
    )
    .await;
    let gone = Peer::start(|talk| talk.hear().map(drop));
    fails(
        gone.port,
        json!({}),
        expect![
            "unavailable unavailable: the connection to `127.0.0.1:PORT` broke before the answer was whole"
        ],
    )
    .await;
}

#[tokio::test]
async fn a_refusal_whose_words_never_end_is_judged_by_its_status() {
    let peer = Peer::start(|talk| {
        talk.hear()?;
        talk.say("HTTP/1.1 401 No\r\ncontent-length: 100\r\n\r\n{")?;
        talk.fall_silent()
    });
    fails(peer.port, json!({}), expect!["unavailable auth_invalid: `127.0.0.1:PORT` does not know the key: check `OPENAI_API_KEY` (HTTP 401)"]).await;
}

#[tokio::test]
async fn something_else_than_a_server_of_this_kind() {
    fails(
        Peer::answering(200, &[], "<html>VENDOR</html>").port,
        json!({}),
        expect!["internal protocol: `127.0.0.1:PORT` answers with something that is not JSON"],
    )
    .await;
    fails(
        Peer::answering(200, &[], r#"{"choices":[]}"#).port,
        json!({}),
        expect!["internal protocol: `127.0.0.1:PORT` answers a chat without a message"],
    )
    .await;
    fails(
        Peer::answering(200, &[], "[1,2]").port,
        json!({}),
        expect!["internal protocol: `127.0.0.1:PORT` answers a chat without a message"],
    )
    .await;
    let mail = Peer::start(|talk| {
        talk.say("220 mail.example.com ESMTP\r\n")?;
        talk.fall_silent()
    });
    fails(
        mail.port,
        json!({}),
        expect![
            "unavailable unavailable: the connection to `127.0.0.1:PORT` broke before the answer was whole"
        ],
    )
    .await;
}

#[tokio::test]
async fn a_server_without_encryption_where_it_is_expected() {
    let plain = Peer::start(|talk| {
        talk.say("HTTP/1.1 400 Bad Request\r\n\r\n")?;
        talk.fall_silent()
    });
    let settings = json!({ "base_url": format!("https://127.0.0.1:{}/v1", plain.port) });
    fails(plain.port, settings, expect!["unavailable tls: `127.0.0.1:PORT` does not answer in TLS: if it serves without encryption, write `OPENAI_BASE_URL` with `http://` or `ws://`"]).await;
}

/// A server with encryption whose certificate is for `localhost`; its authority is written to a file. It answers one
/// chat a connection.
fn encrypted(authority_file: &Path) -> u16 {
    let mut params = CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(authority_file, authority.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    plugin_api::tls::install_provider();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(vec![leaf.der().clone()], key).unwrap());
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for tcp in listener.incoming().map_while(Result::ok) {
            let mut tls = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), tcp);
            let body = reply("encrypted").to_string();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let mut request = [0; 4096];
            // A client that does not trust us is gone by now.
            let _ =
                std::io::Read::read(&mut tls, &mut request).and_then(|_| tls.write_all(answer.as_bytes()));
            let _ = tls.flush();
        }
    });
    port
}

#[tokio::test]
async fn a_private_certificate_is_trusted_when_its_authority_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let port = encrypted(&file);
    let https = |host: &str| format!("https://{host}:{port}/v1");
    let trusting = plugin(port, json!({ "base_url": https("localhost"), "ca_file": file }));
    assert_eq!(trusting.call(question()).await.unwrap().content.as_deref(), Some("encrypted"));
    fails(port, json!({ "base_url": https("localhost") }), expect!["unavailable tls: the certificate of `localhost:PORT` is signed by no trusted authority: if it is a private one, give the certificate of its authority in `OPENAI_CA_FILE`"]).await;
    fails(port, json!({ "base_url": https("127.0.0.1"), "ca_file": file }), expect!["unavailable tls: the certificate of `127.0.0.1:PORT` is for another name: write `OPENAI_BASE_URL` with the name that it is for"]).await;
    let wss = json!({ "realtime_url": format!("wss://localhost:{port}/v1/realtime") });
    let error = plugin(port, wss).open("realtime", &json!({})).await.err().expect("it is refused");
    expect!["unavailable tls: the certificate of `localhost:PORT` is signed by no trusted authority: if it is a private one, give the certificate of its authority in `OPENAI_CA_FILE`"].assert_eq(&shown(&error, port));
}

#[tokio::test]
async fn authorities_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let plugin = plugin(closed_port(), json!({ "ca_file": path }));
    let shown = |failure| shown_failure(&failure, 0).replace(&path.display().to_string(), "CA_FILE");
    expect!["config_invalid [ca_file]: `CA_FILE` does not exist"]
        .assert_eq(&shown(plugin.init().await.unwrap_err()));
    std::fs::write(&path, "not a certificate").unwrap();
    expect![
        "config_invalid [ca_file]: `CA_FILE` holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)"
    ]
    .assert_eq(&shown(plugin.init().await.unwrap_err()));
}

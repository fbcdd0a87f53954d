//! Files: only from where the account's are, never larger than allowed, and the credentials stay with Twilio.

use base64::{Engine, engine::general_purpose::STANDARD};
use plugin_api::{error::ErrorKind, requests::twilio::FetchMedia, serde_json::json, tokio};

use super::{
    peer::{Deed, Peer},
    setup::{ACCOUNT, plugin},
};
use crate::media::is_of_twilio;

fn at(peer: &Peer, max_bytes: Option<usize>) -> FetchMedia {
    let url = format!("{}/2010-04-01/Accounts/{ACCOUNT}/Messages/MM1/Media/ME1", peer.url());
    FetchMedia { url, max_bytes }
}

#[tokio::test]
async fn a_redirect_does_not_get_the_credentials() {
    let twilio = Peer::start(|_, request| match request.starts_with("GET /file ") {
        true => Deed::Answer(200, "Content-Type: image/png\r\n", "a picture".into()),
        false => Deed::Answer(307, "Location: /file\r\n", String::new()),
    });
    let media = plugin(twilio.port, json!({})).call(at(&twilio, None)).await.unwrap();
    assert_eq!(media.content_type.as_deref(), Some("image/png"));
    assert_eq!(STANDARD.decode(media.content).unwrap(), b"a picture");
    assert!(twilio.requests()[0].contains("authorization: Basic "));
    assert!(!twilio.requests()[1].contains("authorization"));
}

#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    let inside = Peer::start(|_, _| Deed::Answer(200, "", "the secrets of the network".into()));
    for location in
        [inside.url(), format!("http://localhost:{}/", inside.port), "http://169.254.169.254/".into()]
    {
        let header: &'static str = Box::leak(format!("Location: {location}\r\n").into_boxed_str());
        let twilio = Peer::start(move |_, _| Deed::Answer(302, header, String::new()));
        let error = plugin(twilio.port, json!({})).call(at(&twilio, None)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "{location}: {error}");
        assert!(error.message.ends_with("which is not a host of Twilio's"), "{error}");
    }
    assert_eq!(inside.requests().len(), 0);
}

#[test]
fn only_hosts_of_twilio_are_twilio() {
    let is_own = |url: &str| is_of_twilio(&url.parse().unwrap());
    for own in [
        "https://mms.twiliocdn.com/AC1/file?Signature=x",
        "https://api.twilio.com/x",
        "https://api.dublin.ie1.twilio.com/x",
        "https://s3-external-1.amazonaws.com/media.twiliocdn.com/AC1/file",
    ] {
        assert!(is_own(own), "{own}");
    }
    for other in [
        "http://mms.twiliocdn.com/AC1/file",
        "https://mms.twiliocdn.com:8443/AC1/file",
        "https://eviltwilio.com/x",
        "https://twilio.com.example.com/x",
        "https://mms.twiliocdn.com@example.com/x",
        "https://example.com/mms.twiliocdn.com/x",
        "https://s3-external-1.amazonaws.com/bucket-of-another/x",
        "https://s3-external-1.amazonaws.com/media.twiliocdn.com/../bucket-of-another/x",
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "ftp://mms.twiliocdn.com/x",
    ] {
        assert!(!is_own(other), "{other}");
    }
}

#[tokio::test]
async fn what_is_too_large_is_not_kept() {
    let peer = Peer::start(|_, _| Deed::Answer(200, "", "0123456789".into()));
    let plugin = plugin(peer.port, json!({}));
    assert!(plugin.call(at(&peer, Some(10))).await.is_ok());
    let error = plugin.call(at(&peer, Some(9))).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid: the file is larger than 9 bytes");
}

#[tokio::test]
async fn other_addresses_are_not_asked() {
    let peer = Peer::start(|_, _| Deed::json(200, "{}"));
    let plugin = plugin(peer.port, json!({}));
    for url in [
        "https://example.com/file".to_owned(),
        format!("{}/2010-04-01/Accounts/{ACCOUNT}", peer.url()),
        format!("{}/2010-04-01/Accounts/{ACCOUNT}/../AC2/x", peer.url()),
        format!("{}/2010-04-01/Accounts/AC2/Media/ME1", peer.url()),
        "no address".to_owned(),
    ] {
        let error = plugin.call(FetchMedia { url: url.clone(), max_bytes: None }).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{url}");
    }
    assert_eq!(peer.requests().len(), 0);
}

#[tokio::test]
async fn what_cannot_be_had_says_so() {
    let gone = Peer::start(|_, _| Deed::json(404, "{}"));
    assert_eq!(
        plugin(gone.port, json!({})).call(at(&gone, None)).await.unwrap_err().kind,
        ErrorKind::NotFound
    );
    let away = Peer::start(|_, _| Deed::Answer(302, "Location: ftp://a/b\r\n", String::new()));
    assert_eq!(plugin(away.port, json!({})).call(at(&away, None)).await.unwrap_err().kind, ErrorKind::Denied);
    let round = Peer::start(|_, _| Deed::Answer(302, "Location: /again\r\n", String::new()));
    assert_eq!(
        plugin(round.port, json!({})).call(at(&round, None)).await.unwrap_err().kind,
        ErrorKind::Unavailable
    );
    assert_eq!(round.requests().len(), 4);
}

//! No altered request is admitted, and nothing that anybody sends makes the check panic.

use plugin_api::{prelude::*, requests::http::Body};
use proptest::prelude::*;

use super::vectors::{FORM_SIGNATURE, FORM_URL, PARAMS, form, keys, request, signed_json};
use crate::webhook;

fn is_admitted(request: &HttpRequest) -> bool {
    webhook::verify(request, None, &keys()).is_ok()
}

/// The text with one of its bytes replaced; `None` if nothing changed or it is no text any more.
fn altered(text: &str, place: usize, byte: u8) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    let place = place % bytes.len();
    (std::mem::replace(&mut bytes[place], byte) != byte).then_some(())?;
    String::from_utf8(bytes).ok()
}

fn with_url(request: HttpRequest, url: String) -> HttpRequest {
    let query = url.split_once('?').map_or(String::new(), |(_, query)| query.to_owned());
    HttpRequest { url, query, ..request }
}

/// What a form says, whatever the order and the writing.
fn meaning(body: &str) -> Vec<(String, String)> {
    let mut pairs = form("https://a/", "", body).form().unwrap();
    pairs.sort();
    pairs.dedup();
    pairs
}

#[test]
fn the_originals_are_admitted() {
    assert!(is_admitted(&form(FORM_URL, FORM_SIGNATURE, PARAMS)));
    assert!(is_admitted(&signed_json()));
}

#[test]
fn a_get_carries_nothing_beside_its_url() {
    let signed = [("x-twilio-signature", "N2Y//FHA042H22oVtTOPT1X3yoU="), ("upgrade", "websocket")];
    let url = "https://mycompany.com/media-stream";
    assert!(is_admitted(&request("GET", url, &signed, "")));
    assert!(!is_admitted(&request("GET", url, &signed, "From=%2B1")));
}

#[test]
fn the_query_is_that_of_the_url() {
    let mut request = form(FORM_URL, FORM_SIGNATURE, PARAMS);
    request.query = "foo=1&bar=3".to_owned();
    assert!(!is_admitted(&request));
}

proptest! {
    #[test]
    fn an_altered_url_is_refused(place: usize, byte: u8) {
        for original in [form(FORM_URL, FORM_SIGNATURE, PARAMS), signed_json()] {
            if let Some(url) = altered(&original.url.clone(), place, byte) {
                prop_assert!(!is_admitted(&with_url(original, url.clone())), "{url}");
            }
        }
    }

    #[test]
    fn an_altered_form_is_refused(place: usize, byte: u8) {
        if let Some(body) = altered(PARAMS, place, byte) {
            let same = meaning(&body) == meaning(PARAMS);
            prop_assert_eq!(is_admitted(&form(FORM_URL, FORM_SIGNATURE, &body)), same, "{}", body);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused(place: usize, byte in 0x80_u8..) {
        let mut bytes = PARAMS.as_bytes().to_vec();
        let place = place % bytes.len();
        bytes[place] = byte;
        let mut request = form(FORM_URL, FORM_SIGNATURE, "");
        request.body = Body::from_bytes(&bytes);
        prop_assert!(!is_admitted(&request));
    }

    #[test]
    fn an_altered_json_is_refused(place: usize, byte: u8) {
        let mut request = signed_json();
        let Body::Text(text) = request.body.clone() else { panic!("the vector is text") };
        if let Some(body) = altered(&text, place, byte) {
            request.body = Body::Text(body);
            prop_assert!(!is_admitted(&request));
        }
    }

    #[test]
    fn an_altered_signature_is_refused(place: usize, byte: u8) {
        if let Some(signature) = altered(FORM_SIGNATURE, place, byte) {
            prop_assert!(!is_admitted(&form(FORM_URL, &signature, PARAMS)), "{signature}");
        }
    }

    #[test]
    fn whatever_comes_is_refused_without_a_panic(
        method in "GET|POST|PUT|HEAD|.{0,5}",
        url in "(https?://)?[a-z:\\[\\]@]{0,12}(/[ -~]{0,20})?(\\?[ -~]{0,20})?",
        kind in "application/(x-www-form-urlencoded|json)|.{0,10}",
        settings in "(key=[a-z]{0,3})?,?(algorithm=.{0,12})?",
        body: Vec<u8>,
        signature in "[A-Za-z0-9+/=]{0,40}",
        base in proptest::option::of("(https?://)?[a-z:]{0,10}(/[a-z]{0,5})?"),
    ) {
        let mut headers = vec![("x-twilio-signature", signature.as_str()), ("content-type", kind.as_str())];
        headers.push(("x-twilio-webhooks-signature-settings", settings.as_str()));
        let mut request = request(&method, &url, &headers, "");
        request.body = Body::from_bytes(&body);
        prop_assert!(webhook::verify(&request, base.as_deref(), &keys()).is_err());
    }
}

//! Somebody on the phone: Twilio's side of a call, signed by Twilio's own library.

use serde_json::{Value, json};
use switchboard_tests::{
    TestHost,
    http::{self, Response},
    partners::{Missing, twilio::sign},
};

use super::{ACCOUNT, ADA, FORM, NUMBER, VOICE};
use crate::twilio::TOKEN;

/// A call.
pub struct Caller {
    pub call: String,
    /// How Twilio knows the hosts.
    pub public: String,
}

impl Caller {
    /// The form of a webhook of this call.
    pub fn form(&self, more: &[(&str, &str)]) -> Value {
        let mut form = json!({
            "CallSid": self.call, "AccountSid": ACCOUNT, "From": ADA, "To": NUMBER, "CallStatus": "in-progress",
            "Direction": "inbound", "ApiVersion": "2010-04-01",
        });
        for (name, value) in more {
            form[*name] = json!(value);
        }
        form
    }

    /// Delivers a webhook below the voice webhook.
    #[track_caller]
    pub fn post(&self, host: &TestHost, path: &str, more: &[(&str, &str)]) -> Result<Response, Missing> {
        let form = self.form(more);
        let signature = sign(TOKEN, &format!("{}{VOICE}{path}", self.public), &form, "HMAC_SHA1")?;
        Ok(send(host, path, &form, &signature))
    }

    /// The same, for the TwiML that it is answered.
    #[track_caller]
    pub fn hear(&self, host: &TestHost, path: &str, more: &[(&str, &str)]) -> Result<String, Missing> {
        let answer = self.post(host, path, more)?;
        let kind = answer.header("content-type").map(str::to_owned);
        assert_eq!(
            (answer.status, kind.as_deref()),
            (200, Some("text/xml; charset=utf-8")),
            "{}",
            answer.body
        );
        Ok(answer.body)
    }

    /// Rings up.
    #[track_caller]
    pub fn ring(&self, host: &TestHost) -> Result<String, Missing> {
        self.hear(host, "", &[("CallStatus", "ringing")])
    }

    /// Says something where the TwiML listens, and waits as long as it is asked to; the TwiML with the answer.
    #[track_caller]
    pub fn say(&self, host: &TestHost, twiml: &str, words: &str) -> Result<String, Missing> {
        let mut twiml = self.hear(host, &action(twiml), &[("SpeechResult", words), ("Confidence", "0.9")])?;
        while twiml.contains("<Redirect") {
            let path = redirect(&twiml);
            twiml = self.hear(host, &path, &[])?;
        }
        Ok(twiml)
    }
}

/// Posts a form with a signature.
#[track_caller]
pub fn send(host: &TestHost, path: &str, form: &Value, signature: &str) -> Response {
    let headers = [("x-twilio-signature", signature), ("content-type", FORM)];
    let body = super::encoded(form);
    http::request(host.address(), "POST", &format!("{VOICE}{path}"), &headers, Some(&body))
        .expect("the host answers")
}

/// Where a verb leads, below the voice webhook.
#[track_caller]
pub fn action(twiml: &str) -> String {
    let found = twiml.split(" action=\"").nth(1).and_then(|rest| rest.split('"').next());
    below(found.unwrap_or_else(|| panic!("it leads nowhere: {twiml}")))
}

#[track_caller]
fn redirect(twiml: &str) -> String {
    let found = twiml.split("<Redirect method=\"POST\">").nth(1).and_then(|rest| rest.split('<').next());
    below(found.unwrap_or_else(|| panic!("it does not redirect: {twiml}")))
}

fn below(address: &str) -> String {
    let address = address.replace("&amp;", "&");
    let (_, path) = address.split_once(VOICE).unwrap_or_else(|| panic!("`{address}` is none of ours"));
    path.to_owned()
}

/// What is spoken, in order.
pub fn spoken(twiml: &str) -> Vec<String> {
    let says = twiml.split("<Say ").skip(1);
    says.filter_map(|say| Some(say.split_once('>')?.1.split("</Say>").next()?.to_owned())).collect()
}

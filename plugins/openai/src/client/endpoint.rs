//! Settings -> address and headers of every request. async-openai's own configuration would read the environment.

use std::fmt::Write as _;

use async_openai::config::{Config as EndpointConfig, OPENAI_ORGANIZATION_HEADER, OPENAI_PROJECT_HEADER};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;

use crate::settings::Config;

/// Where requests go, and in whose name.
#[derive(Clone)]
pub struct Endpoint {
    base: String,
    headers: HeaderMap,
    key: SecretString,
}

impl Endpoint {
    pub fn new(config: &Config) -> Self {
        Self {
            base: config.base_url.as_str().trim_end_matches('/').to_owned(),
            headers: headers(config),
            key: config.api_key.expose().into(),
        }
    }
}

impl EndpointConfig for Endpoint {
    fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn query(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }

    fn api_base(&self) -> &str {
        &self.base
    }

    fn api_key(&self) -> &SecretString {
        &self.key
    }
}

/// The key, and who is charged. No `OpenAI-Beta`: OpenAI closes realtime sockets that carry it.
pub fn headers(config: &Config) -> HeaderMap {
    let bearer = format!("Bearer {}", config.api_key.expose());
    let given = [
        (AUTHORIZATION, Some(bearer.as_str())),
        (name(OPENAI_ORGANIZATION_HEADER), config.organization.as_deref()),
        (name(OPENAI_PROJECT_HEADER), config.project.as_deref()),
    ];
    let mut headers = HeaderMap::new();
    for (name, value) in given.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        let mut value = HeaderValue::from_str(value).expect("the settings were checked for it");
        value.set_sensitive(name == AUTHORIZATION);
        headers.insert(name, value);
    }
    headers
}

/// A name as one segment of a path.
pub fn path_segment(name: &str) -> String {
    let mut segment = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b':' => segment.push(byte.into()),
            _ => write!(segment, "%{byte:02X}").expect("a string takes everything"),
        }
    }
    segment
}

fn name(name: &str) -> HeaderName {
    HeaderName::from_bytes(name.as_bytes()).expect("async-openai's names are names of headers")
}

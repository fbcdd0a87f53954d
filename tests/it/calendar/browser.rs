//! A browser that follows redirects by hand, and reads pages as a person does.

use switchboard_tests::{TestHost, http::Response, partners::node::NodeServer};

use super::ACCOUNT;

/// A browser on its way to consent.
pub struct Browser {
    /// What it sends back to us.
    pub cookie: String,
    /// What we sent it to Google with.
    pub query: String,
}

impl Browser {
    /// Opens the link of the health API.
    #[track_caller]
    pub fn begin(host: &TestHost, google: &NodeServer) -> Self {
        let calendar = host.wait_for_status("google_calendar", "disconnected");
        let link = calendar["fix"]["href"].as_str().expect("there is a link to follow");
        Self::open(host, google, link)
    }

    #[track_caller]
    pub fn open(host: &TestHost, google: &NodeServer, link: &str) -> Self {
        let sent = host.get(link);
        assert_eq!(sent.status, 303, "{}", sent.body);
        let cookie = sent.header("set-cookie").expect("it binds the browser").to_owned();
        for attribute in ["HttpOnly", "SameSite=Lax", "Path=/api/calendar/oauth", "Max-Age=600"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        let to = sent.header("location").expect("it leads to Google");
        let (_, query) =
            to.split_once("/o/oauth2/v2/auth?").expect("the address of the client secrets is honoured");
        for parameter in
            ["code_challenge_method=S256", "access_type=offline", "prompt=consent", "response_type=code"]
        {
            assert!(query.contains(parameter), "{query}");
        }
        let asked = google.request("GET", &format!("/o/oauth2/v2/auth?{query}"), &[], None);
        assert_eq!(asked.status, 200, "{}", asked.body);
        assert!(asked.body.contains(ACCOUNT), "{}", asked.body);
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Self { cookie, query: query.to_owned() }
    }

    /// Says yes at Google; the path and query that Google sends the browser back to.
    #[track_caller]
    pub fn allow(&self, google: &NodeServer) -> String {
        let form = format!("{}&email=ada%40example.com", self.query);
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let sent = google.request("POST", "/o/oauth2/v2/auth/callback", &headers, Some(&form));
        let back = sent.header("location").unwrap_or_else(|| panic!("Google sends back: {sent:?}"));
        back.strip_prefix("http://127.0.0.1:1").expect("to the registered address").to_owned()
    }

    #[track_caller]
    pub fn come_back(&self, host: &TestHost, path: &str) -> Response {
        let page = host.request("GET", path, &[("cookie", &self.cookie)], None);
        assert_plain(&page);
        page
    }

    pub fn state(&self) -> &str {
        let state = self.query.split('&').find_map(|pair| pair.strip_prefix("state="));
        state.expect("a state is sent along")
    }
}

/// A page that loads and runs nothing, and is kept nowhere.
#[track_caller]
fn assert_plain(page: &Response) {
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{page:?}");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(
        page.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'"))
    );
    for outside in ["<script", "<img", "<link", "src=", "href=\"http"] {
        assert!(!page.body.contains(outside), "{outside}: {}", page.body);
    }
}

/// The heading of a page.
pub fn heading(page: &Response) -> (u16, &str) {
    let heading = page.body.split("<h1>").nth(1).and_then(|rest| rest.split("</h1>").next());
    (page.status, heading.unwrap_or_default())
}

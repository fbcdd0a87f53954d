//! What a person sees on the way to Google and back: plain pages that load nothing, run nothing and link to nowhere but
//! this host. Everything that came from outside is escaped.

use plugin_api::{requests::http::HttpResponse, web::escape};

use crate::settings::START_PATH;

const STYLE: &str = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:38rem;margin:12vh auto;padding:0 1rem;\
                     color:#1c1c1c;background:#fff}h1{font-size:1.5rem}code{overflow-wrap:anywhere}\
                     @media(prefers-color-scheme:dark){body{color:#eee;background:#161616}a{color:#8ab4f8}}";

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What a page offers at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// Begin again.
    TryAgain,
    /// Back to the dashboard.
    Dashboard,
}

/// A page: a status, a heading and paragraphs of plain text.
pub fn page(status: u16, heading: &str, paragraphs: &[&str], offer: Offer) -> HttpResponse {
    let paragraphs: String = paragraphs.iter().map(|text| format!("<p>{}</p>", escape(text))).collect();
    let offer = match offer {
        Offer::TryAgain => format!("<a href=\"{START_PATH}\">Connect Google Calendar</a>"),
        Offer::Dashboard => "<a href=\"/\">Back to Switchboard</a>".to_owned(),
    };
    let heading = escape(heading);
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{heading}</title><style>{STYLE}</style><main><h1>{heading}</h1>\
         {paragraphs}<p>{offer}</p></main></html>"
    );
    guarded(HttpResponse::html(html).status(status))
}

/// With the headers that every answer of the consent walk has: kept nowhere, framed nowhere, told to nobody.
pub fn guarded(response: HttpResponse) -> HttpResponse {
    response
        .header("cache-control", "no-store")
        .header("content-security-policy", POLICY)
        .header("referrer-policy", "no-referrer")
        .header("x-content-type-options", "nosniff")
}

pub fn connected() -> HttpResponse {
    let text = "Switchboard can now read and change its calendars. You can close this page.";
    page(200, "Google Calendar is connected", &[text], Offer::Dashboard)
}

pub fn connected_but(why: &str) -> HttpResponse {
    let why = format!("Your consent was kept, but the calendar could not be read yet: {why}.");
    page(200, "Google Calendar is not ready yet", &[&why], Offer::Dashboard)
}

pub fn denied() -> HttpResponse {
    let text =
        "You did not allow access to the calendar, so nothing was changed. You can begin again at any time.";
    page(403, "Access was not allowed", &[text], Offer::TryAgain)
}

pub fn google_refused(code: &str) -> HttpResponse {
    let why = format!("Google ended the consent with the code “{code}”. Nothing was changed.");
    let hint = "If it happens again, look at the OAuth client and the consent screen in Google's console.";
    page(502, "Google did not finish", &[&why, hint], Offer::TryAgain)
}

pub fn incomplete() -> HttpResponse {
    let text = "This address only works with what Google adds to it. Begin at the link below.";
    page(400, "Something is missing", &[text], Offer::TryAgain)
}

pub fn unknown() -> HttpResponse {
    let text = "This consent was not begun here, or it was long ago. Nothing was changed.";
    page(400, "This link is not known", &[text], Offer::TryAgain)
}

pub fn other_browser() -> HttpResponse {
    let text = "The consent was begun in another browser or at another address of this host, or its cookie is gone. For \
                your safety it has to end where it began. Nothing was changed.";
    page(403, "Begun somewhere else", &[text], Offer::TryAgain)
}

pub fn used() -> HttpResponse {
    let text = "This link was used already, perhaps because the page was loaded again. If Google Calendar is shown as \
                connected, there is nothing left to do.";
    page(400, "This link was used already", &[text], Offer::Dashboard)
}

pub fn expired() -> HttpResponse {
    let text = "More than ten minutes passed since you began. Nothing was changed.";
    page(400, "That took too long", &[text], Offer::TryAgain)
}

pub fn code_refused() -> HttpResponse {
    let text = "Google does not accept the code that it sent with you: it was used already, or is too old. Nothing was \
                changed.";
    page(400, "The code is no longer valid", &[text], Offer::TryAgain)
}

pub fn missing_scopes(missing: &[&str]) -> HttpResponse {
    let what = format!("Not allowed: {}.", missing.join(", "));
    let text = "Not everything that Switchboard asks for was allowed: a box on Google's page was left unticked. Nothing \
                was changed. Begin again, and leave every box ticked.";
    page(403, "A permission is missing", &[text, &what], Offer::TryAgain)
}

pub fn not_lasting() -> HttpResponse {
    let text = "Google gave access for one hour only. Remove the access of this app at \
                myaccount.google.com/permissions, and begin again.";
    page(502, "The access would not last", &[text], Offer::TryAgain)
}

pub fn trouble(status: u16, why: &str) -> HttpResponse {
    let why = format!("{why}.");
    page(status, "This did not work", &[&why], Offer::TryAgain)
}

/// Begun at an address that Google would not come back to.
pub fn not_registered(why: &str, registered: &[String]) -> HttpResponse {
    let why = format!("{why}.");
    let place = registered.iter().find_map(|uri| uri.strip_suffix(crate::settings::CALLBACK_PATH));
    let place = place.map(|base| format!("Or open {base}{START_PATH}, if that leads to this host too."));
    let paragraphs: Vec<&str> = std::iter::once(why.as_str()).chain(place.as_deref()).collect();
    page(409, "Google could not send the browser back", &paragraphs, Offer::Dashboard)
}

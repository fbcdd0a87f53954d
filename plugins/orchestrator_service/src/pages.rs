//! What a person sees behind a link: a plain page that loads nothing, runs nothing and decides nothing by being looked at.
//! Everything in it is escaped.

use plugin_api::{requests::http::HttpResponse, serde_json, tools::data::cut_off, web::escape};

use crate::{
    decisions::{self, Linked},
    run::ToolRun,
};

const STYLE: &str = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:38rem;margin:8vh auto;padding:0 1rem;\
                     color:#1c1c1c;background:#fff}h1{font-size:1.5rem}pre{white-space:pre-wrap;overflow-wrap:anywhere;\
                     background:#8882;padding:1rem}button{font:inherit;padding:.5rem 1.5rem;margin-right:1rem}\
                     input{font:inherit;width:100%;box-sizing:border-box}\
                     @media(prefers-color-scheme:dark){body{color:#eee;background:#161616}}";
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const SHOWN: usize = 8000;

/// The question, with two buttons.
pub fn ask(linked: &Linked, call: &ToolRun) -> HttpResponse {
    let arguments = serde_json::to_string_pretty(&decisions::arguments(call)).unwrap_or_default();
    let person = linked.run.person.as_deref().unwrap_or("nobody in particular");
    let body = format!(
        "<p>On behalf of {}, who wants:</p><pre>{}</pre><p>With these arguments:</p><pre>{}</pre>\
         <form method=\"post\"><p><label>A word for the assistant, if you refuse: <input name=\"note\" maxlength=\"500\" \
         autocomplete=\"off\"></label></p><p><button name=\"decision\" value=\"approve\">Yes, call it</button>\
         <button name=\"decision\" value=\"deny\">No</button></p></form><p>This can be decided once, until {}.</p>",
        escape(person),
        escape(cut_off(&linked.run.goal, SHOWN)),
        escape(cut_off(&arguments, SHOWN)),
        decisions::time(call.expires_ms),
    );
    page(200, &decisions::question(call), &body)
}

pub fn decided(approve: bool, call: &ToolRun) -> HttpResponse {
    let heading = if approve { "It is called" } else { "It is not called" };
    page(200, heading, &format!("<p><code>{}</code>. You can close this page.</p>", escape(&call.tool)))
}

pub fn unknown() -> HttpResponse {
    page(404, "This link is not known", "<p>Nothing was decided. Check that it was copied in full.</p>")
}

pub fn used() -> HttpResponse {
    let text =
        "<p>It was decided before, its time is over, or the run has ended. Nothing was changed by this.</p>";
    page(410, "There is nothing to decide any more", text)
}

pub fn unclear() -> HttpResponse {
    page(400, "Yes or no?", "<p>Nothing was decided: use one of the two buttons.</p>")
}

fn page(status: u16, heading: &str, body: &str) -> HttpResponse {
    let heading = escape(heading);
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\"><title>Switchboard</title>\
         <style>{STYLE}</style><main><h1>{heading}</h1>{body}</main></html>"
    );
    HttpResponse::html(html)
        .status(status)
        .header("cache-control", "no-store")
        .header("content-security-policy", POLICY)
        .header("referrer-policy", "no-referrer")
        .header("x-content-type-options", "nosniff")
}

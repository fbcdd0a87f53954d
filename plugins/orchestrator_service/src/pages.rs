//! What a person sees behind a link: a plain page that loads nothing, runs nothing and decides nothing by being looked at.
//! Everything in it is escaped, visible and whole.

use plugin_api::{requests::http::HttpResponse, tools::approval::Shown, visible::visible, web::escape};

use crate::{
    run::ToolRun,
    telling::{self, Waiting},
};

const STYLE: &str = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:38rem;margin:8vh auto;padding:0 1rem;\
                     color:#1c1c1c;background:#fff}h1{font-size:1.5rem}pre,q{unicode-bidi:isolate;direction:ltr}pre{white-space:pre-wrap;overflow-wrap:anywhere;\
                     background:#8882;padding:1rem}button{font:inherit;padding:.5rem 1.5rem;margin-right:1rem}\
                     input{font:inherit;width:100%;box-sizing:border-box}\
                     @media(prefers-color-scheme:dark){body{color:#eee;background:#161616}}";
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The questions, each with two buttons.
pub fn ask(waiting: &[Waiting]) -> HttpResponse {
    let body: String = waiting.iter().map(question).collect();
    match waiting {
        [_] => page(200, &telling::subject(waiting), &body),
        _ => {
            let parts = waiting
                .iter()
                .map(|one| format!("<h2>{}</h2>{}", escape(&telling::question(&one.call)), question(one)));
            page(200, &telling::subject(waiting), &parts.collect::<String>())
        }
    }
}

/// All that is known of a question: what decides first, the rest to be unfolded, nothing cut off.
fn question(one: &Waiting) -> String {
    let (decisive, others) = (one.decisive(), one.others());
    let person = one.run.person.as_deref().unwrap_or("nobody in particular");
    let mut body = String::new();
    if !decisive.is_empty() {
        body += &format!("<p>What decides:</p><pre>{}</pre>", lines(&decisive));
    }
    if !others.is_empty() {
        let which = if decisive.is_empty() { "All arguments" } else { "All other arguments" };
        // Without a word on what decides, everything may.
        body += &folded(&format!("{which} ({})", others.len()), &lines(&others), decisive.is_empty());
    }
    if decisive.is_empty() && others.is_empty() {
        body += "<p>It has no arguments.</p>";
    }
    body += &format!("<p>On behalf of <q>{}</q>.</p>", escape(&visible(person)));
    body += &folded("What was asked for, in their own words", &escape(&visible(&one.run.goal)), false);
    body + &format!(
        "<form method=\"post\"><input type=\"hidden\" name=\"of\" value=\"{}\"><p><label>A word for the assistant, if you \
         refuse: <input name=\"note\" maxlength=\"500\" autocomplete=\"off\"></label></p><p><button name=\"decision\" \
         value=\"approve\">Yes, call it</button><button name=\"decision\" value=\"deny\">No</button></p></form><p>This \
         can be decided once, until {}.</p>",
        escape(&one.name()),
        telling::time(one.call.expires_ms),
    )
}

fn lines(shown: &[Shown]) -> String {
    shown.iter().map(|shown| escape(&shown.line()) + "\n").collect()
}

fn folded(summary: &str, escaped: &str, is_open: bool) -> String {
    let open = if is_open { " open" } else { "" };
    let length = escaped.chars().count();
    format!("<details{open}><summary>{summary}, {length} characters</summary><pre>{escaped}</pre></details>")
}

pub fn decided(approve: bool, call: &ToolRun, left: usize) -> HttpResponse {
    let heading = if approve { "It is called" } else { "It is not called" };
    let next = match left {
        0 => "You can close this page.".to_owned(),
        left => format!("<a href=\"?\">{left} more to decide</a>"),
    };
    page(200, heading, &format!("<p><code>{}</code>. {next}</p>", escape(&call.tool)))
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

//! Verbs -> TwiML, with every text escaped. Characters that XML cannot hold are left out. Pure; what is said, and when,
//! is not decided here.

use std::io;

use plugin_api::{prelude::HttpResponse, requests::http::Body};
use quick_xml::{
    Writer,
    events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event},
};

/// Twilio refuses a longer text in one `<Say>`; counted in UTF-16, which is never less than characters.
const LONGEST_SAY: usize = 4000;

/// A verb or noun: its name, its attributes, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verb {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    content: Vec<Node>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Verb(Verb),
    Text(String),
}

impl Verb {
    /// One without attributes that holds nothing.
    pub fn new(name: &'static str) -> Self {
        Self { name, attributes: Vec::new(), content: Vec::new() }
    }

    /// With this attribute.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// With this attribute, if there is a value.
    pub fn maybe(self, name: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// That holds this text.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.content.push(Node::Text(text.into()));
        self
    }

    /// That holds these verbs.
    pub fn holding(mut self, verbs: impl IntoIterator<Item = Self>) -> Self {
        self.content.extend(verbs.into_iter().map(Node::Verb));
        self
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> io::Result<()> {
        let mut start = BytesStart::new(self.name);
        for (name, value) in &self.attributes {
            start.push_attribute((*name, legal(value).as_str()));
        }
        if self.content.is_empty() {
            return writer.write_event(Event::Empty(start));
        }
        writer.write_event(Event::Start(start))?;
        for node in &self.content {
            match node {
                Node::Verb(verb) => verb.write(writer)?,
                Node::Text(text) => writer.write_event(Event::Text(BytesText::new(&legal(text))))?,
            }
        }
        writer.write_event(Event::End(BytesEnd::new(self.name)))
    }
}

/// A document of these verbs.
pub fn document(verbs: &[Verb]) -> String {
    let response = Verb::new("Response").holding(verbs.iter().cloned());
    let mut writer = Writer::new(Vec::new());
    let written = writer
        .write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))
        .and_then(|()| response.write(&mut writer));
    written.expect("memory takes what is written");
    String::from_utf8(writer.into_inner()).expect("it was made of text")
}

/// The answer to a webhook.
pub fn response(verbs: &[Verb]) -> HttpResponse {
    HttpResponse { status: 200, headers: Vec::new(), body: Body::Text(document(verbs)) }
        .header("content-type", "text/xml; charset=utf-8")
}

/// A text in pieces that Twilio takes: cut behind a blank where there is one.
pub fn pieces(text: &str) -> Vec<&str> {
    let mut rest = text.trim();
    let mut pieces = Vec::new();
    while let Some(limit) = overlong(rest) {
        let at = rest[..limit].rfind(char::is_whitespace).filter(|at| *at > 0).unwrap_or(limit);
        let (piece, left) = rest.split_at(at);
        pieces.push(piece.trim_end());
        rest = left.trim_start();
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

/// Where the text is cut at the latest, in bytes, if it is too long.
fn overlong(text: &str) -> Option<usize> {
    let mut units = 0;
    text.char_indices().find_map(|(at, letter)| {
        units += letter.len_utf16();
        (units > LONGEST_SAY).then_some(at)
    })
}

fn legal(text: &str) -> String {
    text.chars().filter(|letter| is_legal(*letter)).collect()
}

/// What may stand in XML 1.0 at all.
fn is_legal(letter: char) -> bool {
    match letter {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        letter => !letter.is_control(),
    }
}

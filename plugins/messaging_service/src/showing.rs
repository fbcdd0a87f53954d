//! Threads, messages and what is not processed, as they are shown: what was said comes from `memory_service`, what became
//! of it from the tables here.

use std::collections::BTreeMap;

use plugin_api::{
    error::OperationError,
    prelude::{Arc, Call},
    requests::{
        memory::{ReadThread, Speaker, Turn},
        messaging::{
            FetchAttachment, ListThreads, ListUnprocessed, Message, Messages, ReadMessages, Retry, Threads,
            Unprocessed,
        },
        twilio::{FetchMedia, Media},
    },
};

use crate::{MEMORY, TWILIO_SERVICE, pump::Pump};

const THREADS: u32 = 50;
const MESSAGES: u32 = 50;
const UNPROCESSED: u32 = 100;
const MOST: u32 = 500;

type Outcome<T> = Result<T, OperationError>;

pub async fn threads(pump: &Pump, request: ListThreads, call: &Call) -> Outcome<Threads> {
    for_operators(call)?;
    let before = request.after.as_deref().map(cursor).transpose()?;
    pump.store.threads(before, limit(request.limit, THREADS)?).await
}

pub async fn thread(pump: &Pump, request: ReadMessages, call: &Call) -> Outcome<Messages> {
    let person = whose(&request, call)?;
    let state = pump.store.thread(&person).await?;
    let state =
        state.ok_or_else(|| OperationError::not_found(format!("nobody wrote to or from `{person}` here")))?;
    let undelivered = pump.store.undelivered_to(&person).await?;
    let is_newest = request.before.is_none();
    let read = ReadThread { limit: Some(limit(request.limit, MESSAGES)?), before: request.before };
    let said = pump.context.dependency(MEMORY)?.person(&person).call(read).await?;
    let unprocessed = match is_newest {
        true => pump.store.unprocessed(Some(&person), false, &[], UNPROCESSED).await?.messages,
        false => Vec::new(),
    };
    Ok(Messages {
        thread: state,
        display_name: said.display_name,
        messages: said.turns.into_iter().map(|turn| message(turn, &undelivered)).collect(),
        earlier: said.earlier,
        unprocessed,
    })
}

/// On behalf of a person, their own thread.
fn whose(request: &ReadMessages, call: &Call) -> Outcome<String> {
    match (call.person(), request.person.as_deref()) {
        (Some(person), None) => Ok(person.to_owned()),
        (Some(person), Some(asked)) if person == asked => Ok(person.to_owned()),
        (Some(_), Some(asked)) => Err(OperationError::denied(format!(
            "the thread of `{asked}` is not that of the person of this call"
        ))),
        (None, Some(asked)) => Ok(asked.to_owned()),
        (None, None) => {
            Err(OperationError::invalid("`person` is missing, and the call is not on behalf of one"))
        }
    }
}

fn message(turn: Turn, undelivered: &BTreeMap<String, String>) -> Message {
    let not_delivered = turn.source.as_ref().and_then(|sid| undelivered.get(sid)).cloned();
    Message {
        not_delivered,
        sid: turn.source,
        inbound: turn.speaker == Speaker::Person,
        medium: turn.medium,
        text: turn.text,
        attachments: turn.attachments,
        at_ms: turn.at_ms,
    }
}

pub async fn unprocessed(pump: &Pump, request: ListUnprocessed, call: &Call) -> Outcome<Unprocessed> {
    for_operators(call)?;
    let limit = limit(request.limit, UNPROCESSED)?;
    if request.ids.len() > MOST as usize {
        return Err(OperationError::invalid(format!(
            "`ids` has {} entries: expected {MOST} at most",
            request.ids.len()
        )));
    }
    pump.store.unprocessed(None, request.failed_only, &request.ids, limit).await
}

pub async fn retry(pump: &Arc<Pump>, request: Retry, call: &Call) -> Outcome<()> {
    for_operators(call)?;
    let id = &request.id;
    if pump.store.retry(id).await?.is_some() {
        pump.wake();
        return Ok(());
    }
    if pump.store.knows(id).await? {
        return Err(OperationError::conflict(format!(
            "`{id}` has not failed, or nobody can be answered there"
        )));
    }
    Err(OperationError::not_found(format!("there is no message `{id}`")))
}

/// Only what a message brought that came here: its address names the message.
pub async fn attachment(pump: &Pump, request: FetchAttachment, call: &Call) -> Outcome<Media> {
    let unknown = || OperationError::not_found("no message that came here has this attachment");
    let sid = message_of(&request.url).ok_or_else(unknown)?;
    let sender = pump.store.sender_of(sid).await?.ok_or_else(unknown)?;
    if call.person().is_some_and(|person| person != sender) {
        return Err(unknown());
    }
    let fetch = FetchMedia { url: request.url, max_bytes: Some(pump.config.media_bytes) };
    pump.context.dependency(TWILIO_SERVICE)?.call(fetch).await
}

/// `…/Messages/MM…/Media/ME…`: the message.
pub fn message_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("/Messages/")?;
    let (sid, rest) = rest.split_once('/')?;
    rest.starts_with("Media/").then_some(sid).filter(|sid| !sid.is_empty())
}

fn for_operators(call: &Call) -> Outcome<()> {
    if call.person().is_none() {
        return Ok(());
    }
    Err(OperationError::denied("this is for operators, not on behalf of a person"))
}

fn limit(asked: Option<u32>, default: u32) -> Outcome<u32> {
    let limit = asked.unwrap_or(default);
    if (1..=MOST).contains(&limit) {
        return Ok(limit);
    }
    Err(OperationError::invalid(format!("`limit` is {limit}: expected 1 to {MOST}")))
}

fn cursor(text: &str) -> Outcome<(i64, String)> {
    let parts = text.split_once(':').and_then(|(moment, person)| Some((moment.parse().ok()?, person)));
    let (moment, person) =
        parts.ok_or_else(|| OperationError::invalid("`after` is not the `next` of an answer"))?;
    Ok((moment, person.to_owned()))
}

//! What changed in a calendar since the last time, by Google's sync tokens. A token that Google forgot (410) means
//! beginning anew, and the answer says so.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use plugin_api::{
    prelude::*,
    requests::calendar::{Changed, Changes},
    serde_json::{self, Value},
};

use crate::{
    account::Account,
    agenda::{self, Agenda, LARGEST_PAGE},
    client::{Ask, Deadline},
    errors::Fault,
    event,
};

/// Where an answer ended.
#[plugin_api::message]
#[derive(Default, PartialEq, Eq)]
pub struct Cursor {
    /// The calendar that it is about.
    calendar: String,
    /// Google's token for everything after it; absent while everything is still being read for the first time.
    sync: Option<String>,
    /// There was another page.
    page: Option<String>,
}

impl Cursor {
    fn beginning(calendar: &str) -> Self {
        Self { calendar: calendar.to_owned(), ..Self::default() }
    }

    /// Reads what an earlier answer gave for this calendar.
    pub fn read(text: &str, calendar: &str) -> Result<Self, OperationError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let cursor = bytes.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        cursor.filter(|cursor| cursor.calendar == calendar).ok_or_else(|| {
            OperationError::invalid(format!("`cursor` is not from an answer about calendar `{calendar}`"))
        })
    }

    fn write(&self) -> Result<String, OperationError> {
        let json = serde_json::to_vec(self)
            .map_err(|_| OperationError::internal("the cursor cannot be written as JSON"))?;
        Ok(URL_SAFE_NO_PAD.encode(json))
    }

    fn is_beginning(&self) -> bool {
        self.sync.is_none() && self.page.is_none()
    }
}

/// Answers what changed. `reader` is for whom it is remembered.
pub async fn changes(
    account: &Arc<Account>,
    agenda: &Agenda,
    request: Changes,
    reader: &str,
    deadline: Deadline,
) -> Result<Changed, OperationError> {
    let calendar = agenda.calendar(request.calendar.as_deref())?;
    let limit = agenda::within("limit", request.limit.unwrap_or(LARGEST_PAGE), LARGEST_PAGE)?;
    account.google().await?;
    let cursor = match (&request.cursor, request.restart) {
        (_, true) => Cursor::beginning(&calendar),
        (Some(text), false) => Cursor::read(text, &calendar)?,
        (None, false) => remembered(account, &calendar, reader).await?,
    };
    let (cursor, answer) = match page(account, &cursor, limit, deadline).await {
        Err(fault) if fault.has_status(410) => {
            let cursor = Cursor::beginning(&calendar);
            let answer = page(account, &cursor, limit, deadline).await;
            (cursor, answer)
        }
        answer => (cursor, answer),
    };
    let answer = answer.map_err(|fault| fault.into_error(&format!("calendar `{calendar}`")))?;
    let changed = read(&cursor, &answer)?;
    if request.cursor.is_none() {
        account.store.put_cursor(&calendar, reader, &changed.cursor).await?;
    }
    Ok(changed)
}

async fn remembered(account: &Account, calendar: &str, reader: &str) -> Result<Cursor, OperationError> {
    let stored = account.store.cursor(calendar, reader).await?;
    // What cannot be read any more was written by another version: it begins anew.
    let cursor = stored.and_then(|text| Cursor::read(&text, calendar).ok());
    Ok(cursor.unwrap_or_else(|| Cursor::beginning(calendar)))
}

/// The parameters are those of the first time, but for the tokens: Google wants them so.
async fn page(account: &Account, cursor: &Cursor, limit: u32, deadline: Deadline) -> Result<Value, Fault> {
    let ask = Ask::get(&["calendars", &cursor.calendar, "events"])
        .with("maxResults", limit.to_string())
        .with("syncToken", cursor.sync.clone())
        .with("pageToken", cursor.page.clone());
    account.ask(&ask, deadline).await
}

fn read(cursor: &Cursor, answer: &Value) -> Result<Changed, OperationError> {
    let text = |key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
    let next = match text("nextPageToken") {
        Some(page) => Cursor { page: Some(page), ..cursor.clone() },
        None => Cursor { sync: text("nextSyncToken"), page: None, ..cursor.clone() },
    };
    Ok(Changed {
        events: agenda::items(answer).map(|item| event::read(&cursor.calendar, item)).collect(),
        reset: cursor.is_beginning(),
        more: next.page.is_some(),
        cursor: next.write()?,
    })
}

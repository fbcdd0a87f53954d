//! Connects Switchboard to a file of notes. In the order in which a note passes:
//! - `settings`: what the operator gives.
//! - this file: what the plugin is and offers.
//! - `client`: the outside system, and what can go wrong with it.

mod settings;
mod client;
#[cfg(test)]
mod tests;

use plugin_api::prelude::*;

use crate::{client::Client, settings::Settings};

const PROBE_INTERVAL: Duration = Duration::from_secs(60);
const PAGE: &str = "/sample_plugin/notes";

struct Notebook {
    client: Client,
}

/// A note to be kept.
#[plugin_api::message]
struct Add {
    /// One line of text.
    note: String,
}

/// All notes.
#[plugin_api::message]
struct Notes {
    /// A note each, the oldest first.
    notes: Vec<String>,
}

impl Plugin for Notebook {
    type Settings = Settings;

    fn manifest() -> ManifestBuilder<Self> {
        Manifest::integration("sample_plugin")
            .about("Keeps notes in a file")
            .probe_every(PROBE_INTERVAL)
            .operation(Operation::new("add", Self::add).about("Keeps one line of text as a note.").tool())
            .operation(Operation::new("list", Self::list).about("Lists all notes.").tool().idempotent())
            .operation(Operation::new("page", Self::page).about("All notes as a page").idempotent())
            .route(Route::get(PAGE, "page"))
    }

    fn create(settings: Settings, context: Context) -> Result<Self, Failure> {
        let file = match settings.file {
            Some(file) => context.resolve_path(file),
            None => context.data_dir().join(format!("{}.txt", context.instance())),
        };
        Ok(Self { client: Client::new(file) })
    }

    async fn probe(&self) -> Result<(), Failure> {
        self.client.verify().await
    }
}

impl Notebook {
    async fn add(self: Arc<Self>, request: Add, _call: Call) -> Result<Empty, OperationError> {
        if request.note.trim().is_empty() || request.note.contains('\n') {
            return Err(OperationError::invalid("`note` is one line of text"));
        }
        self.client.add(request.note).await?;
        Ok(Empty {})
    }

    async fn list(self: Arc<Self>, _request: Empty, _call: Call) -> Result<Notes, OperationError> {
        Ok(Notes { notes: self.client.notes().await? })
    }

    async fn page(
        self: Arc<Self>,
        _request: HttpRequest,
        _call: Call,
    ) -> Result<HttpResponse, OperationError> {
        let notes = self.client.notes().await?;
        Ok(HttpResponse::text(notes.into_iter().map(|note| note + "\n").collect::<String>()))
    }
}

plugin_api::export_plugin!(Notebook);

//! Google Calendar over OAuth 2. In the order in which a request passes:
//! - `settings`: what the operator gives -> a checked `Config`.
//! - `client_secrets`: the JSON of Google's console -> an OAuth client.
//! - `times`: text -> moments and ranges that somebody can mean.
//! - `random`: random numbers and hashes as text.
//! - `errors`: what went wrong with Google -> why the plugin does not work, or why a request was not done.
//! - `client`: HTTP to the Calendar API and to the token endpoint.
//! - `oauth`: codes and refresh tokens -> tokens.
//! - `store`: what lasts, in the database.
//! - `tokens`: the grant there -> an access token that holds.
//! - `account`: all of this as one account, whose state the host is told.
//! - `pages`, `consent`: the walk of a browser to Google and back.
//! - `event`, `slots`: events as JSON, and when nobody is busy.
//! - `agenda`, `changes`: the operations.
//! - `routes`: the same over HTTP.
//! - `doctor`: consent, scopes, and whether the calendar answers.

mod settings;
mod client_secrets;
mod times;
mod random;
mod errors;
mod client;
mod oauth;
mod store;
mod tokens;
mod account;
mod pages;
mod consent;
mod event;
mod slots;
mod agenda;
mod changes;
mod routes;
mod doctor;
#[cfg(test)]
mod tests;

use plugin_api::{
    level::Level,
    prelude::*,
    requests::{
        calendar::{
            Busy, Changed, Changes, CreateEvent, Created, DeleteEvent, Deleted, Event, Events, FindFreeSlot,
            FreeBusy, GetEvent, ListEvents, Slots, UpdateEvent,
        },
        doctor::{Examination, Examine},
    },
    tokio::time::Instant,
};

use crate::{
    account::Account,
    agenda::Agenda,
    client::deadline,
    settings::{Config, Settings},
};

/// Within the host's own limits, so that our words come first.
const INIT_PATIENCE: Duration = Duration::from_secs(9);
const PROBE_PATIENCE: Duration = Duration::from_millis(4500);

/// Changes of a calendar whose caller has no name are remembered under this one.
const OPERATOR: &str = "operator";

/// One account of Google.
struct GoogleCalendar {
    account: Arc<Account>,
    agenda: Agenda,
}

/// What became of a connection that was ended.
#[plugin_api::message]
struct Disconnected {
    /// Google knows, too: nobody can use the old access any more.
    revoked: bool,
    /// What is left to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Plugin for GoogleCalendar {
    type Settings = Settings;

    fn manifest() -> ManifestBuilder<Self> {
        let manifest = Manifest::integration("google_calendar")
            .about("Reads and writes the calendars of a Google account")
            .requires("database")
            .require_any(["client_secrets_file", "client_secrets_json"]);
        routes_of(operations_of(manifest))
    }

    fn create(settings: Settings, context: Context) -> Result<Self, Failure> {
        let config = Config::check(settings, |path| context.resolve_path(path))?;
        let account = Arc::new(Account::new(config, context)?);
        Ok(Self { agenda: Agenda::new(account.clone()), account })
    }

    async fn init(&self) -> Result<(), Failure> {
        self.account.verify(Instant::now() + INIT_PATIENCE).await
    }

    async fn probe(&self) -> Result<(), Failure> {
        self.account.verify(Instant::now() + PROBE_PATIENCE).await
    }

    async fn stop(&self) {
        self.account.tokens.settle().await;
    }
}

fn operations_of(manifest: ManifestBuilder<GoogleCalendar>) -> ManifestBuilder<GoogleCalendar> {
    manifest
        .operation(
            Operation::of(GoogleCalendar::list_events)
                .about("Lists the events of a period; without one, of the next seven days.")
                .tool()
                .needs(Level::Shown)
                .idempotent(),
        )
        .operation(
            Operation::of(GoogleCalendar::get_event)
                .about("Reads one event by its id.")
                .tool()
                .needs(Level::Shown)
                .idempotent(),
        )
        .operation(
            Operation::of(GoogleCalendar::create_event)
                .about(
                    "Makes an event and invites people to it. Times carry the offset of their place. If the outcome is \
                     unknown, list the events before making it again.",
                )
                .tool()
                .needs(Level::Shown)
                .decisive(["title", "start", "end", "attendees", "calendar", "recurrence"])
                .keyed(),
        )
        .operation(
            Operation::of(GoogleCalendar::update_event)
                .about("Changes what is given of an event and leaves the rest; people who are invited are told.")
                .tool()
                .needs(Level::Shown)
                .decisive(["id", "title", "start", "end", "attendees", "calendar"]),
        )
        .operation(
            Operation::of(GoogleCalendar::delete_event)
                .about("Deletes an event; people who are invited are told.")
                .tool()
                .needs(Level::Shown)
                .decisive(["id", "calendar", "notify"])
                .idempotent(),
        )
        .operation(
            Operation::of(GoogleCalendar::free_busy)
                .about("Shows when people or calendars are busy, but not why.")
                .tool()
                .idempotent(),
        )
        .operation(
            Operation::of(GoogleCalendar::find_free_slot)
                .about("Finds times at which nobody of the given people or calendars is busy, in working hours.")
                .tool()
                .idempotent(),
        )
        .operation(
            Operation::of(GoogleCalendar::changes)
                .about("Lists what changed in a calendar since the caller last asked."),
        )
        .operation(
            Operation::new("disconnect", GoogleCalendar::disconnect)
                .about("Revokes the access to the Google account, at Google and here.")
                .idempotent(),
        )
        .operation(
            Operation::of(GoogleCalendar::doctor)
                .about("Proves that consent, its scopes and the calendar are there.")
                .idempotent()
                .doctor(),
        )
}

fn routes_of(manifest: ManifestBuilder<GoogleCalendar>) -> ManifestBuilder<GoogleCalendar> {
    manifest
        .operation(
            Operation::new("route_start", GoogleCalendar::route_start)
                .about("Sends an operator to Google to give consent."),
        )
        .operation(
            Operation::new("route_callback", GoogleCalendar::route_callback)
                .about("Takes the redirect by which Google sends the browser back."),
        )
        .operation(
            Operation::new("route_disconnect", GoogleCalendar::route_disconnect)
                .about("Revokes the access and forgets it, over HTTP."),
        )
        .operation(Operation::new("route_list", GoogleCalendar::route_list).about("Lists events, over HTTP."))
        .operation(
            Operation::new("route_create", GoogleCalendar::route_create)
                .about("Creates an event, over HTTP."),
        )
        .operation(
            Operation::new("route_get", GoogleCalendar::route_get).about("Reads one event, over HTTP."),
        )
        .operation(
            Operation::new("route_update", GoogleCalendar::route_update)
                .about("Changes an event, over HTTP."),
        )
        .operation(
            Operation::new("route_delete", GoogleCalendar::route_delete)
                .about("Deletes an event, over HTTP."),
        )
        .operation(
            Operation::new("route_free_busy", GoogleCalendar::route_free_busy)
                .about("Shows when calendars are busy, over HTTP."),
        )
        .route(Route::get(settings::START_PATH, "route_start"))
        // Google's redirect carries no operator's token; `state` and cookie say whose it is.
        .route(Route::get(settings::CALLBACK_PATH, "route_callback").public())
        .route(Route::delete("/api/calendar/oauth", "route_disconnect"))
        .route(Route::get("/api/calendar/events", "route_list"))
        .route(Route::post("/api/calendar/events", "route_create"))
        .route(Route::get("/api/calendar/events/{id}", "route_get"))
        .route(Route::patch("/api/calendar/events/{id}", "route_update"))
        .route(Route::delete("/api/calendar/events/{id}", "route_delete"))
        .route(Route::get("/api/calendar/freebusy", "route_free_busy"))
        .route(Route::post("/api/calendar/freebusy", "route_free_busy"))
}

impl GoogleCalendar {
    async fn list_events(self: Arc<Self>, request: ListEvents, call: Call) -> Result<Events, OperationError> {
        self.agenda.list(request, deadline(&call)).await
    }

    async fn get_event(self: Arc<Self>, request: GetEvent, call: Call) -> Result<Event, OperationError> {
        self.agenda.get(request, deadline(&call)).await
    }

    async fn create_event(
        self: Arc<Self>,
        request: CreateEvent,
        call: Call,
    ) -> Result<Created, OperationError> {
        let caller = call.caller().unwrap_or(OPERATOR);
        let key = request.client_id.clone().or(call.idempotency_key().map(str::to_owned));
        let key = key.as_deref().map(|key| (caller, key));
        self.agenda.create(request, key, deadline(&call)).await
    }

    async fn update_event(
        self: Arc<Self>,
        request: UpdateEvent,
        call: Call,
    ) -> Result<Event, OperationError> {
        self.agenda.update(request, deadline(&call)).await
    }

    async fn delete_event(
        self: Arc<Self>,
        request: DeleteEvent,
        call: Call,
    ) -> Result<Deleted, OperationError> {
        self.agenda.delete(request, deadline(&call)).await
    }

    async fn free_busy(self: Arc<Self>, request: FreeBusy, call: Call) -> Result<Busy, OperationError> {
        self.agenda.free_busy(request, deadline(&call)).await
    }

    async fn find_free_slot(
        self: Arc<Self>,
        request: FindFreeSlot,
        call: Call,
    ) -> Result<Slots, OperationError> {
        self.agenda.find_free_slot(request, deadline(&call)).await
    }

    async fn changes(self: Arc<Self>, request: Changes, call: Call) -> Result<Changed, OperationError> {
        let reader = call.caller().unwrap_or(OPERATOR);
        changes::changes(&self.account, &self.agenda, request, reader, deadline(&call)).await
    }

    async fn disconnect(
        self: Arc<Self>,
        _request: Empty,
        call: Call,
    ) -> Result<Disconnected, OperationError> {
        let revoked = consent::disconnect(&self.account, deadline(&call)).await?;
        let hint =
            "Google could not be notified: remove the access at https://myaccount.google.com/permissions";
        Ok(Disconnected { revoked, hint: (!revoked).then(|| hint.to_owned()) })
    }

    async fn doctor(self: Arc<Self>, _: Examine, call: Call) -> Result<Examination, OperationError> {
        Ok(doctor::examine(&self.account, &self.agenda, deadline(&call)).await)
    }
}

/// The routes.
impl GoogleCalendar {
    async fn route_start(
        self: Arc<Self>,
        request: HttpRequest,
        _call: Call,
    ) -> Result<HttpResponse, OperationError> {
        consent::start(&self.account, &request).await
    }

    async fn route_callback(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        consent::callback(&self.account, &request, deadline(&call)).await
    }

    async fn route_disconnect(
        self: Arc<Self>,
        _: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        HttpResponse::json(&self.disconnect(Empty {}, call).await?)
    }

    async fn route_list(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        HttpResponse::json(&self.list_events(request.read()?, call).await?)
    }

    async fn route_create(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        routes::created(&self.create_event(routes::create(&request)?, call).await?)
    }

    async fn route_get(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        routes::one(&self.get_event(request.read()?, call).await?)
    }

    async fn route_update(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        routes::one(&self.update_event(routes::update(&request)?, call).await?)
    }

    async fn route_delete(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        HttpResponse::json(&self.delete_event(routes::delete(&request)?, call).await?)
    }

    async fn route_free_busy(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        HttpResponse::json(&self.free_busy(routes::free_busy(&request)?, call).await?)
    }
}

plugin_api::export_plugin!(GoogleCalendar);

//! Reminders, messages, emails and runs at their time: once or again and again, on whichever host, each at most once. In
//! the order in which a job passes:
//! - `settings`: what the operator gives -> a checked `Config`.
//! - `times`: text -> moments that somebody can mean, and back. Pure.
//! - `rule`: when a job's moments come. Pure.
//! - `task`: what a job does -> the request that is made of another plugin. Pure.
//! - `store`: jobs and dead letters in the database.
//! - `misfire`: a moment that has come, and how late it is -> what is done now. Pure.
//! - `verdict`: how a call ended -> what becomes of the firing. Pure.
//! - `outcome`: what became of a job -> what is written of it. Pure.
//! - `engine`: takes the jobs whose moment has come, and does them.
//! - `desk`: what people, models and operators ask.
//! - `routes`: HTTP -> the same.

mod settings;
mod times;
mod rule;
mod task;
mod store;
mod misfire;
mod verdict;
mod outcome;
mod engine;
mod desk;
mod routes;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use plugin_api::{
    level::Level,
    prelude::*,
    requests::{
        scheduler::{
            Cancel, DeadLetters, DismissDeadLetter, FetchJob, Job, Jobs, List, ListDeadLetters, Overall,
            Overview, RetryDeadLetter, Schedule, ScheduleForOthers, Scheduled,
        },
        sql,
    },
    worker::Worker,
};

use crate::{
    desk::Desk,
    engine::Engine,
    settings::{Config, Settings},
    store::Store,
};

const GOOGLE_CALENDAR: &str = "google_calendar";
const MESSAGING: &str = "messaging_service";
const SMTP: &str = "smtp";
const ORCHESTRATOR: &str = "orchestrator_service";

/// Does things at their time.
struct Scheduler {
    store: Arc<Store>,
    engine: Arc<Engine>,
    desk: Desk,
    turning: OnceLock<[Worker; 3]>,
}

impl Plugin for Scheduler {
    type Settings = Settings;

    fn manifest() -> ManifestBuilder<Self> {
        let manifest = Manifest::service("scheduler_service")
            .about("Schedules reminders, messages, emails and runs, safely with several hosts")
            .requires(sql::PLUGIN)
            .wants(GOOGLE_CALENDAR)
            .wants(MESSAGING)
            .wants(SMTP)
            .wants(ORCHESTRATOR);
        routes_of(letters(jobs(manifest)))
    }

    fn create(settings: Settings, context: Context) -> Result<Self, Failure> {
        let config = Arc::new(Config::check(settings)?);
        let store = Arc::new(Store::new(context.clone()));
        let engine = Arc::new(Engine::new(context.clone(), config.clone(), store.clone()));
        let desk = Desk::new(context, config, store.clone(), engine.clone());
        Ok(Self { store, engine, desk, turning: OnceLock::new() })
    }

    async fn init(&self) -> Result<(), Failure> {
        let migrated = self.store.migrate().await;
        migrated.map_err(unready)?;
        self.turning.get_or_init(|| self.engine.start());
        Ok(())
    }

    async fn stop(&self) {
        for task in self.turning.get().into_iter().flatten() {
            task.stop();
        }
        if self.turning.get().is_some() {
            self.engine.farewell().await;
        }
    }
}

fn jobs(manifest: ManifestBuilder<Scheduler>) -> ManifestBuilder<Scheduler> {
    manifest
        .operation(
            Operation::of(Scheduler::schedule)
                .about(
                    "Schedules a message to the person of this conversation, or a goal for yourself to pursue, for \
                     later: once (`at`, `in_minutes`), again and again (`cron`), or before an event of the calendar \
                     (`before_event`). Give exactly one of `message` and `run`, and exactly one time. Leave out \
                     `message.to`. Local times without an offset need `time_zone`. The answer tells when it will be \
                     done: say so.",
                )
                .tool()
                .needs(Level::Shown)
                .decisive(["message.to", "at", "in_minutes", "cron", "before_event", "until", "time_zone"])
                .keyed(),
        )
        .operation(
            Operation::of(Scheduler::schedule_for_others)
                .about(
                    "Schedules a message or an email to anybody, for later, written as for `schedule`. A person must \
                     agree first.",
                )
                .tool()
                .needs(Level::Shown)
                .decisive([
                    "message.to",
                    "message.channel",
                    "email.to",
                    "email.cc",
                    "email.bcc",
                    "email.subject",
                    "at",
                    "in_minutes",
                    "cron",
                    "before_event",
                    "until",
                    "time_zone",
                ])
                .keyed()
                .needs_approval(),
        )
        .operation(
            Operation::of(Scheduler::cancel)
                .about("Cancels a job by its id, as `list` tells it. A job that is being done at this moment is not taken back.")
                .tool()
                .needs(Level::Shown)
                .decisive(["id"])
                .idempotent(),
        )
        .operation(
            Operation::of(Scheduler::list)
                .about("Lists what is scheduled for the person of this conversation, and when it will be done.")
                .tool()
                .needs(Level::Shown)
                .idempotent(),
        )
        .operation(Operation::of(Scheduler::fetch).about("Shows the state of a job, and what it asks for").idempotent())
        .operation(Operation::of(Scheduler::overview).about("Shows the state of all jobs").idempotent())
}

fn letters(manifest: ManifestBuilder<Scheduler>) -> ManifestBuilder<Scheduler> {
    manifest
        .operation(
            Operation::of(Scheduler::dead_letters)
                .about("Lists jobs that could not be done, or whose outcome is unknown")
                .idempotent(),
        )
        .operation(
            Operation::of(Scheduler::retry).about("Runs the task of a dead letter again, now, as a new job"),
        )
        .operation(Operation::of(Scheduler::dismiss).about("Marks a dead letter as dealt with"))
}

fn routes_of(manifest: ManifestBuilder<Scheduler>) -> ManifestBuilder<Scheduler> {
    manifest
        .operation(Operation::new("get_overview", Scheduler::get_overview).about("The route of `overview`"))
        .operation(Operation::new("get_jobs", Scheduler::get_jobs).about("The route of `list`"))
        .operation(Operation::new("post_job", Scheduler::post_job).about("The route of `schedule`"))
        .operation(Operation::new("get_job", Scheduler::get_job).about("The route of `fetch`"))
        .operation(Operation::new("delete_job", Scheduler::delete_job).about("The route of `cancel`"))
        .operation(Operation::new("get_letters", Scheduler::get_letters).about("The route of `dead_letters`"))
        .operation(Operation::new("post_retry", Scheduler::post_retry).about("The route of `retry`"))
        .operation(Operation::new("post_dismiss", Scheduler::post_dismiss).about("The route of `dismiss`"))
        .route(Route::get("/api/schedule", "get_overview"))
        .route(Route::get("/api/schedule/jobs", "get_jobs"))
        .route(Route::post("/api/schedule/jobs", "post_job"))
        .route(Route::get("/api/schedule/jobs/{id}", "get_job"))
        .route(Route::delete("/api/schedule/jobs/{id}", "delete_job"))
        .route(Route::get("/api/schedule/dead-letters", "get_letters"))
        .route(Route::post("/api/schedule/dead-letters/{id}/retry", "post_retry"))
        .route(Route::post("/api/schedule/dead-letters/{id}/dismiss", "post_dismiss"))
}

type Answer<T> = Result<T, OperationError>;

impl Scheduler {
    async fn schedule(self: Arc<Self>, request: Schedule, call: Call) -> Answer<Scheduled> {
        self.desk.schedule(request, false, &call, call.idempotency_key()).await
    }

    async fn schedule_for_others(
        self: Arc<Self>,
        request: ScheduleForOthers,
        call: Call,
    ) -> Answer<Scheduled> {
        self.desk.schedule(request.0, true, &call, call.idempotency_key()).await
    }

    async fn cancel(self: Arc<Self>, request: Cancel, call: Call) -> Answer<Job> {
        self.desk.cancel(&request.id, call.person()).await
    }

    async fn list(self: Arc<Self>, request: List, call: Call) -> Answer<Jobs> {
        self.desk.list(request, call.person()).await
    }

    async fn fetch(self: Arc<Self>, request: FetchJob, call: Call) -> Answer<Job> {
        self.desk.fetch(&request.id, call.person()).await
    }

    async fn overview(self: Arc<Self>, _: Overview, call: Call) -> Answer<Overall> {
        self.desk.overview(call.person()).await
    }

    async fn dead_letters(self: Arc<Self>, request: ListDeadLetters, call: Call) -> Answer<DeadLetters> {
        self.desk.dead_letters(request, call.person()).await
    }

    async fn retry(self: Arc<Self>, request: RetryDeadLetter, call: Call) -> Answer<Job> {
        self.desk.retry(request, call.person()).await
    }

    async fn dismiss(self: Arc<Self>, request: DismissDeadLetter, call: Call) -> Answer<()> {
        self.desk.dismiss(&request.id, call.person()).await
    }

    async fn get_overview(self: Arc<Self>, _: HttpRequest, call: Call) -> Answer<HttpResponse> {
        HttpResponse::json(&self.desk.overview(call.person()).await?)
    }

    async fn get_jobs(self: Arc<Self>, request: HttpRequest, call: Call) -> Answer<HttpResponse> {
        HttpResponse::json(&self.desk.list(request.read()?, call.person()).await?)
    }

    /// The header `Idempotency-Key` is the key of the call.
    async fn post_job(self: Arc<Self>, request: HttpRequest, call: Call) -> Answer<HttpResponse> {
        let key = request.header("idempotency-key").or(call.idempotency_key());
        let scheduled = self.desk.schedule(request.json()?, true, &call, key).await?;
        let status = if scheduled.repeated { 200 } else { 201 };
        Ok(HttpResponse::json(&scheduled)?.status(status))
    }

    async fn get_job(self: Arc<Self>, request: HttpRequest, call: Call) -> Answer<HttpResponse> {
        let FetchJob { id } = routes::with_id(&request)?;
        HttpResponse::json(&self.desk.fetch(&id, call.person()).await?)
    }

    async fn delete_job(self: Arc<Self>, request: HttpRequest, call: Call) -> Answer<HttpResponse> {
        let Cancel { id } = routes::with_id(&request)?;
        HttpResponse::json(&self.desk.cancel(&id, call.person()).await?)
    }

    async fn get_letters(self: Arc<Self>, request: HttpRequest, call: Call) -> Answer<HttpResponse> {
        HttpResponse::json(&self.desk.dead_letters(request.read()?, call.person()).await?)
    }

    async fn post_retry(self: Arc<Self>, request: HttpRequest, call: Call) -> Answer<HttpResponse> {
        HttpResponse::json(&self.desk.retry(routes::with_id(&request)?, call.person()).await?)
    }

    async fn post_dismiss(self: Arc<Self>, request: HttpRequest, call: Call) -> Answer<HttpResponse> {
        let DismissDeadLetter { id } = routes::with_id(&request)?;
        self.desk.dismiss(&id, call.person()).await?;
        Ok(HttpResponse::empty(204))
    }
}

/// A database that is away comes back; what it refuses otherwise, a person must see to.
fn unready(error: OperationError) -> Failure {
    let message = format!("the jobs cannot be read: {}", error.message);
    match error.kind {
        // Whether it had an effect is seen by the next attempt.
        ErrorKind::UnknownOutcome => Failure::unavailable(message),
        _ => OperationError { message, ..error }.into(),
    }
}

plugin_api::export_plugin!(Scheduler);

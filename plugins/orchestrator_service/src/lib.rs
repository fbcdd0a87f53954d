//! Runs: a goal is pursued for a person by a model and the tools that plugins.toml allows. In the order in which a run
//! passes:
//! - `settings`: what the operator gives -> a checked `Config`.
//! - `random`: names, tokens and hashes. Pure.
//! - `run`: a run, its steps and tool calls. Types only.
//! - `prompt`: a run -> the chat that the model goes on with. Pure.
//! - `starting`: a request -> a run that may be kept. Pure.
//! - `store`: what lasts, in the database.
//! - `shared`: what all parts share.
//! - `worker`: one run, step by step, to its end or to a person.
//! - `seals`: what the database holds -> whether it is what was written there.
//! - `telling`: decisions that wait -> the words for the approver. Pure.
//! - `decisions`: what people decide, and the links by which they do.
//! - `messages`: what tools sent, and what of it did not arrive.
//! - `pool`: the runs of this host, their claims, and those that nobody works on.
//! - `report`, `follow`: how a run goes, and what happens in it.
//! - `pages`, `routes`: the same over HTTP.

mod settings;
mod random;
mod run;
mod prompt;
mod starting;
mod store;
mod shared;
mod worker;
mod seals;
mod telling;
mod decisions;
mod messages;
mod pool;
mod report;
mod follow;
mod pages;
mod routes;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use plugin_api::{
    level::Level,
    prelude::*,
    requests::orchestrator::{
        CancelRun, Decide, FetchRun, ListRuns, RUN_STREAM, Run, RunEvent, RunList, RunRecord, RunReport,
        RunState, ShowRun,
    },
    standing::Standing,
    tokio::{
        self,
        sync::{Notify, watch},
        time::Instant,
    },
    worker::Worker,
};

use crate::{
    decisions::{APPROVER, By, Decisions, LINK_PATH, SMTP, TWILIO_SERVICE},
    pool::Pool,
    report::Reporter,
    routes::Pressed,
    settings::{Config, Settings},
    shared::Shared,
    starting::Asker,
    store::Store,
    telling::Waiting,
};

/// An answer leaves this long before the caller's deadline, so that it still reaches the caller.
const MARGIN: Duration = Duration::from_millis(500);
const FORM_LIMIT: usize = 16 * 1024;
/// The trouble that the model of our own settings cannot be used.
const MODEL: &str = "model";

/// Works on runs.
struct Orchestrator {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
    decisions: Arc<Decisions>,
    reporter: Reporter,
    looking: OnceLock<Vec<Worker>>,
}

impl Plugin for Orchestrator {
    type Settings = Settings;

    fn manifest() -> ManifestBuilder<Self> {
        let manifest = Manifest::service("orchestrator_service")
            .about("Pursues goals by a language model and tools, durably, with people's approval")
            .requires("openai")
            .requires("database")
            .wants(SMTP)
            .wants(TWILIO_SERVICE);
        routes_of(operations_of(manifest))
    }

    fn create(settings: Settings, context: Context) -> Result<Self, Failure> {
        let config = Config::check(settings)?;
        let store = Store::new(context.clone(), config.lease);
        let (changes, stopping) = (watch::Sender::new(0), watch::Sender::new(false));
        let (wake, model, approver) = (Notify::new(), Standing::new(MODEL), Standing::new(APPROVER));
        let shared = Arc::new(Shared { context, config, store, changes, wake, stopping, model, approver });
        let decisions = Arc::new(Decisions::new(shared.clone()));
        let pool = Arc::new(Pool::new(shared.clone(), decisions.clone()));
        let reporter = Reporter { shared: shared.clone(), decisions: decisions.clone() };
        Ok(Self { shared, pool, decisions, reporter, looking: OnceLock::new() })
    }

    /// Model and database are verified by themselves. Runs that an earlier host left are taken up in the background.
    async fn init(&self) -> Result<(), Failure> {
        self.looking.get_or_init(|| pool::start(&self.pool));
        Ok(())
    }

    async fn stop(&self) {
        self.pool.stop().await;
    }
}

fn operations_of(manifest: ManifestBuilder<Orchestrator>) -> ManifestBuilder<Orchestrator> {
    manifest
        .operation(Operation::of(Orchestrator::run).about("Starts a run, and reports its status").keyed())
        .operation(
            Operation::stream(RUN_STREAM, Orchestrator::run_stream)
                .about("Starts a run, and streams what happens in it"),
        )
        .operation(Operation::of(Orchestrator::fetch_run).about("Reports the status of a run").idempotent())
        .operation(
            Operation::of(Orchestrator::show_run).about("Shows all that was done in a run").idempotent(),
        )
        .operation(Operation::of(Orchestrator::list_runs).about("Lists runs, the newest first").idempotent())
        .operation(Operation::of(Orchestrator::cancel_run).about("Ends a run at its next step").idempotent())
        .operation(Operation::of(Orchestrator::decide).about("Decides what a run waits for, once"))
}

fn routes_of(manifest: ManifestBuilder<Orchestrator>) -> ManifestBuilder<Orchestrator> {
    let approve = format!("{LINK_PATH}/{{token}}");
    manifest
        .operation(Operation::new("route_list", Orchestrator::route_list).about("Lists runs, over HTTP"))
        .operation(Operation::new("route_start", Orchestrator::route_start).about("Starts a run, over HTTP"))
        .operation(Operation::new("route_show", Orchestrator::route_show).about("Shows a run, over HTTP"))
        .operation(Operation::new("route_cancel", Orchestrator::route_cancel).about("Ends a run, over HTTP"))
        .operation(Operation::new("route_decide", Orchestrator::route_decide).about("Decides, over HTTP"))
        .operation(
            Operation::new("route_question", Orchestrator::route_question)
                .about("Shows what is to be decided behind a link; decides nothing"),
        )
        .operation(
            Operation::new("route_answer", Orchestrator::route_answer).about("Decides by a link, once"),
        )
        .route(Route::get("/api/runs", "route_list"))
        .route(Route::post("/api/runs", "route_start"))
        .route(Route::get("/api/runs/{run}", "route_show"))
        .route(Route::post("/api/runs/{run}/cancel", "route_cancel"))
        .route(Route::post("/api/runs/{run}/decisions/{decision}", "route_decide"))
        // Whoever has the link may decide: its token is the key.
        .route(Route::get(&approve, "route_question").public())
        .route(Route::post(&approve, "route_answer").public().body_limit(FORM_LIMIT))
}

impl Orchestrator {
    async fn run(self: Arc<Self>, request: Run, call: Call) -> Result<RunReport, OperationError> {
        let asker = asker(&call);
        self.begin(request, asker, &call).await
    }

    async fn run_stream(
        self: Arc<Self>,
        request: Run,
        stream: Stream,
        call: Call,
    ) -> Result<(), OperationError> {
        let asker = asker(&call);
        let with_links = is_operator(&call);
        let started = self.clone().keep(request, asker).await?;
        if follow::send(&stream, &RunEvent::Started { run: started.run.id.clone() }).await {
            follow::tell(&self.reporter, &started.run.id, with_links, &stream).await?;
        }
        Ok(())
    }

    async fn fetch_run(self: Arc<Self>, request: FetchRun, call: Call) -> Result<RunReport, OperationError> {
        let until = until(&call, starting::wait_seconds(request.wait_seconds)?);
        self.visible(&request.run, call.person()).await?;
        self.report(&request.run, until, is_operator(&call)).await
    }

    async fn show_run(self: Arc<Self>, request: ShowRun, call: Call) -> Result<RunRecord, OperationError> {
        let run = self.visible(&request.run, call.person()).await?;
        self.reporter.record(&run, is_operator(&call)).await
    }

    async fn list_runs(
        self: Arc<Self>,
        mut request: ListRuns,
        call: Call,
    ) -> Result<RunList, OperationError> {
        if let Some(person) = call.person() {
            request.person = Some(person.to_owned());
        }
        let (runs, page) = self.shared.store.list(&request).await?;
        Ok(report::list(runs, page))
    }

    async fn cancel_run(
        self: Arc<Self>,
        request: CancelRun,
        call: Call,
    ) -> Result<RunReport, OperationError> {
        let run = self.visible(&request.run, call.person()).await?;
        let by = if call.person().is_some() { "cancelled by the person" } else { "cancelled by an operator" };
        let by = call.caller().map_or(by.to_owned(), |caller| format!("cancelled by `{caller}`"));
        if !self.shared.store.cancel(&run.id, &by).await? {
            let now = self.visible(&run.id, call.person()).await?;
            if now.state != RunState::Cancelled {
                return Err(OperationError::conflict(format!("the run `{}` is over", run.id)));
            }
        }
        self.shared.changed();
        self.report(&run.id, Instant::now(), false).await
    }

    async fn decide(self: Arc<Self>, request: Decide, call: Call) -> Result<RunReport, OperationError> {
        if !is_operator(&call) {
            return Err(OperationError::denied(
                "only an operator decides: use `switchboard call`, a route or the link",
            ));
        }
        let run = self.visible(&request.run, None).await?;
        let note = request.note.as_deref();
        self.decisions.decide(&run.id, &request.decision, request.approve, note, By::Operator).await?;
        self.report(&run.id, Instant::now(), true).await
    }
}

/// The routes.
impl Orchestrator {
    async fn route_list(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        HttpResponse::json(&self.list_runs(request.read()?, call).await?)
    }

    async fn route_start(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        let routes::Start { run, person, key } = routes::start(&request)?;
        // Operators answer for those whom they name.
        let level = person.as_ref().map(|_| Level::Signed);
        let asker = Asker { person, level, key, ..asker(&call) };
        routes::started(&self.begin(run, asker, &call).await?)
    }

    async fn route_show(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        HttpResponse::json(&self.show_run(ShowRun { run: routes::run(&request) }, call).await?)
    }

    async fn route_cancel(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        HttpResponse::json(&self.cancel_run(CancelRun { run: routes::run(&request) }, call).await?)
    }

    async fn route_decide(
        self: Arc<Self>,
        request: HttpRequest,
        call: Call,
    ) -> Result<HttpResponse, OperationError> {
        HttpResponse::json(&self.decide(routes::decide(&request)?, call).await?)
    }

    async fn route_question(
        self: Arc<Self>,
        request: HttpRequest,
        _: Call,
    ) -> Result<HttpResponse, OperationError> {
        let waiting = self.decisions.behind(request.param("token").unwrap_or_default()).await?;
        Ok(match waiting.as_deref() {
            None => pages::unknown(),
            Some([]) => pages::used(),
            Some(waiting) => pages::ask(waiting),
        })
    }

    async fn route_answer(
        self: Arc<Self>,
        request: HttpRequest,
        _: Call,
    ) -> Result<HttpResponse, OperationError> {
        let Some(waiting) = self.decisions.behind(request.param("token").unwrap_or_default()).await? else {
            return Ok(pages::unknown());
        };
        let Pressed { of, approve, note } = routes::pressed(&request)?;
        let is_it = |waiting: &&Waiting| of.as_deref().is_none_or(|of| of == waiting.name());
        let one = match waiting.iter().filter(is_it).collect::<Vec<_>>()[..] {
            [] => return Ok(pages::used()),
            [one] => one,
            _ => return Ok(pages::unclear()),
        };
        let Some(approve) = approve else { return Ok(pages::unclear()) };
        let (run, decision) = (&one.run.id, one.call.decision());
        match self.decisions.decide(run, &decision, approve, note.as_deref(), By::Link).await {
            Ok(()) => Ok(pages::decided(approve, &one.call, waiting.len() - 1)),
            Err(error) if error.kind == ErrorKind::Conflict => Ok(pages::used()),
            Err(error) => Err(error),
        }
    }
}

impl Orchestrator {
    /// Starts a run, and waits for it as long as the request says.
    async fn begin(
        self: Arc<Self>,
        request: Run,
        asker: Asker,
        call: &Call,
    ) -> Result<RunReport, OperationError> {
        let until = until(call, starting::wait_seconds(request.wait_seconds)?);
        let with_links = asker.person.is_none() && is_operator(call);
        let started = self.clone().keep(request, asker).await?;
        let report = self.report(&started.run.id, until, with_links).await?;
        Ok(RunReport { repeated: started.repeated, ..report })
    }

    /// To its end, even if the caller goes away.
    async fn keep(self: Arc<Self>, request: Run, asker: Asker) -> Result<store::Started, OperationError> {
        let start = starting::start(request, &asker, &self.shared.config, self.shared.store.now_ms())?;
        let kept =
            tokio::spawn(async move { self.pool.start(start.run, &start.key, &start.fingerprint).await });
        kept.await
            .map_err(|error| OperationError::internal(format!("the start did not complete: {error}")))?
    }

    async fn report(&self, run: &str, until: Instant, with_links: bool) -> Result<RunReport, OperationError> {
        let run = follow::wait(&self.reporter, run, until).await?.ok_or_else(|| not_found(run))?;
        self.reporter.report(&run, with_links).await
    }

    async fn visible(&self, run: &str, person: Option<&str>) -> Result<run::Run, OperationError> {
        let found = self.shared.store.run(run).await?;
        found.filter(|run| run.is_visible_to(person)).ok_or_else(|| not_found(run))
    }
}

/// Neither a person's assistant nor another plugin asks: only then links are shown, and decisions taken.
fn is_operator(call: &Call) -> bool {
    call.person().is_none() && call.caller().is_none()
}

fn asker(call: &Call) -> Asker {
    Asker {
        caller: call.caller().unwrap_or_default().to_owned(),
        person: call.person().map(str::to_owned),
        level: call.level(),
        key: call.idempotency_key().map(str::to_owned),
        trace: call.trace().map(str::to_owned),
    }
}

/// The end of a wait that still leaves time to answer.
fn until(call: &Call, seconds: u32) -> Instant {
    let wait = Duration::from_secs(seconds.into());
    let most = call.remaining().map_or(wait, |left| left.saturating_sub(MARGIN));
    Instant::now() + wait.min(most)
}

fn not_found(run: &str) -> OperationError {
    OperationError::not_found(format!("there is no run `{run}`"))
}

plugin_api::export_plugin!(Orchestrator);

//! The table of what `host` itself can be asked, by plugins and by operators.

use std::sync::{Arc, Weak};

use plugin_api::{
    error::OperationError,
    requests::{
        Empty,
        host::{
            Approve, CallTool, FetchToolset, KeyFingerprint, Note, Observe, Open, RegisterSecret, Report,
            Seal, Status, StatusOf, Tool, Trouble,
        },
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    clock,
    lifecycle::Lifecycle,
    scrub::{self, Scrubber},
    status::{Board, Event, Failing, Finding},
    switch::{Caller, HostOperations, Offer, Request, Switch},
};

use super::{Core, Diagnose, Diagnosis, Levels, Reloaded, SetLevel, approvals::Approvals, seal::Sealer};

/// What one plugin may have to say at once.
const MOST_NOTES: usize = 20;
/// In letters.
const LONGEST_NOTE: usize = 500;

/// `host.verify`: a plugin asks for itself, an operator for any.
#[derive(Deserialize, JsonSchema)]
struct Verify {
    plugin: Option<String>,
}

/// `host.acknowledge`: what of a plugin an operator has seen; without operation and key all that fails.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Acknowledge {
    plugin: String,
    operation: Option<String>,
    key: Option<String>,
}

/// What was acknowledged.
#[derive(Serialize, JsonSchema)]
struct Acknowledged {
    operation: Option<String>,
    key: Option<String>,
    message: String,
}

/// All operations of `host`.
pub(super) fn table(core: &Arc<Core>, sealer: Sealer, approvals: Approvals) -> HostOperations {
    let (tools, tool_caller, offerer) = (core.switch.clone(), core.switch.clone(), core.switch.clone());
    let (toolsets, approver) = (core.switch.clone(), core.switch.clone());
    let signer = approvals.clone();
    let (verifier, reporter) = (core.lifecycle.clone(), core.lifecycle.clone());
    let (reader, scrubber) = (core.board.clone(), core.scrubber.clone());
    let troubled = core.switch.clone();
    let (notice_board, cleaner) = (core.board.clone(), core.scrubber.clone());
    // The core holds the switch, which holds this table.
    let reloader = Arc::downgrade(core);
    let (opener, key) = (sealer.clone(), sealer.clone());
    let observations = core.observations.clone();
    HostOperations::default()
        .with("observe", move |request: Request<Observe>| {
            let outcome = plugin(&request.caller).and_then(|name| observations.take(name, request.body));
            async move { outcome }
        })
        .with("status", move |request: Request<Status>| {
            let status = status(&reader, &request.body.plugin);
            async move { status }
        })
        .about("shows the status of a plugin")
        .with("verify", move |request: Request<Verify>| verify(verifier.clone(), request))
        .about("probes a plugin now, and answers once the outcome is known")
        .with("report", move |request: Request<Report>| {
            let outcome = plugin(&request.caller).and_then(|name| reporter.report(name, request.body));
            async move { outcome }
        })
        .with("note", move |request: Request<Note>| {
            let noted = plugin(&request.caller).map(|name| {
                let notes = noted(&cleaner, request.body.notes);
                notice_board.apply(name, Event::Noted { notes }, clock::now());
            });
            async move { noted }
        })
        .with("trouble", move |request: Request<Trouble>| {
            let outcome = plugin(&request.caller).and_then(|name| troubled.trouble(name, request.body));
            async move { outcome }
        })
        .with("acknowledge", {
            let core = reloader.clone();
            move |request: Request<Acknowledge>| {
                let outcome = acknowledge(&core, request);
                async move { outcome }
            }
        })
        .about("acknowledges what fails in use: it is left out of the plugin's health until it happens again")
        .with("doctor", {
            let core = reloader.clone();
            move |request: Request<Diagnose>| doctor(core.clone(), request)
        })
        .about("checks the host and everything that it connects to, end to end, and says what to fix; some checks take a minute")
        .with("set_log_level", {
            let core = reloader.clone();
            move |request: Request<SetLevel>| set_log_level(core.clone(), request)
        })
        .about("sets the level of a plugin's log, or of the host's, until the host ends")
        .with("log_levels", {
            let core = reloader.clone();
            move |request: Request<Value>| log_levels(core.clone(), request.caller)
        })
        .about("lists the log levels")
        .with("reload", move |request: Request<Value>| reload(reloader.clone(), request.caller))
        .about("reads plugins.toml again, and restarts what changed and what requires it")
        .with("operations", move |request: Request<Empty>| {
            let offers = offers(&offerer, &request.caller);
            async move { offers }
        })
        .about("lists the operations that the caller can use, with the schemas of requests and responses")
        .with("secret", move |request: Request<RegisterSecret>| {
            scrubber.add([request.body.value]);
            async { Ok(()) }
        })
        .with("seal", move |request: Request<Seal>| {
            let sealed = plugin(&request.caller).and_then(|name| sealer.seal(name, &request.body.text));
            async move { sealed }
        })
        .with("open", move |request: Request<Open>| {
            let opened = plugin(&request.caller).and_then(|name| opener.open(name, &request.body.sealed));
            async move { opened }
        })
        .with("key_fingerprint", move |_: Request<KeyFingerprint>| {
            let fingerprint = key.fingerprint();
            async move { fingerprint }
        })
        .about("returns a fingerprint of the host's secret key, which reveals nothing of the key")
        .with("tools", move |request: Request<Value>| {
            let listed: Result<Vec<Tool>, _> = plugin(&request.caller).map(|name| tools.tools(name, request.header.level));
            async move { listed }
        })
        .with("toolset", move |request: Request<FetchToolset>| {
            let listed = plugin(&request.caller).map(|name| toolsets.toolset(name, request.header.level));
            async move { listed }
        })
        .with("approve", move |request: Request<Approve>| {
            let approval = approve(&approver, &signer, request);
            async move { approval }
        })
        .with("call_tool", move |request: Request<CallTool>| {
            call_tool(tool_caller.clone(), approvals.clone(), request)
        })
}

fn status(board: &Board, name: &str) -> Result<StatusOf, OperationError> {
    let snapshot = board.snapshot();
    let plugin = snapshot.plugin(name);
    let plugin = plugin.ok_or_else(|| OperationError::not_found(format!("there is no plugin `{name}`")))?;
    Ok(StatusOf {
        name: plugin.name.clone(),
        status: plugin.status.as_str().to_owned(),
        healthy: plugin.healthy,
        code: plugin.reason.as_ref().map(|reason| reason.code),
        message: plugin.reason.as_ref().map(|reason| reason.message.clone()),
    })
}

/// As a reason is shown: a line each, without secrets, and no flood.
fn noted(scrubber: &Scrubber, notes: Vec<String>) -> Vec<String> {
    let lines = notes.into_iter().take(MOST_NOTES);
    lines
        .map(|mut note| {
            scrubber.clean(&mut note);
            scrub::one_line(&note).chars().take(LONGEST_NOTE).collect()
        })
        .collect()
}

/// An operator waits for the outcome. A plugin does not: it may ask from within its own probe.
async fn verify(lifecycle: Lifecycle, request: Request<Verify>) -> Result<Value, OperationError> {
    match (&request.caller, request.body.plugin) {
        (Caller::Plugin(name), None) => lifecycle.verify_soon(name)?,
        (Caller::Plugin(name), Some(other)) => {
            return Err(OperationError::denied(format!(
                "`{name}` may ask for its own verification, not for `{other}`"
            )));
        }
        (Caller::Nobody, _) => return Err(for_nobody()),
        (Caller::Operator, Some(name)) => lifecycle.verify(&name).await?,
        (Caller::Operator, None) => {
            return Err(OperationError::invalid("name the plugin to verify: `{\"plugin\": \"…\"}`"));
        }
    }
    Ok(json!(null))
}

fn acknowledge(
    core: &Weak<Core>,
    request: Request<Acknowledge>,
) -> Result<Vec<Acknowledged>, OperationError> {
    let core = for_operators(core, &request.caller, "acknowledge what fails")?;
    let Acknowledge { plugin, operation, key } = request.body;
    let board = core.board.snapshot();
    let known = board.plugin(&plugin);
    let known = known.ok_or_else(|| OperationError::not_found(format!("there is no plugin `{plugin}`")))?;
    let seen = core.switch.acknowledge(&plugin, operation.as_deref(), key.as_deref());
    if seen.is_empty() {
        let name = |failing: &Failing| failing.key.clone().or(failing.operation.clone()).unwrap_or_default();
        let names: Vec<_> = known.failing.iter().map(name).collect();
        let what = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        return Err(OperationError::not_found(format!(
            "no failure of `{plugin}` matches this; failing: {what}"
        )));
    }
    let acknowledged = seen.into_iter();
    Ok(acknowledged
        .map(|Finding { operation, key, message, .. }| Acknowledged { operation, key, message })
        .collect())
}

/// A plugin knows what it may call: what it declares, and its tools.
fn offers(switch: &Switch, caller: &Caller) -> Result<Vec<Offer>, OperationError> {
    match caller {
        Caller::Operator => Ok(switch.offers()),
        Caller::Nobody => Err(for_nobody()),
        Caller::Plugin(name) => Err(OperationError::denied(format!(
            "`{name}` is a plugin: only an operator may see all operations"
        ))),
    }
}

/// What plugins.toml says is for operators to bring into force.
async fn reload(core: Weak<Core>, caller: Caller) -> Result<Reloaded, OperationError> {
    let core = for_operators(&core, &caller, "reload")?;
    Ok(core.reload().await?)
}

async fn doctor(core: Weak<Core>, request: Request<Diagnose>) -> Result<Diagnosis, OperationError> {
    for_operators(&core, &request.caller, "examine the host")?.diagnose(request.body).await
}

async fn set_log_level(core: Weak<Core>, request: Request<SetLevel>) -> Result<Levels, OperationError> {
    for_operators(&core, &request.caller, "set levels of the log")?.set_log_level(request.body).await
}

async fn log_levels(core: Weak<Core>, caller: Caller) -> Result<Levels, OperationError> {
    for_operators(&core, &caller, "read levels of the log")?.log_levels().await
}

fn for_operators(core: &Weak<Core>, caller: &Caller, what: &str) -> Result<Arc<Core>, OperationError> {
    match caller {
        Caller::Operator => core.upgrade().ok_or_else(|| OperationError::unavailable("the host is stopping")),
        Caller::Nobody => Err(for_nobody()),
        Caller::Plugin(name) => {
            Err(OperationError::denied(format!("`{name}` is a plugin: only an operator may {what}")))
        }
    }
}

fn for_nobody() -> OperationError {
    OperationError::denied("only operators and plugins may ask the host")
}

fn approve(
    switch: &Switch,
    approvals: &Approvals,
    request: Request<Approve>,
) -> Result<String, OperationError> {
    let Request { caller, header, body } = request;
    let caller = plugin(&caller)?;
    switch.may_approve(caller, &body.tool)?;
    approvals.sign(caller, header, body)
}

async fn call_tool(
    switch: Switch,
    approvals: Approvals,
    request: Request<CallTool>,
) -> Result<Value, OperationError> {
    let Request { caller, header, body } = request;
    let caller = plugin(&caller)?;
    let arguments =
        serde_json::to_vec(&body.arguments).map_err(|error| OperationError::invalid(error.to_string()))?;
    // One that is given is checked in any case: it says that a person decided about this very call.
    let approval = body.approval.as_deref();
    approval.map(|approval| approvals.check(caller, &header, &body, approval)).transpose()?;
    let once = approval.filter(|_| !switch.may_repeat(&body.name));
    let used = once.map(|approval| approvals.use_up(approval)).transpose()?;
    let called = switch.call_tool(caller, &body.name, header, arguments, approval.is_some()).await;
    if let (Err(error), Some(used)) = (&called, used)
        && error.kind.may_retry(false)
    {
        used.give_back();
    }
    serde_json::from_slice(&called?).map_err(|error| {
        OperationError::internal(format!("`{}` did not answer with JSON: {error}", body.name))
    })
}

/// The plugin that calls; what is about the caller itself makes no sense for an operator.
fn plugin(caller: &Caller) -> Result<&str, OperationError> {
    caller.name().ok_or_else(|| {
        OperationError::invalid("this operation is for plugins: it is about the caller itself")
    })
}

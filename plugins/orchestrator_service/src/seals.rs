//! What the database holds of a call or a link -> whether it is what this plugin wrote there. Whoever can write to the
//! database has no key: what they change or add does not fit its seal.

use plugin_api::{
    context::Context,
    error::{ErrorKind, OperationError},
};

use crate::{
    random,
    run::{Run, ToolRun},
    store::Link,
};

/// Why a call is not made that does not fit its seal.
const ALTERED: &str = "the database does not hold what the model asked for: it was altered there";
/// Why one is not made whose seal nobody here can read.
const FOREIGN: &str = "it was kept under another secret key: set `SWITCHBOARD_SECRET_KEY` to one value on all hosts that share \
                       this database";

/// The call with its seal, as it is and for this run.
pub async fn sealed(context: &Context, run: &Run, call: ToolRun) -> Result<ToolRun, OperationError> {
    let seal = context.host().seal(&call.digest(run)).await?.sealed;
    Ok(ToolRun { seal, ..call })
}

/// Why a call may not be the one that the model wanted in this run; `None` if it is.
pub async fn doubt(
    context: &Context,
    run: &Run,
    call: &ToolRun,
) -> Result<Option<&'static str>, OperationError> {
    doubt_of(context, &call.seal, &call.digest(run)).await
}

/// A decision that a link with this hash leads to.
pub async fn link(context: &Context, hash: &str, run: &str, decision: &str) -> Result<Link, OperationError> {
    let seal = context.host().seal(&of_link(hash, run, decision)).await?.sealed;
    Ok(Link { run: run.to_owned(), decision: decision.to_owned(), seal })
}

/// Whether such a link was given out for this decision.
pub async fn is_given_out(context: &Context, hash: &str, link: &Link) -> Result<bool, OperationError> {
    let doubt = doubt_of(context, &link.seal, &of_link(hash, &link.run, &link.decision)).await?;
    Ok(doubt.is_none())
}

fn of_link(hash: &str, run: &str, decision: &str) -> String {
    random::hash_of(&["link", hash, run, decision])
}

async fn doubt_of(
    context: &Context,
    seal: &str,
    digest: &str,
) -> Result<Option<&'static str>, OperationError> {
    match context.host().open(seal).await {
        Ok(sealed) => Ok((sealed != digest).then_some(ALTERED)),
        Err(error) if error.kind == ErrorKind::Conflict => Ok(Some(FOREIGN)),
        // This plugin did not seal it.
        Err(error) if matches!(error.kind, ErrorKind::Invalid | ErrorKind::Denied) => Ok(Some(ALTERED)),
        Err(error) => Err(error),
    }
}

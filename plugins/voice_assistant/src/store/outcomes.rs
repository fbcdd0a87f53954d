//! How a call went, in words, and which of them count where several are told: webhooks of one call come in any order.

use plugin_api::requests::sql::Statement;

/// What Twilio says of most calls, and what gives way to whoever knows more.
pub const HUNG_UP: &str = "the other side hung up";
/// It gives way to a message that was left.
pub const UNANSWERED: &str = "nobody could answer";
/// Before a name. It is known by who is dialled, and gives way to what came of that.
pub const TRANSFERRED: &str = "transferred to ";

/// Of what is known, the first counts; what was only to be expected gives way to it.
pub(super) fn first(call: &str, outcome: &str) -> Statement {
    let set = "outcome = case
        when outcome = '' or outcome like $3 then $2
        when $4 = 1 and outcome in ($5, $6) then $2
        else outcome end";
    let statement = of_call(set, call).bind(outcome).bind(format!("{TRANSFERRED}%"));
    statement.bind(i64::from(is_known(outcome))).bind(HUNG_UP).bind(UNANSWERED)
}

fn is_known(outcome: &str) -> bool {
    outcome != HUNG_UP && outcome != UNANSWERED && !outcome.starts_with(TRANSFERRED)
}

/// Sets columns of a call.
pub(super) fn of_call(set: &str, call: &str) -> Statement {
    Statement::new(format!("update voice_assistant_calls set {set} where call = $1")).bind(call)
}

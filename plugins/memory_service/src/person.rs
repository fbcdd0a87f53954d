//! A call -> the one person whom it is about. Nobody is named by a request: what a language model writes cannot lead to
//! another one's memories. Pure.

use plugin_api::prelude::*;

/// A number has 15 digits; whoever names people otherwise has room, but no book.
const MOST_LETTERS: usize = 200;

/// On whose behalf it is called.
pub fn of(call: &Call) -> Result<&str, OperationError> {
    let person = call.person().unwrap_or_default();
    if person.trim().is_empty() {
        return Err(OperationError::invalid(format!(
            "`{}` is about a person, but this call is on behalf of nobody: a route's guard names the person, and a \
             plugin by `Dependency::person`",
            call.operation()
        )));
    }
    if person.chars().count() > MOST_LETTERS || person.contains('\0') {
        return Err(OperationError::invalid(format!(
            "the person of this call is no name: expected a number such as `+15551234567`, at most {MOST_LETTERS} \
             letters"
        )));
    }
    Ok(person)
}

/// What is about everybody is none of one person's business.
pub fn nobody(call: &Call) -> Result<(), OperationError> {
    match call.person() {
        None => Ok(()),
        Some(_) => Err(OperationError::denied(format!(
            "`{}` is about everybody, and is not allowed on behalf of one person",
            call.operation()
        ))),
    }
}

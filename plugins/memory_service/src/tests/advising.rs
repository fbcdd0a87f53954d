//! What the database refuses is mended at the database: a service has no vendor.

use plugin_api::prelude::*;

use crate::unready;

#[test]
fn what_the_database_refuses_is_mended_there() {
    let denied = unready(OperationError::denied("the database's user may not do this"));
    assert_eq!(denied.code, ReasonCode::Forbidden);
    assert_eq!(denied.advice.map(|advice| advice.action), Some(FixAction::SeeDependency));
    let away = unready(OperationError::unavailable("nothing listens"));
    assert_eq!((away.code, away.advice), (ReasonCode::Unavailable, None), "it comes back by itself");
}

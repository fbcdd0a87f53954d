//! Google's answers, and how it is not reached, with what mends it. The host's words for the code alone have to fit
//! where the plugin has no description itself.

use expect_test::expect;
use plugin_api::prelude::*;

use super::setup::shown;
use crate::{
    errors::{Fault, Refusal, consent_ended, consent_missing},
    tokens::unsealed,
};

#[test]
fn every_answer_of_google_leads_to_what_mends_it() {
    let answers = [
        (401, ""),
        (403, "insufficientPermissions"),
        (403, "accessNotConfigured"),
        (403, "quotaExceeded"),
        (403, "rateLimitExceeded"),
        (403, "forbidden"),
        (400, "badRequest"),
        (429, ""),
        (503, ""),
    ];
    let told = answers.map(|(status, reason)| {
        let refusal = Refusal { status, reason: reason.to_owned(), retry_after: None, zone: None };
        format!("{status} {reason}: {}", shown(&Failure::from(Fault::Refused(refusal)), 0))
    });
    expect![[r#"
        401 : auth_expired [-] -> /api/calendar/oauth/start: Google does not accept the access that was granted any more: connect the calendar again
        403 insufficientPermissions: consent_required [-] -> /api/calendar/oauth/start: the consent does not cover what the calendar is used for (`insufficientPermissions`): connect it again and leave every box ticked
        403 accessNotConfigured: forbidden [-] -> -: the Google Calendar API is switched off for the project of the OAuth client (`accessNotConfigured`): enable it in Google's console under APIs & Services, Library => Enable the Google Calendar API in Google's console under APIs & Services, Library; then verify it
        403 quotaExceeded: quota [-] -> -: the project's quota of the Calendar API is used up (`quotaExceeded`) => Raise the quota of the Calendar API in Google's console, or wait until it renews
        403 rateLimitExceeded: rate_limited [-] -> -: Google asks to slow down (`rateLimitExceeded`)
        403 forbidden: forbidden [-] -> -: the connected account may not read the calendar (`forbidden`) => Share the calendar with the connected account, or connect the account that it belongs to
        400 badRequest: protocol [-] -> -: Google answered 400 (`badRequest`) to a plain read => Upgrade the plugin: Google does not take its requests any more
        429 : rate_limited [-] -> -: Google asks to slow down
        503 : unavailable [-] -> -: Google answered 503"#]].assert_eq(&told.join("\n"));
}

#[test]
fn what_a_person_or_the_key_of_the_host_has_to_mend() {
    let failures = [
        consent_missing(),
        consent_ended("it was withdrawn"),
        unsealed(OperationError::conflict("this was sealed under another secret key")),
        unsealed(OperationError::denied("the secret key cannot be used: others may read it")),
        unsealed(OperationError::unavailable("the host is stopping")),
    ];
    expect![[r#"
        consent_required [-] -> /api/calendar/oauth/start: configured, but nobody has connected a Google account yet
        auth_expired [-] -> /api/calendar/oauth/start: it was withdrawn: connect the calendar again
        config_invalid [-] -> -: this was sealed under another secret key => Correct the secret key of this host as the reason says
        config_invalid [-] -> -: the secret key cannot be used: others may read it => Correct the secret key of this host as the reason says
        unavailable [-] -> -: the host is stopping"#]].assert_eq(&failures.map(|failure| shown(&failure, 0)).join("\n"));
}

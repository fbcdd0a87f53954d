//! What a reader is told of every reason.

use expect_test::{Expect, expect};

use plugin_api::{
    error::{FixAction, OperationError},
    manifest::Kind,
};

use super::*;

fn check(explanation: Explanation, expected: Expect) {
    let (reason, fix) = (explanation.reason.unwrap(), explanation.fix.unwrap());
    let Settings { missing, invalid } = explanation.settings;
    expected.assert_eq(&format!(
        "{}: {}\nretryable {}, missing {missing:?}, invalid {invalid:?}\n{:?}: {} -> {:?}",
        reason.code, reason.message, reason.retryable, fix.action, fix.label, fix.href
    ));
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn missing_settings_are_named() {
    check(
        Explanation::not_configured(names(&["SMTP_SERVER", "SMTP_FROM_EMAIL"]), None),
        expect![[r#"
            config_missing: `SMTP_SERVER` and `SMTP_FROM_EMAIL` are not set
            retryable false, missing ["SMTP_SERVER", "SMTP_FROM_EMAIL"], invalid []
            SetVariables: Set SMTP_SERVER, SMTP_FROM_EMAIL -> None"#]],
    );
}

#[test]
fn what_holds_it_is_named() {
    check(
        Explanation::held(&names(&["a", "b", "c"])),
        expect![[r#"
            dependency_unhealthy: cannot start before `a`, `b` and `c`
            retryable true, missing [], invalid []
            SeeDependency: See a, b, c -> None"#]],
    );
}

#[test]
fn a_wrong_setting_is_named_by_its_variable() {
    let mut spec = PluginSpec::new("smtp");
    spec.variables.insert("password".to_owned(), "SMTP_PASSWORD".to_owned());
    let failure = Failure::auth_invalid("the server rejects the login");
    check(
        Explanation::failure(&spec, failure.clone().setting("password")),
        expect![[r#"
            auth_invalid: the server rejects the login
            retryable false, missing [], invalid ["SMTP_PASSWORD"]
            CorrectSetting: Correct SMTP_PASSWORD -> None"#]],
    );
    check(
        Explanation::failure(&spec, failure.setting("user")),
        expect![[r#"
            auth_invalid: the server rejects the login
            retryable false, missing [], invalid ["plugins.smtp.settings.user"]
            CorrectSetting: Correct plugins.smtp.settings.user -> None"#]],
    );
}

#[test]
fn consent_carries_its_link() {
    check(
        Explanation::failure(
            &PluginSpec::new("google_calendar"),
            Failure::consent_required("nobody has authorised it yet").href("/api/calendar/oauth/start"),
        ),
        expect![[r#"
            consent_required: nobody has authorised it yet
            retryable false, missing [], invalid []
            Authorize: Connect Google Calendar -> Some("/api/calendar/oauth/start")"#]],
    );
}

/// All that the host can say of a code by itself: what it tells has to mend it.
#[test]
fn the_fix_of_every_reason() {
    let mut spec = PluginSpec::new("google_calendar");
    spec.kind = Some(Kind::Integration);
    let label = |code, setting: Option<&str>| {
        let failure = Failure { setting: setting.map(str::to_owned), ..Failure::new(code, "why") };
        let fix = Explanation::failure(&spec, failure).fix.unwrap();
        format!("{:?}: {}", fix.action, fix.label)
    };
    let lines = ReasonCode::ALL.iter().map(|&code| {
        let [bare, blamed] = [label(code, None), label(code, Some("url"))];
        let blamed = if bare == blamed { String::new() } else { format!("\n    {blamed}") };
        format!("{code}\n    {bare}{blamed}")
    });
    expect![[r#"
        timeout
            Retry: Wait, or verify it now
            Retry: Wait, or correct plugins.google_calendar.settings.url; verify it to try again now
        dns
            Retry: Check the name and this machine's DNS, or wait until the name resolves
            Retry: Correct plugins.google_calendar.settings.url, or wait until the name resolves
        refused
            Retry: Start the server there, or correct its address
            Retry: Start the server there, or correct plugins.google_calendar.settings.url
        tls
            CorrectSetting: Check the certificate of the server and the certificate authorities of this machine
            CorrectSetting: Correct plugins.google_calendar.settings.url, or the certificate of the server
        unavailable
            Retry: Wait, or verify it now
            Retry: Wait, or correct plugins.google_calendar.settings.url; verify it to try again now
        rate_limited
            Retry: Wait: it tries again by itself
        auth_invalid
            CorrectSetting: Correct its credentials
            CorrectSetting: Correct plugins.google_calendar.settings.url
        auth_expired
            Authorize: Connect Google Calendar again
        forbidden
            SeeVendor: Grant the missing permission in the account of Google Calendar at its vendor
        account
            SeeVendor: Reactivate the account of Google Calendar at its vendor
        consent_required
            Authorize: Connect Google Calendar
        quota
            SeeVendor: Raise the quota of the account of Google Calendar at its vendor, or wait until it renews
        config_missing
            SetVariables: Set its missing settings
            SetVariables: Set plugins.google_calendar.settings.url
        config_invalid
            CorrectSetting: Correct its settings
            CorrectSetting: Correct plugins.google_calendar.settings.url
        dependency_unhealthy
            SeeDependency: See what it requires
        protocol
            Retry: Check that its address leads to the right server, then verify it
            Retry: Check that plugins.google_calendar.settings.url leads to the right server, then verify it
        panicked
            Retry: Report the panic to the author of Google Calendar, or upgrade it; verify it to try again
        crashed
            Retry: Report the crash to the author of Google Calendar, or upgrade it; verify it to try again
        load_failed
            Upgrade: Rebuild or upgrade the library, then restart the host
        internal
            Retry: Report this to the author of Google Calendar, or upgrade it; verify it to try again"#]].assert_eq(&lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_service_has_no_vendor() {
    let mut spec = PluginSpec::new("memory_service");
    spec.kind = Some(Kind::Service);
    let codes = [ReasonCode::Forbidden, ReasonCode::Account, ReasonCode::Quota];
    let labels = codes.map(|code| Explanation::failure(&spec, Failure::new(code, "why")).fix.unwrap().label);
    expect![[r#"
        Grant the missing permission in the account of what it requires
        Reactivate the account of what it requires
        Raise the quota of the account of what it requires, or wait until it renews"#]]
    .assert_eq(&labels.join("\n"));
}

#[test]
fn what_a_dependency_denies_is_granted_there() {
    check(
        Explanation::failure(
            &PluginSpec::new("memory_service"),
            OperationError::denied("the database's user may not do this").into(),
        ),
        expect![[r#"
            forbidden: the database's user may not do this
            retryable false, missing [], invalid []
            SeeDependency: Grant what the reason says is missing, then verify it -> None"#]],
    );
}

#[test]
fn a_plugin_that_knows_better_gives_its_own_fix() {
    let failure = Failure::tls("this machine has no certificate authorities to trust")
        .advise(FixAction::CorrectSetting, "Install `ca-certificates` on this machine");
    check(
        Explanation::failure(&PluginSpec::new("twilio"), failure),
        expect![[r#"
        tls: this machine has no certificate authorities to trust
        retryable false, missing [], invalid []
        CorrectSetting: Install `ca-certificates` on this machine -> None"#]],
    );
}

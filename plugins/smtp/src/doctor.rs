//! A login at the mail server, and a mail from the sender to itself -> a check each. The mail goes only where the operator
//! agreed to it: others may see it.

use plugin_api::requests::{
    doctor::{Check, Examine, Verdict},
    email::SendEmail,
};

use crate::mailer::{Asker, Mailer};

/// Looks at both.
pub async fn examine(mailer: &Mailer, request: &Examine, asker: Asker) -> Vec<Check> {
    let config = mailer.config();
    let server = config.address();
    let login = mailer.verify().await.map(|()| match config.credentials.is_some() {
        true => format!("`{server}` took the login"),
        false => format!("`{server}` answers, and wants no login"),
    });
    let is_let_in = login.is_ok();
    let mail = match (is_let_in, request.effects) {
        (false, _) => Check::skipped("mail", "without a login nothing can be sent"),
        (true, false) => {
            Check::awaits_consent("mail", format!("would send one mail to its own sender, `{}`", config.from))
        }
        (true, true) => mail(mailer, asker).await,
    };
    vec![Check::of("login", login), mail]
}

/// The server takes it over; whether it reaches a mailbox, a person has to see.
async fn mail(mailer: &Mailer, asker: Asker) -> Check {
    let from = &mailer.config().from;
    let mail = SendEmail {
        to: vec![from.to_string()],
        subject: "Switchboard: a test by `switchboard doctor`".to_owned(),
        text: Some("This mail proves that Switchboard can send mail. Nobody has to answer it.\n".to_owned()),
        ..SendEmail::default()
    };
    let sent = mailer.send(&mail, asker).await;
    let seen = sent.map(|sent| format!("handed over for `{from}`: see whether {} arrives", sent.message_id));
    let check = Check::of_call("mail", seen);
    match check.verdict {
        Verdict::Failed => check.fix(format!(
            "let the mail server permit `{from}` (`SMTP_FROM_EMAIL`) as sender and recipient for this login"
        )),
        _ => check,
    }
}

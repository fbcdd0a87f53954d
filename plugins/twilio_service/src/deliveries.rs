//! Twilio takes messages that no carrier delivers: only its reports tell. The outcomes of the newest messages of a
//! channel -> troubles, a class each: raised when a message after the other fails by the same fault of ours, cleared by
//! two that arrive. Causes on the recipient's side (a telephone that is off, a landline, an opt-out) count neither way.

use std::collections::BTreeMap;

use plugin_api::{prelude::*, requests::host::Trouble, tokio::sync::Mutex, tracing};

use crate::{
    ledger::Ledger,
    outcome::{CLASSES, Class, End, Outcome, is_failed},
    status::{SMS, StatusReport},
};

/// Where Twilio lists every message with its error.
const MESSAGES: &str = "https://console.twilio.com/us1/monitor/logs/sms";
/// So many messages in a row that arrive end a trouble.
const ARRIVED: usize = 2;

/// What is to be told of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// So many did not arrive, the newest by this code.
    Trouble { failed: usize, code: u32 },
    /// Messages arrive.
    Over,
    /// Nothing is known.
    Silent,
}

/// What the outcomes, the newest first, say of a class.
fn judge(class: &Class, outcomes: &[Outcome]) -> Verdict {
    let (mut failed, mut newest, mut arrived) = (0, None, 0);
    for outcome in outcomes.iter().filter(|outcome| outcome.channel == class.channel) {
        match outcome.end {
            End::Arrived => arrived += 1,
            End::Failed(code) if class.codes.contains(&code) => {
                (failed, arrived) = (failed + 1, 0);
                newest.get_or_insert(code);
            }
            End::Failed(_) | End::Other => {}
        }
        if arrived == ARRIVED {
            break;
        }
    }
    match newest {
        Some(code) if failed >= class.least => Verdict::Trouble { failed, code },
        _ if arrived == ARRIVED => Verdict::Over,
        _ => Verdict::Silent,
    }
}

fn trouble(class: &Class, failed: usize, code: u32) -> Trouble {
    let medium = if class.channel == SMS { "SMS" } else { "WhatsApp message" };
    let many = match failed {
        1 => format!("the last {medium} was taken by Twilio and not delivered"),
        _ => format!("the last {failed} {medium}s were taken by Twilio and not delivered"),
    };
    let by = if code == 0 { String::new() } else { format!(" (Twilio {code})") };
    let failure = Failure::new(class.code, format!("{many}: {}{by}", class.words)).href(MESSAGES);
    Trouble::raised(class.key, failure).label(class.advice)
}

/// One of each class.
#[cfg(test)]
pub fn troubles() -> impl Iterator<Item = Trouble> {
    let newest = |class: &Class| class.codes.last().copied().unwrap_or_default();
    CLASSES.iter().map(move |class| trouble(class, class.least, newest(class)))
}

/// Tells the host what changed.
pub struct Deliveries {
    context: Context,
    told: Mutex<BTreeMap<&'static str, Verdict>>,
}

impl Deliveries {
    pub fn new(context: Context) -> Self {
        Self { context, told: Mutex::default() }
    }

    /// A report came: what it changes is told at once.
    pub async fn heard(&self, ledger: &Ledger, report: &StatusReport) {
        if report.is_last() && report.channel().is_some() && self.may_matter(report).await {
            self.look(ledger).await;
        }
    }

    /// A message that arrives changes something only while there is trouble.
    async fn may_matter(&self, report: &StatusReport) -> bool {
        is_failed(&report.status)
            || self.told.lock().await.values().any(|verdict| matches!(verdict, Verdict::Trouble { .. }))
    }

    /// Reads what became of the newest messages, on this host and others, and tells what is new. A trouble that lasts
    /// is told again after a restart; no restart clears it.
    pub async fn look(&self, ledger: &Ledger) {
        let mut told = self.told.lock().await;
        let outcomes = match ledger.outcomes().await {
            Ok(outcomes) => outcomes,
            Err(error) => return tracing::debug!(%error, "what became of messages cannot be read"),
        };
        for class in CLASSES {
            let verdict = judge(class, &outcomes);
            let told_trouble = match &verdict {
                Verdict::Silent => continue,
                same if told.get(class.key) == Some(same) => continue,
                Verdict::Trouble { failed, code } => trouble(class, *failed, *code),
                Verdict::Over => Trouble::cleared(class.key),
            };
            match self.context.host().trouble(told_trouble).await {
                Ok(()) => drop(told.insert(class.key, verdict)),
                // An older host shows no troubles.
                Err(error) if error.kind == ErrorKind::NotFound => drop(told.insert(class.key, verdict)),
                Err(error) => tracing::warn!(%error, "the host did not accept a trouble about deliveries"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::WHATSAPP;

    /// `d` arrived, a number failed by it; the newest last.
    fn of(channel: &'static str, story: &str) -> Vec<Outcome> {
        let outcome = |word: &str| match word {
            "d" => Outcome::of("delivered", None, channel),
            code => Outcome::of("undelivered", code.parse().ok().filter(|code| *code != 0), channel),
        };
        story.split_whitespace().rev().map(outcome).collect()
    }

    fn raised(outcomes: &[Outcome]) -> Vec<(&'static str, usize)> {
        let failed = |class: &Class| match judge(class, outcomes) {
            Verdict::Trouble { failed, .. } => Some((class.key, failed)),
            _ => None,
        };
        CLASSES.iter().filter_map(failed).collect()
    }

    #[test]
    fn a_class_is_raised_by_as_many_as_it_takes_and_cleared_by_two_that_arrive() {
        for (story, expected) in [
            ("", vec![]),
            ("d d 30007 30007", vec![]),
            ("d 30007 30007 30007", vec![("messages_filtered", 3)]),
            ("30007 d 30007 30007", vec![("messages_filtered", 3)]),
            ("30007 30007 30007 d", vec![("messages_filtered", 3)]),
            ("30007 30007 30007 d d", vec![]),
            ("30007 30007 30007 d 30003 d", vec![]),
            ("d d 30034", vec![("sender_unregistered", 1)]),
            ("30034 30007 30007 30007", vec![("sender_unregistered", 1), ("messages_filtered", 3)]),
            ("0 0 0 0", vec![]),
            ("0 0 30008 0 0", vec![("not_delivered", 5)]),
        ] {
            assert_eq!(raised(&of(SMS, story)), expected, "{story}");
        }
    }

    #[test]
    fn what_is_the_recipients_own_never_counts() {
        let story = "30003 30004 30005 30006 21610 21211 21614 ".repeat(10);
        assert_eq!(raised(&of(SMS, &story)), []);
        let story = "63003 63015 63024 63033 ".repeat(10);
        assert_eq!(raised(&of(WHATSAPP, &story)), []);
    }

    #[test]
    fn channels_do_not_speak_for_each_other() {
        let mut outcomes = of(SMS, "d d d");
        outcomes.extend(of(WHATSAPP, "63016 63016 63016"));
        assert_eq!(raised(&outcomes), [("whatsapp_window", 3)]);
        assert_eq!(judge(&CLASSES[0], &of(WHATSAPP, "d d")), Verdict::Silent, "no SMS arrived");
    }
}

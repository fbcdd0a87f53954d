//! Twilio takes messages that no carrier delivers: only its reports tell. The outcomes of the newest messages of a
//! channel -> troubles, a class each: raised when a message after the other fails by the same fault of ours, cleared by
//! two that arrive. Causes on the recipient's side (a telephone that is off, a landline, an opt-out) count neither way.

use std::collections::BTreeMap;

use plugin_api::{prelude::*, requests::host::Trouble, tokio::sync::Mutex, tracing};

use crate::{
    ledger::Ledger,
    status::{SMS, StatusReport, WHATSAPP},
};

/// Where Twilio lists every message with its error.
const MESSAGES: &str = "https://console.twilio.com/us1/monitor/logs/sms";
/// So many messages in a row that arrive end a trouble.
const ARRIVED: usize = 2;

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    channel: &'static str,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Arrived,
    Failed(u32),
    Other,
}

impl Outcome {
    /// Out of Twilio's status and error code.
    pub fn of(status: &str, code: Option<u32>, channel: &'static str) -> Self {
        let end = match status {
            "delivered" | "read" => End::Arrived,
            _ if is_failed(status) => End::Failed(code.unwrap_or_default()),
            _ => End::Other,
        };
        Self { channel, end }
    }
}

/// Whether a message with this status did not arrive.
pub fn is_failed(status: &str) -> bool {
    matches!(status, "failed" | "undelivered")
}

/// Failures of one kind: <https://www.twilio.com/docs/api/errors>.
struct Class {
    key: &'static str,
    channel: &'static str,
    codes: &'static [u32],
    /// So many make a trouble: one where Twilio says that it is us, several where one message may be at fault.
    least: usize,
    code: ReasonCode,
    words: &'static str,
    advice: &'static str,
}

const CLASSES: &[Class] = &[
    Class {
        key: "account_suspended",
        channel: SMS,
        codes: &[30002],
        least: 1,
        code: ReasonCode::Account,
        words: "the account is suspended",
        advice: "See why the account is suspended, in Twilio's console",
    },
    Class {
        key: "sender_unregistered",
        channel: SMS,
        codes: &[30032, 30033, 30034, 30035],
        least: 1,
        code: ReasonCode::Forbidden,
        words: "carriers refuse the sender, which is not registered for this traffic",
        advice: "Register the sender in Twilio's console (A2P 10DLC, or toll-free verification)",
    },
    Class {
        key: "messages_filtered",
        channel: SMS,
        codes: &[30007],
        least: 3,
        code: ReasonCode::Forbidden,
        words: "carriers filter them as unwanted",
        advice: "See the messages in Twilio's console, and what carriers permit",
    },
    Class {
        key: "sending_limit",
        channel: SMS,
        codes: &[30001, 30022, 30023, 30027],
        least: 3,
        code: ReasonCode::RateLimited,
        words: "the sender's limit of messages is reached",
        advice: "Send fewer messages, or raise the sender's limit in Twilio's console",
    },
    Class {
        key: "not_delivered",
        channel: SMS,
        codes: &[0, 30008, 30010, 30036, 30410],
        least: 5,
        code: ReasonCode::Unavailable,
        words: "carriers do not deliver them, and do not say why",
        advice: "See the messages in Twilio's console, and ask Twilio's support",
    },
    Class {
        key: "whatsapp_sender",
        channel: WHATSAPP,
        codes: &[63001, 63002, 63007, 63008, 63020, 63051, 63112],
        least: 1,
        code: ReasonCode::Forbidden,
        words: "WhatsApp does not accept the sender",
        advice: "See the WhatsApp sender (`TWILIO_WHATSAPP_NUMBER`) in Twilio's console",
    },
    Class {
        key: "whatsapp_window",
        channel: WHATSAPP,
        codes: &[63016],
        least: 3,
        code: ReasonCode::ConfigInvalid,
        words: "WhatsApp takes only a template when nobody wrote within 24 hours",
        advice: "Send a template then: set `whatsapp_template` of messaging_service",
    },
    Class {
        key: "whatsapp_filtered",
        channel: WHATSAPP,
        codes: &[63013, 63018, 63038],
        least: 3,
        code: ReasonCode::Forbidden,
        words: "WhatsApp refuses them by its policy or the sender's limit",
        advice: "See the quality and limit of the WhatsApp sender at Meta",
    },
    Class {
        key: "whatsapp_not_delivered",
        channel: WHATSAPP,
        codes: &[0, 63005, 63010, 63012],
        least: 5,
        code: ReasonCode::Unavailable,
        words: "WhatsApp does not deliver them, and does not say why",
        advice: "See the messages in Twilio's console, and ask Twilio's support",
    },
];

/// Failures that are the recipient's own, or of one message: their codes, what they mean, and what to do.
const OF_ONE: &[(&[u32], &str, &str)] = &[
    (&[30003], "the recipient's telephone is switched off or out of reach", "Try again later"),
    (&[30004], "the recipient or their carrier blocks messages of this sender", "Reach them another way"),
    (&[30005], "the number is unknown, or no longer in service", "Check the number"),
    (
        &[30006],
        "the number is a landline, or its carrier takes no messages",
        "Call them, or check the number",
    ),
    (&[21610], "the recipient opted out (STOP)", "Wait until they write START: only they can change that"),
    (&[21211, 21614], "the recipient has no number that takes messages", "Check the number"),
    (&[63003, 63024], "the recipient is not on WhatsApp, or cannot receive this there", "Send an SMS"),
    (
        &[63032, 63033],
        "WhatsApp does not pass this on to the recipient, or they block the sender",
        "Send an SMS",
    ),
    (
        &[21656, 63027, 63028, 63041, 63042],
        "the template or its variables do not fit",
        "Correct the template",
    ),
];

/// The meaning of the code of a message that did not arrive by this channel, and what to do.
pub fn meaning(channel: &str, code: Option<u32>) -> (String, &'static str) {
    let Some(number) = code else {
        return ("carriers did not say why".to_owned(), "See the message in Twilio's console");
    };
    let of_one = OF_ONE.iter().find(|(codes, ..)| codes.contains(&number));
    let class = CLASSES.iter().find(|class| class.channel == channel && class.codes.contains(&number));
    let (words, advice) = match (of_one, class) {
        (Some((_, words, advice)), _) => (*words, *advice),
        (None, Some(class)) => (class.words, class.advice),
        (None, None) => {
            ("Twilio's list of errors says what the code means", "See the message in Twilio's console")
        }
    };
    (format!("{words} (Twilio {number})"), advice)
}

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

    #[test]
    fn every_code_has_a_meaning_and_what_is_the_recipients_own_is_no_class() {
        for class in CLASSES {
            for code in class.codes.iter().filter(|code| **code != 0) {
                let (why, advice) = meaning(class.channel, Some(*code));
                assert_eq!((why, advice), (format!("{} (Twilio {code})", class.words), class.advice));
            }
        }
        let (why, advice) = meaning(SMS, Some(30006));
        assert_eq!(why, "the number is a landline, or its carrier takes no messages (Twilio 30006)");
        assert_eq!(advice, "Call them, or check the number");
        assert_eq!(meaning(SMS, None).0, "carriers did not say why");
        assert!(meaning(SMS, Some(99_999)).0.ends_with("(Twilio 99999)"));
    }

    #[test]
    fn no_code_is_in_two_classes_of_a_channel() {
        for class in CLASSES {
            let others =
                CLASSES.iter().filter(|other| other.key != class.key && other.channel == class.channel);
            let mut codes = others.flat_map(|other| other.codes);
            assert!(!codes.any(|code| class.codes.contains(code)), "{}", class.key);
        }
    }
}

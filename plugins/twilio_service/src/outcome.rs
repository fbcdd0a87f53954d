//! A message's last status and code -> whether it arrived, what a failure means, and whose fault it is. Pure.

use plugin_api::error::ReasonCode;

use crate::status::{SMS, WHATSAPP};

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub channel: &'static str,
    pub end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
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
pub struct Class {
    pub key: &'static str,
    pub channel: &'static str,
    pub codes: &'static [u32],
    /// So many make a trouble: one where Twilio says that it is us, several where one message may be at fault.
    pub least: usize,
    pub code: ReasonCode,
    pub words: &'static str,
    pub advice: &'static str,
}

pub const CLASSES: &[Class] = &[
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

#[cfg(test)]
mod tests {
    use super::*;

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

//! When and how a person may be written to. Pure.

use plugin_api::{phone::is_whatsapp_user, requests::twilio_service::Channel};

/// How long WhatsApp lets a business write freely after somebody wrote to it.
const WINDOW_MS: i64 = 24 * 60 * 60 * 1000;
/// A message must arrive before the window closes.
const MARGIN_MS: i64 = 60 * 1000;

/// What is known of a person's ways.
#[plugin_api::row]
#[derive(Default, PartialEq, Eq)]
pub struct Ways {
    /// How they wrote last.
    pub last: Option<Channel>,
    /// When they last wrote by WhatsApp; 0 if never.
    pub whatsapp_ms: i64,
    /// They want no SMS.
    pub sms_stopped: bool,
    /// They want no WhatsApp.
    pub whatsapp_stopped: bool,
    /// Our RCS sender that they wrote to, if they did.
    pub rcs_sender: Option<String>,
}

impl Ways {
    pub fn is_stopped(&self, channel: Channel) -> bool {
        match channel {
            // RCS is the messages of the same telephone.
            Channel::Sms | Channel::Rcs => self.sms_stopped,
            Channel::Whatsapp => self.whatsapp_stopped,
            Channel::Other => false,
        }
    }

    /// The channels on which they want no messages.
    pub fn stopped(&self) -> Vec<Channel> {
        [Channel::Sms, Channel::Whatsapp].into_iter().filter(|channel| self.is_stopped(*channel)).collect()
    }

    /// Until when WhatsApp lets them be written to freely, if it does.
    pub fn open_until(&self, now_ms: i64) -> Option<i64> {
        let until = self.whatsapp_ms + WINDOW_MS;
        (self.whatsapp_ms > 0 && now_ms < until - MARGIN_MS).then_some(until)
    }

    /// Whether a text may go this way as it is.
    pub fn is_open(&self, channel: Channel, now_ms: i64) -> bool {
        match channel {
            Channel::Sms | Channel::Rcs => true,
            Channel::Whatsapp => self.open_until(now_ms).is_some(),
            Channel::Other => false,
        }
    }

    /// The way to take where nobody says: how they wrote last, where that still works. Somebody without a number is on
    /// WhatsApp.
    pub fn best(&self, person: &str, now_ms: i64) -> Channel {
        if is_whatsapp_user(person) {
            return Channel::Whatsapp;
        }
        let works = |channel: &Channel| self.is_open(*channel, now_ms) && !self.is_stopped(*channel);
        self.last.filter(works).unwrap_or(Channel::Sms)
    }
}

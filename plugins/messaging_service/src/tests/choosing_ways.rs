//! How and when a person may be written to.

use plugin_api::requests::twilio_service::Channel::{self, Other, Rcs, Sms, Whatsapp};

use super::setup::ADA;
use crate::window::Ways;

const HOUR: i64 = 60 * 60 * 1000;

fn ways(last: Option<Channel>, whatsapp_ms: i64) -> Ways {
    Ways { last, whatsapp_ms, ..Ways::default() }
}

#[test]
fn whatsapp_is_open_for_a_day() {
    let wrote = ways(Some(Whatsapp), HOUR);
    for (now, expected) in [(HOUR, true), (24 * HOUR, true), (25 * HOUR - 60_000, false), (26 * HOUR, false)]
    {
        assert_eq!(wrote.is_open(Whatsapp, now), expected, "{now}");
        assert!(wrote.is_open(Sms, now));
    }
    assert!(!ways(Some(Sms), 0).is_open(Whatsapp, HOUR), "they never wrote that way");
    assert_eq!(wrote.open_until(2 * HOUR), Some(25 * HOUR));
}

#[test]
fn the_best_way_is_the_last_one_that_works() {
    assert_eq!(ways(None, 0).best(ADA, HOUR), Sms);
    assert_eq!(ways(Some(Whatsapp), HOUR).best(ADA, 2 * HOUR), Whatsapp);
    assert_eq!(ways(Some(Whatsapp), HOUR).best(ADA, 30 * HOUR), Sms, "the window is closed");
    assert_eq!(ways(Some(Sms), HOUR).best(ADA, 2 * HOUR), Sms);
    assert_eq!(ways(Some(Rcs), HOUR).best(ADA, 2 * HOUR), Rcs);
    assert_eq!(ways(Some(Other), 0).best(ADA, HOUR), Sms, "nobody is reached by another channel");
    let hidden = "whatsapp:US.13491208655302741918";
    assert_eq!(ways(Some(Whatsapp), HOUR).best(hidden, 30 * HOUR), Whatsapp, "they have no number");
    let stopped = Ways { whatsapp_stopped: true, ..ways(Some(Whatsapp), HOUR) };
    assert_eq!((stopped.best(ADA, 2 * HOUR), stopped.stopped()), (Sms, vec![Whatsapp]));
}

//! Every trouble, every error of ours that counts as one, and every setting that is refused, with what mends it.

use expect_test::expect;
use plugin_api::{
    prelude::*,
    requests::twilio_service::{Channel, SendMessage},
    serde_json::{self, json},
    testing::advice::{error, failure, table, trouble},
    tokio,
};

use super::setup::{Twilio, plugin, refusal, sms};
use crate::{
    deliveries,
    settings::{Config, Settings},
};

#[test]
fn messages_that_are_not_delivered() {
    expect![[r#"
        account_suspended: account [-] -> https://console.twilio.com/us1/monitor/logs/sms: the last SMS was taken by Twilio and not delivered: the account is suspended (Twilio 30002) => See why the account is suspended, in Twilio's console
        sender_unregistered: forbidden [-] -> https://console.twilio.com/us1/monitor/logs/sms: the last SMS was taken by Twilio and not delivered: carriers refuse the sender, which is not registered for this traffic (Twilio 30035) => Register the sender in Twilio's console (A2P 10DLC, or toll-free verification)
        messages_filtered: forbidden [-] -> https://console.twilio.com/us1/monitor/logs/sms: the last 3 SMSs were taken by Twilio and not delivered: carriers filter them as unwanted (Twilio 30007) => See the messages in Twilio's console, and what carriers permit
        sending_limit: rate_limited [-] -> https://console.twilio.com/us1/monitor/logs/sms: the last 3 SMSs were taken by Twilio and not delivered: the sender's limit of messages is reached (Twilio 30027) => Send fewer messages, or raise the sender's limit in Twilio's console
        not_delivered: unavailable [-] -> https://console.twilio.com/us1/monitor/logs/sms: the last 5 SMSs were taken by Twilio and not delivered: carriers do not deliver them, and do not say why (Twilio 30410) => See the messages in Twilio's console, and ask Twilio's support
        whatsapp_sender: forbidden [-] -> https://console.twilio.com/us1/monitor/logs/sms: the last WhatsApp message was taken by Twilio and not delivered: WhatsApp does not accept the sender (Twilio 63112) => See the WhatsApp sender (`TWILIO_WHATSAPP_NUMBER`) in Twilio's console
        whatsapp_window: config_invalid [-] -> https://console.twilio.com/us1/monitor/logs/sms: the last 3 WhatsApp messages were taken by Twilio and not delivered: WhatsApp takes only a template when nobody wrote within 24 hours (Twilio 63016) => Send a template then: set `whatsapp_template` of messaging_service
        whatsapp_filtered: forbidden [-] -> https://console.twilio.com/us1/monitor/logs/sms: the last 3 WhatsApp messages were taken by Twilio and not delivered: WhatsApp refuses them by its policy or the sender's limit (Twilio 63038) => See the quality and limit of the WhatsApp sender at Meta
        whatsapp_not_delivered: unavailable [-] -> https://console.twilio.com/us1/monitor/logs/sms: the last 5 WhatsApp messages were taken by Twilio and not delivered: WhatsApp does not deliver them, and does not say why (Twilio 63012) => See the messages in Twilio's console, and ask Twilio's support"#]].assert_eq(&table(deliveries::troubles(), trouble));
}

#[tokio::test]
async fn a_sender_of_the_settings_that_cannot_send() {
    let twilio = Twilio::default();
    let whatsapp = || SendMessage { channel: Channel::Whatsapp, ..sms("hi") };
    let service = json!({ "messaging_service_sid": "MG00000000000000000000000000000001" });
    twilio.refuses(|| refusal(ErrorKind::Invalid, 21703));
    let of_service = plugin(&twilio, service).call(sms("hi")).await.unwrap_err();
    twilio.refuses(|| refusal(ErrorKind::Denied, 63007));
    let of_number = plugin(&twilio, json!({})).call(whatsapp()).await.unwrap_err();
    expect![[r#"
        invalid (config_invalid) [messaging_service_sid]: not sent: Twilio did not do it
        denied (config_invalid) [whatsapp_number]: not sent: Twilio did not do it"#]]
    .assert_eq(&table([of_service, of_number], error));
}

#[test]
fn settings_that_cannot_be_used() {
    let refused = [
        json!({ "whatsapp_number": "+0123456789" }),
        json!({ "messaging_service_sid": "MG1" }),
        json!({ "public_base_url": "example.com" }),
    ];
    let refused = refused
        .map(|settings| Config::check(serde_json::from_value::<Settings>(settings).unwrap()).unwrap_err());
    expect![[r#"
        config_invalid [whatsapp_number]: `whatsapp_number` is `+0123456789`: expected `+`, the country and the number, such as `+15551234567`
        config_invalid [messaging_service_sid]: `messaging_service_sid` is `MG1`: expected `MG` and 32 hexadecimal digits
        config_invalid [public_base_url]: `public_base_url` is `example.com`: expected the address of this host as Twilio reaches it, such as `https://switchboard.example.com`"#]].assert_eq(&table(refused, failure));
}

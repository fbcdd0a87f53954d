//! Settings that cannot work are refused before anything is asked.

use expect_test::{Expect, expect};
use plugin_api::serde_json::{Value, json};

use super::setup::{plugin, shown_failure, try_plugin, with_key};

fn refused(settings: Value, expected: Expect) {
    let failure = try_plugin(1, settings).err().expect("the settings cannot work");
    expected.assert_eq(&shown_failure(&failure, 1));
}

#[test]
fn what_can_work_is_taken() {
    plugin(1, json!({}));
    plugin(1, with_key());
    plugin(1, json!({ "api_base_url": "https://api.dublin.ie1.twilio.com" }));
    plugin(1, json!({ "api_base_url": null }));
    plugin(1, json!({ "api_base_url": "http://emulate:4000", "allow_plaintext": true }));
}

#[test]
fn what_cannot_work_says_what_is_expected() {
    refused(
        json!({ "account_sid": "12345" }),
        expect![
            "config_invalid [account_sid]: `account_sid` is `12345`: expected `AC` and 32 hexadecimal digits"
        ],
    );
    refused(
        json!({ "auth_token": null, "api_key_sid": "AC1", "api_secret": "x" }),
        expect![
            "config_invalid [api_key_sid]: `api_key_sid` is `AC1`: expected `SK` and 32 hexadecimal digits"
        ],
    );
    refused(
        json!({ "phone_number": "(555) 123-4567" }),
        expect![
            "config_invalid [phone_number]: `phone_number` is `(555) 123-4567`: expected `+`, the country and the number, without spaces, such as `+15551234567`"
        ],
    );
    refused(
        json!({ "api_base_url": "api.twilio.com" }),
        expect![
            "config_invalid [api_base_url]: `api_base_url` is no address: expected an address such as `https://api.twilio.com`"
        ],
    );
    refused(
        json!({ "api_base_url": "https://user:secret@api.twilio.com/" }),
        expect![
            "config_invalid [api_base_url]: `api_base_url` holds more than scheme, host and path: expected an address such as `https://api.twilio.com`"
        ],
    );
    refused(
        json!({ "api_base_url": "http://emulate:4000" }),
        expect![
            "config_invalid [api_base_url]: `api_base_url` would send secrets to `emulate` unencrypted: use `https:`, or set `TWILIO_ALLOW_PLAINTEXT=true` if the network between is trusted"
        ],
    );
    refused(
        json!({ "timeout": "0s" }),
        expect!["config_invalid [timeout]: `timeout` is 0: expected a positive time, such as `10s`"],
    );
}

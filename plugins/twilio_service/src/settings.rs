//! The settings as plugins.toml and the environment give them -> [`Config`], checked. No I/O.

use plugin_api::{
    phone::{is_number, is_sid},
    prelude::*,
    web::public_base_url,
};

/// How messages and calls go out, and where Twilio finds this host.
#[plugin_api::settings]
pub struct Settings {
    /// Under which address Twilio reaches this host, such as `https://switchboard.example.com`. Behind a proxy the
    /// signatures of webhooks can be verified only with it; without it, Twilio is not asked to report deliveries.
    #[setting(env = "PUBLIC_BASE_URL")]
    pub public_base_url: Option<String>,
    /// The WhatsApp sender, as `+15551234567`, where it is not the number of the account.
    #[setting(env = "TWILIO_WHATSAPP_NUMBER")]
    pub whatsapp_number: Option<String>,
    /// A Messaging Service, `MG…`, that SMS go out through instead of from the one number.
    #[setting(env = "TWILIO_MESSAGING_SERVICE_SID")]
    pub messaging_service_sid: Option<String>,
    /// The other numbers of the account, as `+15551234567`. Whoever writes or calls as one of them has forged it, and is
    /// nobody. The number of `twilio`, `whatsapp_number`, and whichever number a message or call reaches are known to be ours.
    pub own_numbers: Option<Vec<String>>,
    /// How long a call may last, in seconds, where the request does not say. Left out, Twilio ends it after four hours.
    #[schemars(range(min = 1, max = 86400))]
    pub call_time_limit: Option<u32>,
}

/// The settings, checked.
#[derive(Debug, Default)]
pub struct Config {
    /// Without a slash at its end.
    pub public_base_url: Option<String>,
    pub whatsapp_number: Option<String>,
    pub own_numbers: Vec<String>,
    pub messaging_service_sid: Option<String>,
    pub call_time_limit: Option<u32>,
}

impl Config {
    /// Checks the settings.
    pub fn check(settings: Settings) -> Result<Self, Failure> {
        if let Some(number) = &settings.whatsapp_number
            && !is_number(number)
        {
            return Err(Failure::config_invalid(format!(
                "`whatsapp_number` is `{number}`: expected `+`, the country and the number, such as `+15551234567`"
            ))
            .setting("whatsapp_number"));
        }
        let own_numbers = settings.own_numbers.unwrap_or_default();
        if let Some(number) = own_numbers.iter().find(|number| !is_number(number)) {
            return Err(Failure::config_invalid(format!(
                "`own_numbers` holds `{number}`: expected numbers such as `+15551234567`"
            ))
            .setting("own_numbers"));
        }
        if let Some(sid) = &settings.messaging_service_sid
            && !is_sid(sid, &["MG"])
        {
            return Err(Failure::config_invalid(format!(
                "`messaging_service_sid` is `{sid}`: expected `MG` and 32 hexadecimal digits"
            ))
            .setting("messaging_service_sid"));
        }
        Ok(Self {
            public_base_url: settings
                .public_base_url
                .as_deref()
                .map(|url| public_base_url(url, "Twilio reaches it"))
                .transpose()?,
            whatsapp_number: settings.whatsapp_number,
            own_numbers,
            messaging_service_sid: settings.messaging_service_sid,
            call_time_limit: settings.call_time_limit,
        })
    }
}

//! What is to be said and done next -> the verbs for it. Pure; what is to be said is decided elsewhere.

use plugin_api::requests::voice::{MEDIA_PATH, VOICE_PATH};

use crate::{
    settings::Config,
    twiml::{self, Verb},
};

/// How long somebody is rung to whom a call is transferred.
const TRANSFER_SECONDS: &str = "30";
/// Silence that ends a message.
const QUIET_SECONDS: &str = "5";

/// A turn that is to come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turn {
    /// Its number, the same for all tries: the moment from which on it is listened, in microseconds.
    pub n: i64,
    /// How often nothing was heard.
    pub silent: i64,
    /// How often in a row it went wrong.
    pub failed: i64,
}

/// Says it, and ends a sentence that was too long in the next verb.
pub fn say(config: &Config, text: &str) -> Vec<Verb> {
    let say = |piece: &str| {
        Verb::new("Say")
            .maybe("voice", config.voice.as_deref())
            .with("language", &config.language)
            .text(piece)
    };
    twiml::pieces(text).into_iter().map(say).collect()
}

/// Says it, and listens meanwhile and afterwards: to words and keys.
pub fn listen(config: &Config, text: &str, turn: Turn) -> Vec<Verb> {
    let gather = Verb::new("Gather")
        .with("input", "speech dtmf")
        .with("action", turn_path(config, turn))
        .with("method", "POST")
        .with("timeout", config.gather_seconds.to_string())
        .with("speechTimeout", "auto")
        .maybe("speechModel", config.speech_model.as_deref())
        .with("language", &config.language)
        .with("bargeIn", "true")
        .with("actionOnEmptyResult", "true");
    vec![gather.holding(say(config, text))]
}

/// Says it, and asks again what to do.
pub fn wait(config: &Config, text: &str, turn: Turn, looks: i64, since: i64) -> Vec<Verb> {
    let Turn { n, failed, .. } = turn;
    let again = format!("{VOICE_PATH}/wait?n={n}&failed={failed}&looks={looks}&since={since}");
    let mut verbs = say(config, text);
    verbs.push(Verb::new("Redirect").with("method", "POST").text(config.url(&again)));
    verbs
}

/// Carries the audio to the bridge, which redeems the token. Twilio asks afterwards how the call goes on.
pub fn connect(config: &Config, base: &str, token: &str) -> Vec<Verb> {
    let stream = Verb::new("Stream")
        .with("url", format!("{}{MEDIA_PATH}", websocket(base)))
        .with("statusCallback", config.url(&format!("{VOICE_PATH}/stream-status")))
        .with("statusCallbackMethod", "POST")
        .holding([Verb::new("Parameter").with("name", "token").with("value", token)]);
    let ended = config.url(&format!("{VOICE_PATH}/stream-ended"));
    vec![Verb::new("Connect").with("action", ended).with("method", "POST").holding([stream])]
}

/// Asks for a message, and records it; without voicemail, says goodbye.
pub fn voicemail(config: &Config, why: &str) -> Vec<Verb> {
    let mut verbs = say(config, why);
    if !config.voicemail {
        verbs.extend(goodbye(config));
        return verbs;
    }
    verbs.extend(say(config, &config.texts.voicemail));
    let record = Verb::new("Record")
        .with("action", config.url(&format!("{VOICE_PATH}/voicemail")))
        .with("method", "POST")
        .with("maxLength", config.voicemail_seconds.to_string())
        .with("timeout", QUIET_SECONDS)
        .with("playBeep", "true")
        .with("recordingStatusCallback", config.url(&format!("{VOICE_PATH}/recording?voicemail=1")))
        .with("recordingStatusCallbackMethod", "POST");
    verbs.push(record);
    // Reached only if nothing was recorded.
    verbs.extend(goodbye(config));
    verbs
}

/// Puts the call through.
pub fn transfer(config: &Config, number: &str) -> Vec<Verb> {
    let mut verbs = say(config, &config.texts.transfer);
    let ended = config.url(&format!("{VOICE_PATH}/dial-ended"));
    let dial =
        Verb::new("Dial").with("action", ended).with("method", "POST").with("timeout", TRANSFER_SECONDS);
    verbs.push(dial.holding([Verb::new("Number").text(number)]));
    verbs
}

/// Says goodbye, and ends the call.
pub fn goodbye(config: &Config) -> Vec<Verb> {
    ending(config, &config.texts.goodbye)
}

/// Says it, and ends the call.
pub fn ending(config: &Config, text: &str) -> Vec<Verb> {
    let mut verbs = say(config, text);
    verbs.push(Verb::new("Hangup"));
    verbs
}

/// Records the whole call from here on, if it is to be recorded.
pub fn record_call(config: &Config) -> Vec<Verb> {
    if !config.record_calls {
        return Vec::new();
    }
    let recording = Verb::new("Recording")
        .with("channels", "dual")
        .with("recordingStatusCallback", config.url(&format!("{VOICE_PATH}/recording")))
        .with("recordingStatusCallbackMethod", "POST");
    vec![Verb::new("Start").holding([recording])]
}

fn turn_path(config: &Config, turn: Turn) -> String {
    let Turn { n, silent, failed } = turn;
    config.url(&format!("{VOICE_PATH}/turn?n={n}&silent={silent}&failed={failed}"))
}

/// The same address for a WebSocket.
fn websocket(base: &str) -> String {
    base.replacen("http", "ws", 1)
}

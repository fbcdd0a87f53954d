//! The plugin with a stand-in for the conversation, and a Twilio whose time passes by itself.

use std::sync::{Arc, Mutex};

use plugin_api::{
    error::OperationError,
    protocol::CloseReason,
    requests::{
        http::HttpRequest,
        voice::{BridgeEvent, MediaReport, SESSION, Session, SessionEvent, spoken},
    },
    serde_json::{self, Value, json},
    stream::{Frame, Stream},
    testing::{TestInstance, TestPlugin},
    tokio::time::{Duration, timeout},
};
use switchboard_tests::partners::media::Simulation;

use super::world::{CALL, STREAM, byte_of};
use crate::Bridge;

/// Far beyond what anything takes.
pub const LIMIT: Duration = Duration::from_secs(60);

/// What the stand-ins were told.
#[derive(Default)]
pub struct Told {
    /// What the conversation was opened with.
    pub opened: Vec<Session>,
    /// What it was told.
    pub events: Vec<BridgeEvent>,
    /// How much audio it was sent.
    pub audio: usize,
    /// Why its stream was closed.
    pub closed: Option<CloseReason>,
    /// What the host was told to count and measure.
    pub observed: Vec<Value>,
}

pub type Shared = Arc<Mutex<Told>>;

/// A plugin whose conversation is led by this function. It refuses the token `wrong`.
pub fn plugin<F>(
    settings: Value,
    told: &Shared,
    lead: impl Fn(Arc<Stream>) -> F + Send + Sync + 'static,
) -> TestPlugin<Bridge>
where
    F: Future<Output = Result<(), OperationError>> + Send + 'static,
{
    let lead = Arc::new(lead);
    let (opened, observed) = (told.clone(), told.clone());
    TestPlugin::<Bridge>::new(settings)
        .fake_json("host", "observe", move |_, request| {
            observed.lock().unwrap().observed.push(request);
            Ok(Value::Null)
        })
        .fake_stream(crate::VOICE, SESSION, move |_, request, stream| {
            let (told, lead) = (opened.clone(), lead.clone());
            async move {
                let request: Session = serde_json::from_value(request).unwrap();
                let is_wrong = request.token == "wrong";
                told.lock().unwrap().opened.push(request);
                if is_wrong {
                    return Err(OperationError::denied("the token was used before"));
                }
                let stream = Arc::new(stream);
                let (led, heard) = (lead(stream.clone()), listen(&stream, &told));
                plugin_api::tokio::pin!(led, heard);
                plugin_api::tokio::select! {
                    outcome = &mut led => match outcome {
                        // It goes on to listen, as a conversation does.
                        Ok(()) => heard.await,
                        Err(error) => return Err(error),
                    },
                    () = &mut heard => {}
                }
                Ok(())
            }
        })
}

async fn listen(stream: &Stream, told: &Shared) {
    loop {
        match stream.recv().await {
            Ok(Frame::Text(text)) => told.lock().unwrap().events.push(serde_json::from_str(&text).unwrap()),
            Ok(Frame::Binary(audio)) => told.lock().unwrap().audio += audio.len(),
            Err(reason) => {
                told.lock().unwrap().closed = Some(reason);
                return;
            }
        }
    }
}

/// Twilio's side of a call on the plugin.
pub struct Phone {
    pub stream: Stream,
    pub twilio: Simulation,
}

impl Phone {
    /// Connects, and says nothing yet.
    pub async fn connect(plugin: &TestInstance<Bridge>) -> Result<Stream, OperationError> {
        plugin.open("media", &HttpRequest::default()).await
    }

    /// A call with this token.
    pub async fn call(plugin: &TestInstance<Bridge>, token: &str) -> Self {
        Self::call_on(plugin, STREAM, token).await
    }

    /// The same on this stream.
    pub async fn call_on(plugin: &TestInstance<Bridge>, stream_sid: &str, token: &str) -> Self {
        let stream = Self::connect(plugin).await.unwrap();
        let parameters = [("token".to_owned(), token.to_owned())];
        let mut phone = Self { stream, twilio: Simulation::new(CALL, stream_sid, &parameters) };
        let first = [phone.twilio.connected(), phone.twilio.start()];
        for frame in first {
            phone.send(frame).await;
        }
        phone
    }

    pub async fn send(&self, frame: String) {
        self.stream.send(Frame::Text(frame)).await.unwrap();
    }

    pub async fn speak(&mut self, frames: usize) {
        for _ in 0..frames {
            let frame = self.twilio.media(&[0x21; 160]);
            self.send(frame).await;
        }
    }

    /// Takes and plays everything until the stream ends.
    pub async fn listen(&mut self) -> CloseReason {
        loop {
            match timeout(LIMIT, self.stream.recv()).await.expect("it ends") {
                Ok(frame) => self.play(frame).await,
                Err(reason) => return reason,
            }
        }
    }

    /// Takes and plays nothing until what came is cleared: how many frames came before.
    pub async fn wait_for_clear(&mut self) -> usize {
        let mut before = 0;
        loop {
            match timeout(LIMIT, self.stream.recv()).await.expect("it comes").expect("the call goes on") {
                Frame::Text(text) if text.contains(r#""event":"clear""#) => return before,
                _ => before += 1,
            }
        }
    }

    /// Takes and plays until so much of this byte was played.
    pub async fn listen_for(&mut self, byte: u8, milliseconds: u64) {
        while self.twilio.playback.played_ms(byte) < milliseconds {
            let frame = timeout(LIMIT, self.stream.recv()).await.expect("it comes").unwrap();
            self.play(frame).await;
        }
    }

    async fn play(&mut self, frame: Frame) {
        let Frame::Text(text) = frame else { panic!("Twilio takes text alone") };
        let mut marks = self.twilio.take(&text);
        marks.extend(self.twilio.pass(1_000));
        for mark in marks {
            // The other side may have closed by now.
            let _ = self.stream.send(Frame::Text(mark)).await;
        }
    }
}

/// The conversation says this to the bridge.
pub async fn tell(stream: &Stream, event: SessionEvent) {
    // A test that has ended hears nothing.
    let _ = stream.send(Frame::Text(serde_json::to_string(&event).unwrap())).await;
}

/// And this to the caller.
pub async fn utter(stream: &Stream, utterance: u32, milliseconds: usize) {
    tell(stream, SessionEvent::Utterance { utterance, response: utterance }).await;
    let audio = vec![byte_of(utterance); milliseconds * 8];
    for piece in audio.chunks(3_200) {
        let _ = stream.send(Frame::Binary(spoken(utterance, piece))).await;
    }
    tell(stream, SessionEvent::UtteranceDone { utterance }).await;
}

/// It says nothing.
pub async fn silent(_: Arc<Stream>) -> Result<(), OperationError> {
    Ok(())
}

/// The last thing that the conversation was told.
pub fn report(told: &Shared) -> MediaReport {
    match told.lock().unwrap().events.last() {
        Some(BridgeEvent::Ended(report)) => report.clone(),
        other => panic!("not the end: {other:?}"),
    }
}

/// Waits until what was told satisfies.
pub async fn wait_until(told: &Shared, what: &str, satisfies: impl Fn(&Told) -> bool) {
    until(what, || satisfies(&told.lock().unwrap())).await;
}

/// Waits until it is so.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            plugin_api::tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, waiting).await.unwrap_or_else(|_| panic!("waited for {what}"));
}

pub fn no_settings() -> Value {
    json!({})
}

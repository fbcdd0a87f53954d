//! What a conversation needs of a model that hears and speaks, whoever makes it: its events, what it is asked, and how a
//! connection with it is had and lost. The only implementation is [`super::openai`]; another one fits in here.

use plugin_api::requests::openai::ToolDefinition;

/// What a connection begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// Who it is and what it knows, in words.
    pub instructions: String,
    /// What it may call.
    pub tools: Vec<ToolDefinition>,
}

/// What the model tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The caller has begun to speak. Moments count the milliseconds of audio that this connection was sent.
    SpeechStarted { at_ms: u64 },
    /// The caller has ended.
    SpeechStopped { at_ms: u64 },
    /// What the caller said is in the conversation, as this item.
    Committed { item: String },
    /// Nobody has said anything for long; the model is about to ask.
    Idle { item: String },
    /// What the caller said, in words; `None`: it cannot be made out.
    Heard { item: String, text: Option<String> },
    /// Something that was added is in the conversation.
    ItemAdded { item: String },
    /// An answer begins.
    ResponseCreated { response: String },
    /// Audio of an answer, mu-law.
    Audio { response: String, item: String, audio: Vec<u8> },
    /// All audio of the item was sent.
    AudioDone { item: String },
    /// More words of what is being said.
    Words { response: String, item: String, text: String },
    /// All of them.
    WordsDone { item: String, text: String },
    /// An answer ends.
    ResponseDone { response: String, outcome: Outcome },
    /// Something was refused.
    Fault(Fault),
    /// What the conversation need not know.
    Other,
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// As intended; these tools are to be called.
    Completed { calls: Vec<FunctionCall> },
    /// Somebody ended it.
    Cancelled,
    /// It broke off: it was too long, or was filtered. Tools that it wanted called are not to be called.
    Incomplete { reason: String },
    /// It failed.
    Failed { message: String, is_hopeless: bool },
}

/// A tool that the model wants called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionCall {
    pub call_id: String,
    pub name: String,
    pub arguments: String,
}

/// Something was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What it is about: the name of the request.
    pub about: Option<String>,
    pub message: String,
    pub kind: FaultKind,
}

/// What follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// An answer is being given already.
    Busy,
    /// There was nothing to cancel.
    NotActive,
    /// The session has lasted too long: a new one is needed.
    Expired,
    /// Nothing of this kind will work: the key, the account, the address.
    Hopeless,
    /// The conversation goes on.
    Other,
}

/// What the model is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// The caller's audio, mu-law.
    Hear { audio: Vec<u8> },
    /// No more audio follows what the caller is saying: that is all of it. The name comes back in a fault.
    Commit { name: String },
    /// Something becomes a part of the conversation.
    Add { item: String, after: Option<String>, content: Content },
    /// Something is no longer a part of it.
    Remove { item: String },
    /// An answer is to be given, by the instructions and these directions. The name comes back in a fault.
    Respond { name: String, directions: Option<String>, may_call: bool },
    /// An answer is to end.
    Cancel { response: String },
    /// No more than this was heard of what was said.
    Truncate { item: String, audio_end_ms: u64 },
}

/// What is added.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// The caller's words.
    Caller(String),
    /// The assistant's.
    Assistant(String),
    /// What neither said, and the model should know.
    Note(String),
    /// What others wrote, between its marks.
    Data(String),
    /// A call of a tool.
    Call(FunctionCall),
    /// What came of it.
    Output { call_id: String, output: String },
}

/// Why there is no connection, or none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// For people.
    pub reason: String,
    /// Another attempt cannot succeed.
    pub is_final: bool,
}

/// Where connections come from.
pub trait Backend: Send + Sync + 'static {
    type Link: Link;

    /// Opens a connection that is ready to hear and to speak.
    fn open(&self, setup: &Setup) -> impl Future<Output = Result<Self::Link, Loss>> + Send;
}

/// A connection.
pub trait Link: Send + Sync + 'static {
    /// Waits until the other side has room for it.
    fn send(&self, request: Request) -> impl Future<Output = Result<(), Loss>> + Send;

    /// Waits for the next event. It may be dropped at any time; no event is lost by it.
    fn recv(&self) -> impl Future<Output = Result<Event, Loss>> + Send;

    /// Ends it as intended.
    fn close(&self, reason: &str);
}

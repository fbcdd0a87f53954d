//! What is asked of a model -> the client events of OpenAI's Realtime API (GA).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plugin_api::{
    requests::openai::ToolDefinition,
    serde::{self, Serialize},
    serde_json::{Value, json},
};

use super::super::{
    model::{Content, FunctionCall, Request, Setup},
    settings::{Config, Eagerness, Listening, NoiseReduction},
};

/// An event.
#[derive(Debug, PartialEq, Serialize)]
#[serde(crate = "serde", tag = "type")]
pub enum ClientEvent {
    #[serde(rename = "session.update")]
    UpdateSession { event_id: &'static str, session: Box<Session> },
    #[serde(rename = "input_audio_buffer.append")]
    AppendAudio { audio: String },
    #[serde(rename = "input_audio_buffer.commit")]
    CommitAudio { event_id: String },
    #[serde(rename = "conversation.item.create")]
    CreateItem {
        event_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        previous_item_id: Option<String>,
        item: NewItem,
    },
    #[serde(rename = "conversation.item.delete")]
    DeleteItem { item_id: String },
    #[serde(rename = "conversation.item.truncate")]
    TruncateItem { item_id: String, content_index: u32, audio_end_ms: u64 },
    #[serde(rename = "response.create")]
    CreateResponse { event_id: String, response: NewResponse },
    #[serde(rename = "response.cancel")]
    CancelResponse { response_id: String },
}

/// The name of the `session.update`, by which a refusal of it is known.
pub const UPDATE: &str = "session_update";

/// `session` of `session.update`.
#[derive(Debug, PartialEq, Serialize)]
#[serde(crate = "serde")]
pub struct Session {
    #[serde(rename = "type")]
    kind: &'static str,
    output_modalities: [&'static str; 1],
    instructions: String,
    audio: Audio,
    tools: Vec<Function>,
    tool_choice: &'static str,
    max_output_tokens: Value,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(crate = "serde")]
struct Audio {
    input: Input,
    output: Output,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(crate = "serde")]
struct Input {
    format: Format,
    transcription: Transcription,
    noise_reduction: Option<Typed>,
    turn_detection: TurnDetection,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(crate = "serde")]
struct Output {
    format: Format,
    voice: String,
    speed: f64,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(crate = "serde")]
struct Typed {
    #[serde(rename = "type")]
    kind: &'static str,
}

type Format = Typed;

/// As the telephone has it.
const MU_LAW: Format = Typed { kind: "audio/pcmu" };

#[derive(Debug, PartialEq, Serialize)]
#[serde(crate = "serde")]
struct Transcription {
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(crate = "serde", tag = "type", rename_all = "snake_case")]
enum TurnDetection {
    ServerVad {
        threshold: f64,
        prefix_padding_ms: u64,
        silence_duration_ms: u64,
        create_response: bool,
        interrupt_response: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        idle_timeout_ms: Option<u64>,
    },
    SemanticVad {
        eagerness: &'static str,
        create_response: bool,
        interrupt_response: bool,
    },
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(crate = "serde")]
struct Function {
    #[serde(rename = "type")]
    kind: &'static str,
    name: String,
    description: String,
    parameters: Value,
}

/// `item` of `conversation.item.create`.
#[derive(Debug, PartialEq, Serialize)]
#[serde(crate = "serde", tag = "type", rename_all = "snake_case")]
pub enum NewItem {
    Message { id: String, role: &'static str, content: [Text; 1] },
    FunctionCall { id: String, call_id: String, name: String, arguments: String },
    FunctionCallOutput { id: String, call_id: String, output: String },
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(crate = "serde")]
pub struct Text {
    #[serde(rename = "type")]
    kind: &'static str,
    text: String,
}

/// `response` of `response.create`.
#[derive(Debug, PartialEq, Serialize)]
#[serde(crate = "serde")]
pub struct NewResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'static str>,
}

impl ClientEvent {
    /// What a connection begins with.
    pub fn update(setup: &Setup, config: &Config) -> Self {
        let session = Session {
            kind: "realtime",
            output_modalities: ["audio"],
            instructions: setup.instructions.clone(),
            audio: Audio { input: input(config), output: output(config) },
            tools: setup.tools.iter().map(function).collect(),
            tool_choice: "auto",
            max_output_tokens: config.max_output_tokens.map_or_else(|| json!("inf"), Value::from),
        };
        Self::UpdateSession { event_id: UPDATE, session: Box::new(session) }
    }
}

impl From<Request> for ClientEvent {
    fn from(request: Request) -> Self {
        match request {
            Request::Commit { name } => Self::CommitAudio { event_id: name },
            Request::Hear { audio } => Self::AppendAudio { audio: STANDARD.encode(audio) },
            Request::Add { item, after, content } => Self::CreateItem {
                event_id: item.clone(),
                previous_item_id: after,
                item: new_item(item, content),
            },
            Request::Remove { item } => Self::DeleteItem { item_id: item },
            Request::Respond { name, directions, may_call } => Self::CreateResponse {
                event_id: name,
                response: NewResponse {
                    instructions: directions,
                    tool_choice: (!may_call).then_some("none"),
                },
            },
            Request::Cancel { response } => Self::CancelResponse { response_id: response },
            Request::Truncate { item, audio_end_ms } => {
                Self::TruncateItem { item_id: item, content_index: 0, audio_end_ms }
            }
        }
    }
}

fn input(config: &Config) -> Input {
    let turn_detection = match config.listening {
        Listening::Silence { threshold, prefix_ms, silence_ms, idle_ms } => TurnDetection::ServerVad {
            threshold,
            prefix_padding_ms: prefix_ms,
            silence_duration_ms: silence_ms,
            create_response: true,
            interrupt_response: true,
            idle_timeout_ms: idle_ms,
        },
        Listening::Meaning { eagerness } => TurnDetection::SemanticVad {
            eagerness: match eagerness {
                Eagerness::Low => "low",
                Eagerness::Medium => "medium",
                Eagerness::High => "high",
                Eagerness::Auto => "auto",
            },
            create_response: true,
            interrupt_response: true,
        },
    };
    Input {
        format: MU_LAW,
        transcription: Transcription {
            model: config.transcription_model.clone(),
            // ISO 639-1: without the country.
            language: config.common.language.split('-').next().map(str::to_owned),
        },
        noise_reduction: match config.noise_reduction {
            NoiseReduction::NearField => Some(Typed { kind: "near_field" }),
            NoiseReduction::FarField => Some(Typed { kind: "far_field" }),
            NoiseReduction::None => None,
        },
        turn_detection,
    }
}

fn output(config: &Config) -> Output {
    Output { format: MU_LAW, voice: config.voice.clone(), speed: config.speed }
}

fn function(tool: &ToolDefinition) -> Function {
    Function {
        kind: "function",
        name: tool.name.clone(),
        description: tool.description.clone().unwrap_or_default(),
        parameters: tool.parameters.clone().unwrap_or_else(|| json!({ "type": "object" })),
    }
}

fn new_item(id: String, content: Content) -> NewItem {
    let message = |id, role, kind, text| NewItem::Message { id, role, content: [Text { kind, text }] };
    match content {
        Content::Caller(text) => message(id, "user", "input_text", text),
        Content::Assistant(text) => message(id, "assistant", "output_text", text),
        Content::Data(text) => message(id, "user", "input_text", text),
        Content::Note(text) => message(id, "system", "input_text", text),
        Content::Call(FunctionCall { call_id, name, arguments }) => {
            NewItem::FunctionCall { id, call_id, name, arguments }
        }
        Content::Output { call_id, output } => NewItem::FunctionCallOutput { id, call_id, output },
    }
}

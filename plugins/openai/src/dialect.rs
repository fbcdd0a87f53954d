//! What servers and models were found to want otherwise: a refusal that names what is in the way -> the request without it,
//! at once and from then on; and what their answers show. Nothing is guessed from names of vendors; a server that refuses
//! nothing is sent everything. Lessons are forgotten with the instance.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use plugin_api::serde_json::{Value, json};

use crate::trouble::Trouble;

/// Of so many models something is remembered.
const MOST_MODELS: usize = 256;
/// So many whole answers without thoughts show that a model ends none that no mark begins. A single one it may have
/// written without thinking.
const PLAIN_ANSWERS: u8 = 3;
/// How often one request is changed.
pub const MOST_LESSONS: usize = 4;
/// Fields of a request that can be done without.
const DISPENSABLE: [&str; 3] = ["stream_options", "parallel_tool_calls", "temperature"];
/// Fields of messages that are ours to send.
const OWN: [&str; 4] = ["role", "content", "tool_calls", "tool_call_id"];
/// What DeepSeek takes for thoughts that nobody kept; it refuses an empty text (NousResearch/hermes-agent#17341).
const NO_THOUGHTS: &str = " ";
/// What Google takes for the signature of a call that its model did not write (earendil-works/pi#1829).
const NO_SIGNATURE: &str = "skip_thought_signature_validator";
/// By which words a server refuses a field, beside the field's name.
const REFUSING: [&str; 8] = [
    "extra inputs are not permitted",
    "extra_forbidden",
    "unsupported",
    "not supported",
    "unrecognized",
    "unknown field",
    "unexpected",
    "not permitted",
];

/// By which words a server wants a field that it misses.
const WANTING: [&str; 4] = ["passed back", "must include", "is missing", "missing `reasoning_content`"];
/// By which words a server refuses `null` for a text.
const NO_NULL: [&str; 6] =
    ["<nil>", "got null", "not null", "must be a string", "should be a valid string", "expected a string"];

/// The known traits of the models of a server.
#[derive(Default)]
pub struct Dialect(Mutex<BTreeMap<String, Known>>);

/// The known traits of a model.
#[derive(Debug, Clone, Default)]
struct Known {
    lessons: BTreeSet<Lesson>,
    /// It ended thoughts that no mark had begun.
    omits_opening: bool,
    /// How many whole answers held none.
    plain_answers: u8,
}

/// Something that a model wants otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lesson {
    /// It calls tools only without thinking: `reasoning_effort` must be `none`.
    ToolsWithoutThinking,
    /// The limit of tokens has this name.
    Limit(&'static str),
    /// Ids of tool calls are nine letters and digits.
    ShortIds,
    /// The request must not hold this field.
    Without(String),
    /// Messages must not hold this field.
    MessagesWithout(String),
    /// Every `assistant` message must hold thoughts, as `reasoning_content`.
    Thoughts,
    /// Every `assistant` message with tool calls must hold Google's signature of one.
    Signatures,
    /// An `assistant` message without words has an empty text, and not `null`.
    EmptyText,
    /// Schemas of tools must not hold these words.
    SchemasWithout(Vec<String>),
}

impl Dialect {
    /// Writes a request as its model wants it.
    pub fn apply(&self, request: &mut Value) {
        let model = model_of(request);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&model).cloned();
        for lesson in known.unwrap_or_default().lessons {
            lesson.apply(request);
        }
    }

    /// Whether a model may end thoughts that no mark begins: unless enough of its answers showed that it does not.
    pub fn may_omit_opening(&self, model: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(model).is_none_or(|known| known.omits_opening || known.plain_answers < PLAIN_ANSWERS)
    }

    /// Takes over what an answer of a model showed. A model that ever did it may do it again, however it answers without.
    pub fn note_opening(&self, model: &str, omits: Option<bool>) {
        let Some(omits) = omits else { return };
        self.of_model(model, |known| match omits {
            true => known.omits_opening = true,
            false => known.plain_answers = known.plain_answers.saturating_add(1),
        });
    }

    /// Changes what is known of a model, if there is room to know more.
    fn of_model(&self, model: &str, change: impl FnOnce(&mut Known)) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MOST_MODELS || known.contains_key(model) {
            change(known.entry(model.to_owned()).or_default());
        }
    }

    /// What a refusal teaches; the request is changed by it. `None`: asked again, it would be refused again.
    pub fn learn(&self, trouble: &Trouble, request: &mut Value) -> Option<Lesson> {
        if !matches!(trouble.http_status, Some(400 | 422)) {
            return None;
        }
        let lesson = Lesson::of(&trouble.words.as_deref()?.to_ascii_lowercase(), request)?;
        let before = request.clone();
        lesson.apply(request);
        if *request == before {
            return None;
        }
        self.of_model(&model_of(request), |known| {
            known.lessons.insert(lesson.clone());
        });
        Some(lesson)
    }
}

impl Lesson {
    fn of(words: &str, request: &Value) -> Option<Self> {
        let has = |key: &str| request.get(key).is_some();
        if words.contains("reasoning_effort") && words.contains("none") && has("tools") {
            return Some(Self::ToolsWithoutThinking);
        }
        if words.contains("tool call id") && words.contains("length of 9") {
            return Some(Self::ShortIds);
        }
        if words.contains("reasoning_content") && WANTING.iter().any(|sign| words.contains(sign)) {
            return Some(Self::Thoughts);
        }
        if words.contains("missing a thought_signature") || words.contains("missing a `thought_signature`") {
            return Some(Self::Signatures);
        }
        if words.contains("unknown name") && has("tools") {
            let names = words.split("unknown name").skip(1).filter_map(|rest| rest.split('"').nth(1));
            let names = names.map(|name| name.trim_end_matches('\\').to_owned()).collect();
            return Some(Self::SchemasWithout(names));
        }
        if words.contains("content") && NO_NULL.iter().any(|sign| words.contains(sign)) {
            return Some(Self::EmptyText);
        }
        if !REFUSING.iter().any(|sign| words.contains(sign)) {
            return None;
        }
        if has("max_tokens") && words.contains("max_completion_tokens") {
            return Some(Self::Limit("max_completion_tokens"));
        }
        if has("max_completion_tokens") && words.contains("max_completion_tokens") {
            return Some(Self::Limit("max_tokens"));
        }
        let of_messages = messages(request).iter().flat_map(fields).find(|field| names(words, field));
        if let Some(field) = of_messages {
            return Some(Self::MessagesWithout(field));
        }
        let field = DISPENSABLE.iter().find(|field| has(field) && names(words, field))?;
        Some(Self::Without((*field).to_owned()))
    }

    fn apply(&self, request: &mut Value) {
        let Some(fields) = request.as_object_mut() else { return };
        match self {
            Self::ToolsWithoutThinking => {
                if fields.contains_key("tools") {
                    fields.insert("reasoning_effort".to_owned(), "none".into());
                }
            }
            Self::Limit(name) => {
                let limit =
                    ["max_tokens", "max_completion_tokens"].iter().find_map(|name| fields.remove(*name));
                limit.into_iter().for_each(|limit| drop(fields.insert((*name).to_owned(), limit)));
            }
            Self::ShortIds => messages_mut(request).iter_mut().for_each(shorten_ids),
            Self::Without(field) => drop(fields.remove(field)),
            Self::Thoughts => {
                for message in assistants_mut(request) {
                    if message.get("reasoning_content").is_none() {
                        message["reasoning_content"] = NO_THOUGHTS.into();
                    }
                }
            }
            Self::Signatures => assistants_mut(request).for_each(sign),
            Self::EmptyText => {
                for message in assistants_mut(request).filter(|message| message["content"].is_null()) {
                    message["content"] = "".into();
                }
            }
            Self::SchemasWithout(words) => {
                let tools = fields.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten();
                for schema in tools.filter_map(|tool| tool.pointer_mut("/function/parameters")) {
                    forget(schema, words);
                }
            }
            Self::MessagesWithout(field) => {
                for message in messages_mut(request) {
                    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
                    let calls = calls.into_iter().flatten();
                    calls.filter_map(Value::as_object_mut).for_each(|call| drop(call.remove(field)));
                    message.as_object_mut().into_iter().for_each(|message| drop(message.remove(field)));
                }
            }
        }
    }
}

/// Whether words name a field: `reasoning_details` does not name `reasoning`.
fn names(words: &str, field: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    words.split(|letter| !is_letter(letter)).any(|word| word.eq_ignore_ascii_case(field))
}

fn model_of(request: &Value) -> String {
    request.get("model").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn messages(request: &Value) -> &[Value] {
    request.get("messages").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn messages_mut(request: &mut Value) -> &mut [Value] {
    request.get_mut("messages").and_then(Value::as_array_mut).map_or(&mut [], Vec::as_mut_slice)
}

fn assistants_mut(request: &mut Value) -> impl Iterator<Item = &mut Value> {
    messages_mut(request).iter_mut().filter(|message| message["role"] == "assistant")
}

/// One signature is enough: of parallel calls, Google's models sign the first.
fn sign(message: &mut Value) {
    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
    let Some(calls) = calls.filter(|calls| calls.iter().all(|call| call.get("extra_content").is_none()))
    else {
        return;
    };
    if let Some(call) = calls.first_mut() {
        call["extra_content"] = json!({ "google": { "thought_signature": NO_SIGNATURE } });
    }
}

/// Takes words out of a schema; names of properties are none of its words.
fn forget(schema: &mut Value, words: &[String]) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(|schema| forget(schema, words)),
        Value::Object(map) => {
            let forgotten = |key: &str| words.iter().any(|word| word.eq_ignore_ascii_case(key));
            if let Some(constant) = map.get("const").filter(|_| forgotten("const")).cloned() {
                map.insert("enum".to_owned(), json!([constant]));
            }
            map.retain(|key, _| !forgotten(key));
            for (key, inner) in map {
                match inner {
                    Value::Object(named)
                        if matches!(key.as_str(), "properties" | "$defs" | "definitions") =>
                    {
                        named.values_mut().for_each(|schema| forget(schema, words));
                    }
                    // Values, and no schemas.
                    _ if matches!(key.as_str(), "enum" | "default" | "examples" | "const" | "required") => {}
                    inner => forget(inner, words),
                }
            }
        }
        _ => {}
    }
}

/// The fields of a message and its tool calls that can be done without.
fn fields(message: &Value) -> Vec<String> {
    let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    let of_calls = calls.filter_map(Value::as_object).flat_map(|call| call.keys());
    let own = message.as_object().into_iter().flat_map(|message| message.keys());
    let all = own.chain(of_calls).filter(|key| !OWN.contains(&key.as_str()));
    all.filter(|key| !matches!(key.as_str(), "id" | "type" | "function")).cloned().collect()
}

/// The same id becomes the same everywhere.
fn shorten_ids(message: &mut Value) {
    let shorten = |id: &mut Value| {
        if let Some(text) = id.as_str() {
            *id = short(text).into();
        }
    };
    message.get_mut("tool_call_id").into_iter().for_each(shorten);
    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten();
    calls.filter_map(|call| call.get_mut("id")).for_each(shorten);
}

/// Nine letters and digits that are made of an id.
fn short(id: &str) -> String {
    const LENGTH: usize = 9;
    if id.len() == LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return id.to_owned();
    }
    // FNV-1a: the same on every host and in every version.
    let hash = |seed: u64| {
        id.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    };
    let mut number = hash(0xcbf2_9ce4_8422_2325);
    let letter = |_| {
        let letter = char::from_digit((number % 36) as u32, 36).expect("it is a digit of that base");
        number /= 36;
        letter
    };
    (0..LENGTH).map(letter).collect()
}

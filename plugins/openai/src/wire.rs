//! A request as callers write it -> the JSON that goes to the server. Pure; refuses what no server could make sense of.

use plugin_api::{
    prelude::*,
    requests::openai::{
        Chat, Content, Embed, Message, OutputFormat, Part, ToolCall, ToolChoice, ToolDefinition,
    },
    serde_json::{Map, Value, json},
};

use crate::{
    settings::{Config, MaxTokensField},
    turns,
};

/// What `extra` must not say: it would change the form of the answer.
const RESERVED: [&str; 4] = ["stream", "stream_options", "n", "messages"];

/// Refuses what no server could make sense of.
pub fn check(request: &Chat) -> Result<(), OperationError> {
    if request.messages.is_empty() {
        return Err(OperationError::invalid("`messages` is empty: expected at least one"));
    }
    if let Some(key) = RESERVED.iter().find(|key| request.extra.contains_key(**key)) {
        return Err(OperationError::invalid(format!("`extra` may not hold `{key}`")));
    }
    Ok(())
}

/// A chat; `stream`: answered as it is written.
pub fn chat(request: &Chat, config: &Config, stream: bool) -> Value {
    let mut body = request.extra.clone();
    let mut put = |key: &str, value: Value| body.insert(key.to_owned(), value);
    put("model", json!(model(request.model.as_deref(), &config.model.name)));
    put("messages", turns::alternating(&request.messages).iter().map(message).collect());
    if !request.tools.is_empty() {
        put("tools", request.tools.iter().map(tool).collect());
    }
    let optional = [
        ("tool_choice", request.tool_choice.as_ref().map(tool_choice)),
        ("parallel_tool_calls", request.parallel_tool_calls.map(Value::from)),
        ("response_format", request.output.as_ref().map(output)),
        ("temperature", request.temperature.map(Value::from)),
        (max_tokens_key(config.max_tokens_field), request.max_tokens.map(Value::from)),
        ("stream", stream.then_some(json!(true))),
        ("stream_options", stream.then_some(json!({ "include_usage": true }))),
    ];
    for (key, value) in optional.into_iter().filter_map(|(key, value)| Some((key, value?))) {
        put(key, value);
    }
    Value::Object(body)
}

/// A request for the vectors of these texts.
pub fn embed(texts: &[String], request: &Embed, config: &Config) -> Value {
    let mut body = json!({
        "model": model(request.model.as_deref(), &config.embedding_model.name),
        "input": texts,
    });
    if let Some(dimensions) = request.dimensions {
        body["dimensions"] = dimensions.into();
    }
    body
}

/// The model that is asked for.
pub fn model<'a>(asked: Option<&'a str>, default: &'a str) -> &'a str {
    asked.filter(|model| !model.is_empty()).unwrap_or(default)
}

fn max_tokens_key(field: MaxTokensField) -> &'static str {
    match field {
        MaxTokensField::MaxTokens => "max_tokens",
        MaxTokensField::MaxCompletionTokens => "max_completion_tokens",
    }
}

fn message(message: &Message) -> Value {
    match message {
        Message::System { content } => json!({ "role": "system", "content": content }),
        Message::User { content, name } => {
            let mut written = json!({ "role": "user", "content": user_content(content) });
            if let Some(name) = name {
                written["name"] = json!(name);
            }
            written
        }
        Message::Assistant { content, tool_calls, extra } => {
            // Servers want the field, if only as `null`.
            let mut written = json!({ "role": "assistant", "content": content });
            if !tool_calls.is_empty() {
                written["tool_calls"] = tool_calls.iter().map(tool_call).collect();
            }
            put_back(&mut written, extra);
            written
        }
        Message::Tool { tool_call_id, content } => {
            json!({ "role": "tool", "tool_call_id": tool_call_id, "content": content })
        }
    }
}

fn user_content(content: &Content) -> Value {
    match content {
        Content::Text(text) => json!(text),
        Content::Parts(parts) => parts.iter().map(part).collect(),
    }
}

fn part(part: &Part) -> Value {
    match part {
        Part::Text { text } => json!({ "type": "text", "text": text }),
        Part::ImageUrl { url, detail } => {
            let mut image = json!({ "url": url });
            if let Some(detail) = detail {
                image["detail"] = json!(detail);
            }
            json!({ "type": "image_url", "image_url": image })
        }
    }
}

fn tool_call(call: &ToolCall) -> Value {
    // A call without arguments may be written as nothing, and is not taken back so.
    let arguments = if call.arguments.trim().is_empty() { "{}" } else { call.arguments.as_str() };
    let function = json!({ "name": call.name, "arguments": arguments });
    let mut written = json!({ "id": call.id, "type": "function", "function": function });
    put_back(&mut written, &call.extra);
    written
}

/// What the server wrote beside what is known goes back as it came, and never in place of what decides.
fn put_back(written: &mut Value, extra: &Map<String, Value>) {
    for (key, value) in extra {
        match (key.as_str(), value) {
            ("role" | "id" | "type" | "tool_calls", _) => {}
            ("function", Value::Object(of_function)) => {
                for (key, value) in of_function {
                    if !matches!(key.as_str(), "name" | "arguments") {
                        written["function"][key] = value.clone();
                    }
                }
            }
            _ => written[key] = value.clone(),
        }
    }
}

fn tool(tool: &ToolDefinition) -> Value {
    let mut function = Map::new();
    function.insert("name".into(), json!(tool.name));
    if let Some(description) = &tool.description {
        function.insert("description".into(), json!(description));
    }
    let takes_nothing = || json!({ "type": "object", "properties": {} });
    function.insert("parameters".into(), tool.parameters.clone().unwrap_or_else(takes_nothing));
    if let Some(strict) = tool.strict {
        function.insert("strict".into(), json!(strict));
    }
    json!({ "type": "function", "function": function })
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Tool(name) => json!({ "type": "function", "function": { "name": name } }),
    }
}

fn output(output: &OutputFormat) -> Value {
    match output {
        OutputFormat::Text => json!({ "type": "text" }),
        OutputFormat::JsonObject => json!({ "type": "json_object" }),
        OutputFormat::JsonSchema { name, schema, strict } => {
            let described = json!({ "name": name, "schema": schema, "strict": strict.unwrap_or(true) });
            json!({ "type": "json_schema", "json_schema": described })
        }
    }
}

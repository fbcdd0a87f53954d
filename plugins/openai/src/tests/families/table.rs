//! The families, as data: how each writes its answers, what it refuses and in which words. Each fact is as its sources report
//! it; they stand at the family.

use plugin_api::{
    requests::openai::TroubleCode::{
        self, ContentFilter, ContextTooLong, RateLimited, ToolUseFailed, ToolsUnsupported, Unavailable,
    },
    serde_json::{self, Value, json},
};

/// A family of servers.
pub struct Family {
    pub name: &'static str,
    /// `OPENAI_BASE_URL`.
    pub address: &'static str,
    pub model: &'static str,
    /// What `/models` answers.
    pub models: &'static str,
    /// An answer that comes whole: `MESSAGE` is one of the next two, `REASON` why it ends. `TEXT` is what it says.
    pub whole: &'static str,
    pub says: &'static str,
    pub calls: &'static str,
    /// A piece of one that is streamed: `DELTA` is one of the next, `REASON` why it ends, or `null`. The text is in two
    /// halves. Before and behind stand comments, events without choices, and the end.
    pub piece: &'static str,
    pub say_pieces: &'static [&'static str],
    pub call_pieces: &'static [&'static str],
    pub last_delta: &'static str,
    pub opening: &'static str,
    pub closing: &'static str,
    pub reason_for_calls: &'static str,
    /// The demands on a request, each with its refusal.
    pub demands: &'static [Demand],
    /// The most texts at once, if there are vectors.
    pub vectors: Result<Option<(usize, Refusal)>, Refusal>,
    pub bad: Refusal,
    pub often: Refusal,
    pub broken: Refusal,
    /// For the README: where its models' thoughts are, and what to mind.
    pub thoughts: &'static str,
    pub mind: &'static str,
}

/// Whether a request is as it must be, and the refusal if not.
pub type Demand = (fn(&Value) -> bool, Refusal);

/// How a server refuses, and what that is.
pub struct Refusal {
    pub status: u16,
    pub headers: &'static [&'static str],
    pub body: &'static str,
    pub code: TroubleCode,
}

impl Family {
    /// The path of its address.
    pub fn path(&self) -> &'static str {
        let (_, behind) = self.address.split_once("://").expect("it is an address");
        behind.find('/').map_or("", |slash| &behind[slash..])
    }

    /// Whether it takes back thoughts in the field `reasoning`.
    pub fn takes_reasoning(&self) -> bool {
        let thinking = json!({ "messages": [
            { "role": "user", "content": "Hello?" },
            { "role": "assistant", "content": "Hello!", "reasoning": "Hm." },
        ] });
        self.demands.iter().all(|(is_met, _)| is_met(&thinking))
    }
}

const fn refusal(status: u16, body: &'static str, code: TroubleCode) -> Refusal {
    Refusal { status, headers: &["content-type: application/json"], body, code }
}

/// The answer of nginx before a server that has no limit of its own.
const PROXY_429: Refusal = Refusal {
    status: 429,
    headers: &["server: nginx", "content-type: text/html"],
    body: "<html>\r\n<head><title>429 Too Many Requests</title></head>\r\n<body>\r\n<center><h1>429 Too Many Requests</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n",
    code: RateLimited,
};

fn messages<'a>(asked: &'a Value, role: &'a str) -> impl Iterator<Item = &'a Value> {
    asked["messages"].as_array().into_iter().flatten().filter(move |message| message["role"] == role)
}

fn calls(asked: &Value) -> impl Iterator<Item = &Value> {
    messages(asked, "assistant").filter_map(|message| message["tool_calls"].as_array()).flatten()
}

/// One `system` at the front, the person first, both alternately, and an answer behind a tool's result.
fn alternates(asked: &Value) -> bool {
    let roles: Vec<_> = asked["messages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|message| message["role"].as_str())
        .collect();
    let turns = roles.strip_prefix(&["system"]).unwrap_or(&roles);
    let follows = |pair: &[&str]| match pair {
        ["user", next] => *next == "assistant",
        ["assistant", next] => matches!(*next, "user" | "tool"),
        ["tool", next] => matches!(*next, "assistant" | "tool"),
        _ => false,
    };
    turns.first() == Some(&"user") && turns.windows(2).all(follows)
}

fn short_ids(asked: &Value) -> bool {
    let is_short = |id: &Value| {
        id.as_str().is_some_and(|id| id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    };
    calls(asked).all(|call| is_short(&call["id"]))
        && messages(asked, "tool").all(|message| is_short(&message["tool_call_id"]))
}

fn no_reasoning_details(asked: &Value) -> bool {
    messages(asked, "assistant").all(|message| message.get("reasoning_details").is_none())
}

/// Messages hold nothing but what the first API of that kind had.
fn plain_messages(asked: &Value) -> bool {
    let keys = |value: &Value| {
        value.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>()).unwrap_or_default()
    };
    let own = ["role", "content", "tool_calls", "tool_call_id", "name"];
    asked["messages"]
        .as_array()
        .into_iter()
        .flatten()
        .all(|message| keys(message).iter().all(|key| own.contains(&key.as_str())))
        && calls(asked)
            .all(|call| keys(call).iter().all(|key| matches!(key.as_str(), "id" | "type" | "function")))
}

fn arguments_are_objects(asked: &Value) -> bool {
    calls(asked).all(|call| {
        let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
        serde_json::from_str::<serde_json::Map<String, Value>>(arguments).is_ok()
    })
}

fn no_limit_by_its_old_name(asked: &Value) -> bool {
    asked.get("max_tokens").is_none()
}

/// The first call of each message is signed: by the model, or as one that it did not write.
fn is_signed(asked: &Value) -> bool {
    messages(asked, "assistant").filter_map(|message| message["tool_calls"].as_array()?.first()).all(|call| {
        let signature = call.pointer("/extra_content/google/thought_signature").and_then(Value::as_str);
        matches!(signature, Some("AY89a18IwQsQ8in" | "skip_thought_signature_validator"))
    })
}

/// With tools, every answer since the person last wrote holds its thoughts (experientiallabs/experiential#890).
fn thoughts_are_back(asked: &Value) -> bool {
    let messages = asked["messages"].as_array().cloned().unwrap_or_default();
    let current = messages.iter().rev().take_while(|message| message["role"] != "user");
    asked.get("tools").is_none()
        || current
            .filter(|message| message["role"] == "assistant")
            .all(|message| message["reasoning_content"].as_str().is_some_and(|thoughts| !thoughts.is_empty()))
}

/// Thoughts that it wrote come back whole, and not in the pieces in which they were streamed.
fn details_are_whole(asked: &Value) -> bool {
    messages(asked, "assistant").filter_map(|message| message["reasoning_details"].as_array()).all(
        |details| details.len() == 1 && (details[0]["text"] == "Hm." || details[0]["signature"] == "c2ln"),
    )
}

/// Strict as its sources have it, in this order: see [`super::stories`].
pub static FAMILIES: [Family; 9] =
    [GEMINI, DEEPSEEK, MISTRAL, VLLM, LLAMA_CPP, OLLAMA, GROQ, AZURE, OPENROUTER];

/// Signatures: tinyhumansai/openhuman#3548, earendil-works/pi#1829. Parallel calls of one number and no id in a stream:
/// NousResearch/hermes-agent#62937, openai/openai-agents-python#1959. Refusals in a list: 0xsline/OpenChatCut#6; 503:
/// google-gemini/gemini-cli#4360; 100 texts at once: geldata/gel#9032.
const GEMINI: Family = Family {
    name: "Gemini",
    address: "https://generativelanguage.googleapis.com/v1beta/openai",
    model: "gemini-3-flash-preview",
    models: r#"{"object":"list","data":[{"id":"models/gemini-3-flash-preview","object":"model","owned_by":"google","display_name":"Gemini 3 Flash Preview"},{"id":"models/vectors","object":"model","owned_by":"google"}]}"#,
    whole: r#"{"choices":[{"finish_reason":"REASON","index":0,"message":MESSAGE}],"created":1780000000,"id":"xWk","model":"gemini-3-flash-preview","object":"chat.completion","usage":{"completion_tokens":2,"prompt_tokens":3,"total_tokens":60}}"#,
    says: r#"{"content":"TEXT","extra_content":{"google":{"thought_signature":"EqQB"}},"role":"assistant"}"#,
    calls: r#"{"role":"assistant","tool_calls":[{"extra_content":{"google":{"thought_signature":"AY89a18IwQsQ8in"}},"function":{"arguments":"{\"city\":\"Bern\"}","name":"weather"},"id":"function-call-1","type":"function"},{"function":{"arguments":"{}","name":"clock"},"id":"function-call-2","type":"function"}]}"#,
    piece: r#"{"choices":[{"delta":DELTA,"finish_reason":REASON,"index":0}],"created":1780000000,"id":"xWk","model":"gemini-3-flash-preview","object":"chat.completion.chunk","usage":{"completion_tokens":2,"prompt_tokens":3,"total_tokens":60}}"#,
    say_pieces: &[r#"{"content":"TEXT1","role":"assistant"}"#, r#"{"content":"TEXT2","role":"assistant"}"#],
    call_pieces: &[
        r#"{"role":"assistant","tool_calls":[{"extra_content":{"google":{"thought_signature":"AY89a18IwQsQ8in"}},"function":{"arguments":"{\"city\":\"Bern\"}","name":"weather"},"id":"","index":0,"type":"function"}]}"#,
        r#"{"role":"assistant","tool_calls":[{"function":{"arguments":"{}","name":"clock"},"id":"","index":0,"type":"function"}]}"#,
    ],
    last_delta: r#"{"role":"assistant"}"#,
    opening: "",
    closing: "data: [DONE]\n\n",
    reason_for_calls: "stop",
    demands: &[(
        is_signed,
        refusal(
            400,
            "[{\n  \"error\": {\n    \"code\": 400,\n    \"message\": \"Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing thought_signature may lead to degraded model performance. Additional data, function call `default_api:weather` , position 2. Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures for more details.\",\n    \"status\": \"INVALID_ARGUMENT\"\n  }\n}\n]",
            TroubleCode::InvalidRequest,
        ),
    )],
    vectors: Ok(Some((
        100,
        refusal(
            400,
            r#"[{"error":{"code":400,"message":"* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch\n","status":"INVALID_ARGUMENT"}}]"#,
            TroubleCode::ConfigInvalid,
        ),
    ))),
    bad: refusal(
        400,
        r#"[{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}]"#,
        ContextTooLong,
    ),
    often: refusal(
        429,
        r#"[{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"12.5s"}]}}]"#,
        RateLimited,
    ),
    broken: refusal(
        503,
        r#"[{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}]"#,
        Unavailable,
    ),
    thoughts: "signatures of calls, taken back",
    mind: "the key is one of Google AI Studio; a wrong one is refused with 400",
};

/// Thoughts: JohnnyZ93/oai-compatible-copilot#215, NousResearch/hermes-agent#17341, Oaklight/llm-rosetta#356; refusals as
/// `application/octet-stream`: SaladDay/cc-switch-cli#170; comments in a stream: tmc/langchaingo#1171.
const DEEPSEEK: Family = Family {
    name: "DeepSeek",
    address: "https://api.deepseek.com/v1",
    model: "deepseek-v4-flash",
    models: r#"{"object":"list","data":[{"id":"deepseek-v4-flash","object":"model","owned_by":"deepseek"}]}"#,
    whole: r#"{"id":"930c60df","object":"chat.completion","created":1780000000,"model":"deepseek-v4-flash","choices":[{"index":0,"message":MESSAGE,"logprobs":null,"finish_reason":"REASON"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":1},"prompt_cache_hit_tokens":0,"prompt_cache_miss_tokens":3},"system_fingerprint":"fp_1"}"#,
    says: r#"{"role":"assistant","content":"TEXT","reasoning_content":"Let me see."}"#,
    calls: r#"{"role":"assistant","content":"","reasoning_content":"I need both.","tool_calls":[{"index":0,"id":"call_00_a","type":"function","function":{"name":"weather","arguments":"{\"city\": \"Bern\"}"}},{"index":1,"id":"call_01_b","type":"function","function":{"name":"clock","arguments":"{}"}}]}"#,
    piece: r#"{"id":"930c60df","object":"chat.completion.chunk","created":1780000000,"model":"deepseek-v4-flash","system_fingerprint":"fp_1","choices":[{"index":0,"delta":DELTA,"logprobs":null,"finish_reason":REASON}],"usage":null}"#,
    say_pieces: &[
        r#"{"role":"assistant","content":null,"reasoning_content":""}"#,
        r#"{"content":null,"reasoning_content":"Let me"}"#,
        r#"{"content":null,"reasoning_content":" see."}"#,
        r#"{"content":"TEXT1","reasoning_content":null}"#,
        r#"{"content":"TEXT2","reasoning_content":null}"#,
    ],
    call_pieces: &[
        r#"{"role":"assistant","content":null,"reasoning_content":""}"#,
        r#"{"content":null,"reasoning_content":"I need both."}"#,
        r#"{"tool_calls":[{"index":0,"id":"call_00_a","type":"function","function":{"name":"weather","arguments":""}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\": "}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"\"Bern\"}"}}]}"#,
        r#"{"tool_calls":[{"index":1,"id":"call_01_b","type":"function","function":{"name":"clock","arguments":""}}]}"#,
        r#"{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}"#,
    ],
    last_delta: r#"{"content":"","reasoning_content":null}"#,
    opening: ": keep-alive\n\n: keep-alive\n\n",
    closing: "data: {\"id\":\"930c60df\",\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\ndata: [DONE]\n\n",
    reason_for_calls: "tool_calls",
    demands: &[(
        thoughts_are_back,
        Refusal {
            status: 400,
            headers: &["content-type: application/octet-stream", "server: openresty"],
            body: r#"{"error":{"message":"The `reasoning_content` in the thinking mode must be passed back to the API.","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#,
            code: TroubleCode::InvalidRequest,
        },
    )],
    vectors: Err(refusal(404, "", TroubleCode::ModelNotFound)),
    bad: refusal(
        400,
        r#"{"error":{"message":"This model's maximum context length is 131072 tokens. However, you requested 140000 tokens (139000 in the messages, 1000 in the completion). Please reduce the length of the messages or completion.","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#,
        ContextTooLong,
    ),
    often: refusal(
        429,
        r#"{"error":{"message":"Too many requests","type":"rate_limit_error","param":null,"code":"rate_limit_error"}}"#,
        RateLimited,
    ),
    broken: refusal(
        503,
        r#"{"error":{"message":"Service is too busy. We advise users to temporarily switch to alternative LLM API service providers.","type":"service_unavailable_error","param":null,"code":"service_unavailable_error"}}"#,
        Unavailable,
    ),
    thoughts: "`reasoning_content`, taken back",
    mind: "vectors from another section",
};

/// Ids: nearai/ironclaw#1241; order of roles: avante-corp/avante.nvim#2695; forbidden fields: charmbracelet/crush#1590,
/// editor-code-assistant/eca#231.
const MISTRAL: Family = Family {
    name: "Mistral",
    address: "https://api.mistral.ai/v1",
    model: "mistral-large-latest",
    models: r#"{"object":"list","data":[{"id":"mistral-large-latest","object":"model","owned_by":"mistralai","capabilities":{"completion_chat":true,"function_calling":true}},{"id":"vectors","object":"model","owned_by":"mistralai"}]}"#,
    whole: r#"{"id":"e5cc70bb","created":1780000000,"model":"mistral-large-latest","usage":{"prompt_tokens":3,"total_tokens":5,"completion_tokens":2},"object":"chat.completion","choices":[{"index":0,"finish_reason":"REASON","message":MESSAGE}]}"#,
    says: r#"{"role":"assistant","tool_calls":null,"content":[{"type":"thinking","thinking":[{"type":"text","text":"Let me see."}]},{"type":"text","text":"TEXT"}]}"#,
    calls: r#"{"role":"assistant","tool_calls":[{"id":"D681PevKs","function":{"name":"weather","arguments":"{\"city\": \"Bern\"}"},"index":0},{"id":"9Yh2KqLmz","function":{"name":"clock","arguments":"{}"},"index":1}],"content":""}"#,
    piece: r#"{"id":"e5cc70bb","object":"chat.completion.chunk","created":1780000000,"model":"mistral-large-latest","choices":[{"index":0,"delta":DELTA,"finish_reason":REASON}]}"#,
    say_pieces: &[
        r#"{"role":"assistant","content":""}"#,
        r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Let me see."}]}]}"#,
        r#"{"content":"TEXT1"}"#,
        r#"{"content":"TEXT2"}"#,
    ],
    call_pieces: &[
        r#"{"role":"assistant","content":""}"#,
        r#"{"content":"","tool_calls":[{"id":"D681PevKs","function":{"name":"weather","arguments":"{\"city\": \"Bern\"}"},"index":0},{"id":"9Yh2KqLmz","function":{"name":"clock","arguments":"{}"},"index":1}]}"#,
    ],
    last_delta: r#"{"content":""}"#,
    opening: "",
    closing: "data: {\"id\":\"e5cc70bb\",\"object\":\"chat.completion.chunk\",\"model\":\"mistral-large-latest\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"total_tokens\":5,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
    reason_for_calls: "tool_calls",
    demands: &[
        (
            no_reasoning_details,
            refusal(
                422,
                r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","messages",1,"assistant","reasoning_details"],"msg":"Extra inputs are not permitted","input":[]}]},"type":"invalid_request_error","param":null,"code":null}"#,
                TroubleCode::InvalidRequest,
            ),
        ),
        (
            plain_messages,
            refusal(
                422,
                r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","messages",1,"assistant","reasoning"],"msg":"Extra inputs are not permitted","input":"Hm."}]},"type":"invalid_request_error","param":null,"code":null}"#,
                TroubleCode::InvalidRequest,
            ),
        ),
        (
            short_ids,
            refusal(
                400,
                r#"{"object":"error","message":"Tool call id was call_0fypS1hVX-of-another-server but must be a-z, A-Z, 0-9, with a length of 9.","type":"invalid_function_call","param":null,"code":"3280","raw_status_code":400}"#,
                TroubleCode::InvalidRequest,
            ),
        ),
        (
            alternates,
            refusal(
                400,
                r#"{"object":"error","message":"Unexpected role 'user' after role 'tool'","type":"invalid_request_message_order","param":null,"code":"3230"}"#,
                TroubleCode::InvalidRequest,
            ),
        ),
    ],
    vectors: Ok(None),
    bad: refusal(
        400,
        r#"{"object":"error","message":"Prompt contains 140000 tokens and 0 draft tokens, too large for model with 131072 maximum context length","type":"invalid_request_prompt","param":null,"code":"3051","raw_status_code":400}"#,
        ContextTooLong,
    ),
    often: refusal(
        429,
        r#"{"object":"error","message":"Rate limit exceeded","type":"rate_limited","param":null,"code":"1300","raw_status_code":429}"#,
        RateLimited,
    ),
    broken: refusal(
        500,
        r#"{"object":"error","message":"Service unavailable.","type":"internal_server_proxy","param":null,"code":"1000"}"#,
        Unavailable,
    ),
    thoughts: "parts of the content, taken back",
    mind: "",
};

/// With a Mistral model and its parser. Refusals without `error`: langchain4j/langchain4j#3475; alternation:
/// vllm-project/vllm#6862; one `system` at the front: vllm-project/vllm#41114; ids: nearai/ironclaw#1241.
const VLLM: Family = Family {
    name: "vLLM",
    address: "http://localhost:8000/v1",
    model: "mistralai/Devstral-Small",
    models: r#"{"object":"list","data":[{"id":"mistralai/Devstral-Small","object":"model","created":1780000000,"owned_by":"vllm","root":"mistralai/Devstral-Small","parent":null,"max_model_len":32768,"permission":[]}]}"#,
    whole: r#"{"id":"chatcmpl-d9e0","object":"chat.completion","created":1780000000,"model":"mistralai/Devstral-Small","choices":[{"index":0,"message":MESSAGE,"logprobs":null,"finish_reason":"REASON","stop_reason":null,"token_ids":null}],"service_tier":null,"system_fingerprint":null,"usage":{"prompt_tokens":3,"total_tokens":5,"completion_tokens":2,"prompt_tokens_details":null},"prompt_logprobs":null,"kv_transfer_params":null}"#,
    says: r#"{"role":"assistant","content":"TEXT","refusal":null,"annotations":null,"audio":null,"function_call":null,"tool_calls":[],"reasoning_content":null}"#,
    calls: r#"{"role":"assistant","content":null,"refusal":null,"annotations":null,"audio":null,"function_call":null,"tool_calls":[{"id":"jcyXnDRXd","type":"function","function":{"name":"weather","arguments":"{\"city\": \"Bern\"}"}},{"id":"YQgmMNtZ3","type":"function","function":{"name":"clock","arguments":""}}],"reasoning_content":null}"#,
    piece: r#"{"id":"chatcmpl-d9e0","object":"chat.completion.chunk","created":1780000000,"model":"mistralai/Devstral-Small","choices":[{"index":0,"delta":DELTA,"logprobs":null,"finish_reason":REASON,"token_ids":null}]}"#,
    say_pieces: &[r#"{"role":"assistant","content":""}"#, r#"{"content":"TEXT1"}"#, r#"{"content":"TEXT2"}"#],
    call_pieces: &[
        r#"{"role":"assistant","content":""}"#,
        r#"{"tool_calls":[{"id":"jcyXnDRXd","type":"function","index":0,"function":{"name":"weather"}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\": \""}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"Bern\"}"}}]}"#,
        r#"{"tool_calls":[{"id":"YQgmMNtZ3","type":"function","index":1,"function":{"name":"clock"}}]}"#,
    ],
    last_delta: r#"{"content":""}"#,
    opening: "",
    closing: "data: {\"id\":\"chatcmpl-d9e0\",\"object\":\"chat.completion.chunk\",\"created\":1780000000,\"model\":\"mistralai/Devstral-Small\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"total_tokens\":5,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
    reason_for_calls: "tool_calls",
    demands: &[
        (
            alternates,
            refusal(
                400,
                r#"{"object":"error","message":"After the optional system message, conversation roles must alternate user/assistant/user/assistant/...","type":"BadRequestError","param":null,"code":400}"#,
                TroubleCode::InvalidRequest,
            ),
        ),
        (
            short_ids,
            refusal(
                400,
                r#"{"object":"error","message":"Tool call id was call_0fypS1hVX-of-another-server but must be a-z, A-Z, 0-9, with a length of 9.","type":"BadRequestError","param":null,"code":400}"#,
                TroubleCode::InvalidRequest,
            ),
        ),
        (
            arguments_are_objects,
            refusal(
                400,
                r#"{"object":"error","message":"Expecting value: line 1 column 1 (char 0)","type":"BadRequestError","param":null,"code":400}"#,
                TroubleCode::InvalidRequest,
            ),
        ),
    ],
    vectors: Err(refusal(
        404,
        r#"{"object":"error","message":"The model `vectors` does not exist.","type":"NotFoundError","param":null,"code":404}"#,
        TroubleCode::ModelNotFound,
    )),
    bad: refusal(
        400,
        r#"{"object":"error","message":"\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set","type":"BadRequestError","param":null,"code":400}"#,
        ToolsUnsupported,
    ),
    often: PROXY_429,
    broken: refusal(
        500,
        r#"{"object":"error","message":"EngineCore encountered an issue. See stack trace (above) for the root cause.","type":"InternalServerError","param":null,"code":500}"#,
        Unavailable,
    ),
    thoughts: "`reasoning_content`, `reasoning`, or in the words",
    mind: "one model a server: vectors from another section; `--enable-auto-tool-choice` and `--tool-call-parser`",
};

/// With Gemma's template. Answers and refusals as ggml-org/llama.cpp b11549 gives them: `exceed_context_size_error` is from
/// its pull request 15780.
const LLAMA_CPP: Family = Family {
    name: "llama.cpp",
    address: "http://localhost:8080/v1",
    model: "gemma-3-4b-it.gguf",
    models: r#"{"models":[{"name":"gemma-3-4b-it.gguf","model":"gemma-3-4b-it.gguf","modified_at":"","size":"","type":"model","capabilities":["completion"],"details":{"format":"gguf"}}],"object":"list","data":[{"id":"gemma-3-4b-it.gguf","aliases":["gemma-3-4b-it.gguf"],"tags":[],"object":"model","created":1780000000,"owned_by":"llamacpp","meta":{"n_ctx":2048}}]}"#,
    whole: r#"{"choices":[{"finish_reason":"REASON","index":0,"message":MESSAGE}],"created":1780000000,"model":"gemma-3-4b-it.gguf","system_fingerprint":"b0-unknown","object":"chat.completion","usage":{"completion_tokens":2,"prompt_tokens":3,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":0}},"id":"chatcmpl-AP8nHkvUg3BuZaGfQy4Hzc9Jfp8Xp3ck","timings":{"cache_n":0,"prompt_n":26,"prompt_ms":515.116,"predicted_n":16,"predicted_ms":1182.71}}"#,
    says: r#"{"role":"assistant","content":"TEXT"}"#,
    calls: r#"{"role":"assistant","content":null,"tool_calls":[{"type":"function","function":{"name":"weather","arguments":"{\"city\":\"Bern\"}"},"id":"nHkvUg3BuZaGfQy4Hzc9Jfp8Xp3ckAP8"},{"type":"function","function":{"name":"clock","arguments":"{}"},"id":"U0PGMuucXyH2QUnbAIHBaAZUQe649RM1"}]}"#,
    piece: r#"{"choices":[{"finish_reason":REASON,"index":0,"delta":DELTA}],"created":1780000000,"id":"chatcmpl-vCUBIO75qmHzGCCKgoDVyJQKluW5ZWFE","model":"gemma-3-4b-it.gguf","system_fingerprint":"b0-unknown","object":"chat.completion.chunk"}"#,
    say_pieces: &[
        r#"{"role":"assistant","content":null}"#,
        r#"{"content":"TEXT1"}"#,
        r#"{"content":"TEXT2"}"#,
    ],
    call_pieces: &[
        r#"{"role":"assistant","content":null}"#,
        r#"{"tool_calls":[{"index":0,"id":"nHkvUg3BuZaGfQy4Hzc9Jfp8Xp3ckAP8","type":"function","function":{"name":"weather","arguments":"{"}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"\"city\":\"Bern\"}"}}]}"#,
        r#"{"tool_calls":[{"index":1,"id":"U0PGMuucXyH2QUnbAIHBaAZUQe649RM1","type":"function","function":{"name":"clock","arguments":"{}"}}]}"#,
    ],
    last_delta: "{}",
    opening: "",
    closing: "data: {\"choices\":[],\"created\":1780000000,\"id\":\"chatcmpl-vCUBIO75qmHzGCCKgoDVyJQKluW5ZWFE\",\"model\":\"gemma-3-4b-it.gguf\",\"object\":\"chat.completion.chunk\",\"usage\":{\"completion_tokens\":2,\"prompt_tokens\":3,\"total_tokens\":5},\"timings\":{\"cache_n\":0}}\n\ndata: [DONE]\n\n",
    reason_for_calls: "tool_calls",
    demands: &[(
        alternates,
        refusal(
            500,
            r#"{"error":{"code":500,"message":"Conversation roles must alternate user/assistant/user/assistant/... at row 10, column 25","type":"server_error"}}"#,
            Unavailable,
        ),
    )],
    vectors: Err(refusal(
        501,
        r#"{"error":{"code":501,"message":"This server does not support embeddings. Start it with `--embeddings`","type":"not_supported_error"}}"#,
        TroubleCode::ModelNotFound,
    )),
    bad: refusal(
        400,
        r#"{"error":{"code":400,"message":"request (3024 tokens) exceeds the available context size (2048 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":3024,"n_ctx":2048}}"#,
        ContextTooLong,
    ),
    often: PROXY_429,
    broken: refusal(
        503,
        r#"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#,
        Unavailable,
    ),
    thoughts: "`reasoning_content`, or in the words",
    mind: "one model a server: vectors from another one, with `--embeddings`; `--jinja` for tools",
};

/// Calls at once in a stream, without a number: ollama/ollama#5915; no tools: the server's own words, which every model
/// without them is answered with; a limit of the models that it passes on: continuedev/continue#11444.
const OLLAMA: Family = Family {
    name: "Ollama",
    address: "http://localhost:11434/v1",
    model: "llama3.2",
    models: r#"{"object":"list","data":[{"id":"llama3.2:latest","object":"model","created":1780000000,"owned_by":"library"},{"id":"vectors:latest","object":"model","created":1780000000,"owned_by":"library"}]}"#,
    whole: r#"{"id":"chatcmpl-635","object":"chat.completion","created":1780000000,"model":"llama3.2","system_fingerprint":"fp_ollama","choices":[{"index":0,"message":MESSAGE,"finish_reason":"REASON"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#,
    says: r#"{"role":"assistant","content":"TEXT","reasoning":"Let me see."}"#,
    calls: r#"{"role":"assistant","content":"","tool_calls":[{"id":"call_ejieksiz","index":0,"type":"function","function":{"name":"weather","arguments":"{\"city\":\"Bern\"}"}},{"id":"call_8okm5j2b","index":1,"type":"function","function":{"name":"clock","arguments":"{}"}}]}"#,
    piece: r#"{"id":"chatcmpl-635","object":"chat.completion.chunk","created":1780000000,"model":"llama3.2","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":DELTA,"finish_reason":REASON}]}"#,
    say_pieces: &[
        r#"{"role":"assistant","content":"","reasoning":"Let me see."}"#,
        r#"{"role":"assistant","content":"TEXT1"}"#,
        r#"{"role":"assistant","content":"TEXT2"}"#,
    ],
    call_pieces: &[
        r#"{"role":"assistant","content":"","tool_calls":[{"id":"call_ejieksiz","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Bern\"}"}},{"id":"call_8okm5j2b","type":"function","function":{"name":"clock","arguments":"{}"}}]}"#,
    ],
    last_delta: r#"{"role":"assistant","content":""}"#,
    opening: "",
    closing: "data: {\"id\":\"chatcmpl-635\",\"object\":\"chat.completion.chunk\",\"created\":1780000000,\"model\":\"llama3.2\",\"system_fingerprint\":\"fp_ollama\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\ndata: [DONE]\n\n",
    reason_for_calls: "tool_calls",
    demands: &[(
        arguments_are_objects,
        refusal(
            400,
            r#"{"error":{"message":"invalid tool call arguments","type":"invalid_request_error","param":null,"code":null}}"#,
            TroubleCode::InvalidRequest,
        ),
    )],
    vectors: Ok(None),
    bad: refusal(
        400,
        r#"{"error":{"message":"registry.ollama.ai/library/gemma3:1b does not support tools","type":"invalid_request_error","param":null,"code":null}}"#,
        ToolsUnsupported,
    ),
    often: refusal(
        429,
        r#"{"error":{"message":"you (ada) have reached your session usage limit, upgrade for higher limits: https://ollama.com/upgrade","type":"api_error","param":null,"code":null}}"#,
        RateLimited,
    ),
    broken: refusal(
        500,
        r#"{"error":{"message":"llama runner process has terminated: exit status 2","type":"api_error","param":null,"code":null}}"#,
        Unavailable,
    ),
    thoughts: "`reasoning`, taken back",
    mind: "`OPENAI_EMBEDDING_MODEL` such as `nomic-embed-text`; names with their tag, such as `llama3.2:latest`",
};

/// Refusals: groq/groq-typescript#28; an empty list as content: 0xPlaygrounds/rig#1136; fields that it does not take back:
/// its words name the property.
const GROQ: Family = Family {
    name: "Groq",
    address: "https://api.groq.com/openai/v1",
    model: "openai/gpt-oss-120b",
    models: r#"{"object":"list","data":[{"id":"openai/gpt-oss-120b","object":"model","created":1780000000,"owned_by":"OpenAI","active":true,"context_window":131072,"public_apps":null}]}"#,
    whole: r#"{"id":"chatcmpl-748429af","object":"chat.completion","created":1780000000,"model":"openai/gpt-oss-120b","choices":[{"index":0,"message":MESSAGE,"logprobs":null,"finish_reason":"REASON"}],"usage":{"queue_time":0.01,"prompt_tokens":3,"prompt_time":0.01,"completion_tokens":2,"completion_time":0.1,"total_tokens":5,"total_time":0.2},"usage_breakdown":null,"system_fingerprint":"fp_ef479defa8","x_groq":{"id":"req_01"},"service_tier":"on_demand"}"#,
    says: r#"{"role":"assistant","content":"TEXT","reasoning":"Let me see."}"#,
    calls: r#"{"role":"assistant","content":[],"reasoning":"I need both.","tool_calls":[{"id":"fc_1a2b","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Bern\"}"}},{"id":"fc_3c4d","type":"function","function":{"name":"clock","arguments":"{}"}}]}"#,
    piece: r#"{"id":"chatcmpl-748429af","object":"chat.completion.chunk","created":1780000000,"model":"openai/gpt-oss-120b","system_fingerprint":"fp_ef479defa8","choices":[{"index":0,"delta":DELTA,"logprobs":null,"finish_reason":REASON}],"x_groq":{"id":"req_01"}}"#,
    say_pieces: &[
        r#"{"role":"assistant","content":null}"#,
        r#"{"reasoning":"Let me see."}"#,
        r#"{"content":"TEXT1"}"#,
        r#"{"content":"TEXT2"}"#,
    ],
    call_pieces: &[
        r#"{"role":"assistant","content":null}"#,
        r#"{"tool_calls":[{"id":"fc_1a2b","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Bern\"}"},"index":0}]}"#,
        r#"{"tool_calls":[{"id":"fc_3c4d","type":"function","function":{"name":"clock","arguments":"{}"},"index":1}]}"#,
    ],
    last_delta: "{}",
    opening: "",
    // The usage twice: in the last event, in a field of its own, and behind it.
    closing: "data: {\"id\":\"chatcmpl-748429af\",\"object\":\"chat.completion.chunk\",\"choices\":[],\"x_groq\":{\"id\":\"req_01\",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}}\n\ndata: {\"id\":\"chatcmpl-748429af\",\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\ndata: [DONE]\n\n",
    reason_for_calls: "tool_calls",
    demands: &[(
        no_foreign_thoughts,
        refusal(
            400,
            r#"{"error":{"message":"'messages.1' : for 'role:assistant' the following must be satisfied[('messages.1' : property 'reasoning_details' is unsupported)]","type":"invalid_request_error"}}"#,
            TroubleCode::InvalidRequest,
        ),
    )],
    vectors: Err(refusal(
        404,
        r#"{"error":{"message":"Unknown request URL: POST /openai/v1/embeddings. Please check the URL for typos, or see the docs at https://console.groq.com/docs/","type":"invalid_request_error","code":"unknown_url"}}"#,
        TroubleCode::ModelNotFound,
    )),
    bad: refusal(
        400,
        r#"{"error":{"message":"Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"<function=weather{\"city\": \"Bern\"}</function>"}}"#,
        ToolUseFailed,
    ),
    often: Refusal {
        status: 429,
        headers: &["content-type: application/json", "retry-after: 5"],
        body: r#"{"error":{"message":"Rate limit reached for model `openai/gpt-oss-120b` in organization `org_01` service tier `on_demand` on tokens per minute (TPM): Limit 8000, Used 7034, Requested 1443. Please try again in 4.77s.","type":"tokens","code":"rate_limit_exceeded"}}"#,
        code: RateLimited,
    },
    broken: refusal(
        503,
        r#"{"error":{"message":"Service Unavailable","type":"internal_server_error"}}"#,
        Unavailable,
    ),
    thoughts: "`reasoning`, taken back",
    mind: "vectors from another section; a request beyond a minute's tokens counts as too long, not as rate-limited",
};

/// Empty choices first: AbanteAI/archive-old-cli-mentat#429; a choice without a delta: microsoft/autogen#6465; deployments
/// that the list lacks: obot-platform/obot#5419; a deployment that is not there: chatboxai/chatbox#646.
const AZURE: Family = Family {
    name: "Azure OpenAI",
    address: "https://RESOURCE.openai.azure.com/openai/v1",
    model: "my-deployment",
    models: r#"{"data":[{"status":"succeeded","capabilities":{"fine_tune":false,"inference":true,"completion":false,"chat_completion":true,"embeddings":false},"lifecycle_status":"generally-available","id":"gpt-5.1-2025-11-13","object":"model","created_at":1780000000}],"object":"list"}"#,
    whole: r#"{"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"finish_reason":"REASON","index":0,"logprobs":null,"message":MESSAGE}],"created":1780000000,"id":"chatcmpl-8PNZz2f8d","model":"gpt-5.1-2025-11-13","object":"chat.completion","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}],"system_fingerprint":null,"usage":{"completion_tokens":2,"completion_tokens_details":{"reasoning_tokens":0},"prompt_tokens":3,"prompt_tokens_details":{"cached_tokens":0},"total_tokens":5}}"#,
    says: r#"{"annotations":[],"content":"TEXT","refusal":null,"role":"assistant"}"#,
    calls: r#"{"annotations":[],"content":null,"refusal":null,"role":"assistant","tool_calls":[{"function":{"arguments":"{\"city\":\"Bern\"}","name":"weather"},"id":"call_FeMKDLtnVpKJ4Z2SWnn9Tk3I","type":"function"},{"function":{"arguments":"{}","name":"clock"},"id":"call_cD8Zk1kEcQzM2SEjQ8iCzkzl","type":"function"}]}"#,
    piece: r#"{"choices":[{"content_filter_results":{},"delta":DELTA,"finish_reason":REASON,"index":0,"logprobs":null}],"created":1780000000,"id":"chatcmpl-8PNZz2f8d","model":"gpt-5.1-2025-11-13","obfuscation":"x","object":"chat.completion.chunk","system_fingerprint":null,"usage":null}"#,
    say_pieces: &[
        r#"{"content":"","refusal":null,"role":"assistant"}"#,
        r#"{"content":"TEXT1"}"#,
        r#"{"content":"TEXT2"}"#,
    ],
    call_pieces: &[
        r#"{"content":null,"role":"assistant","tool_calls":[{"function":{"arguments":"","name":"weather"},"id":"call_FeMKDLtnVpKJ4Z2SWnn9Tk3I","index":0,"type":"function"}]}"#,
        r#"{"tool_calls":[{"function":{"arguments":"{\"city\":\"Bern\"}"},"index":0}]}"#,
        r#"{"tool_calls":[{"function":{"arguments":"","name":"clock"},"id":"call_cD8Zk1kEcQzM2SEjQ8iCzkzl","index":1,"type":"function"}]}"#,
        r#"{"tool_calls":[{"function":{"arguments":"{}"},"index":1}]}"#,
    ],
    last_delta: "{}",
    opening: "data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\",\"prompt_filter_results\":[{\"prompt_index\":0,\"content_filter_results\":{\"hate\":{\"filtered\":false,\"severity\":\"safe\"}}}]}\n\n",
    closing: "data: {\"id\":\"\",\"object\":\"\",\"created\":0,\"model\":\"\",\"choices\":[{\"index\":0,\"finish_reason\":null,\"content_filter_results\":{},\"content_filter_offsets\":{\"check_offset\":44,\"start_offset\":44,\"end_offset\":198}}],\"usage\":null}\n\ndata: {\"choices\":[],\"created\":1780000000,\"id\":\"chatcmpl-8PNZz2f8d\",\"model\":\"gpt-5.1-2025-11-13\",\"object\":\"chat.completion.chunk\",\"usage\":{\"completion_tokens\":2,\"prompt_tokens\":3,\"total_tokens\":5}}\n\ndata: [DONE]\n\n",
    reason_for_calls: "tool_calls",
    demands: &[(
        no_limit_by_its_old_name,
        refusal(
            400,
            r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#,
            TroubleCode::InvalidRequest,
        ),
    )],
    vectors: Ok(None),
    bad: refusal(
        400,
        r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"jailbreak":{"filtered":true,"detected":true}}}}}"#,
        ContentFilter,
    ),
    often: Refusal {
        status: 429,
        headers: &["content-type: application/json", "retry-after: 24"],
        body: r#"{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 24 seconds."}}"#,
        code: RateLimited,
    },
    broken: refusal(
        500,
        r#"{"statusCode":500,"message":"Internal server error","activityId":"6d1c"}"#,
        Unavailable,
    ),
    thoughts: "none are shown",
    mind: "`OPENAI_MODEL` and `OPENAI_EMBEDDING_MODEL` are names of deployments",
};

/// Comments in a stream: openai/openai-go#227; `reasoning_details`: RooCodeInc/Roo-Code#9389; the provider's words behind its
/// own: charmbracelet/crush#279; a request that is too long: Aider-AI/aider#3721.
const OPENROUTER: Family = Family {
    name: "OpenRouter",
    address: "https://openrouter.ai/api/v1",
    model: "z-ai/glm-4.5-air:free",
    models: r#"{"data":[{"id":"z-ai/glm-4.5-air","canonical_slug":"z-ai/glm-4.5-air","name":"GLM 4.5 Air","created":1780000000,"context_length":131072,"supported_parameters":["tools"]},{"id":"vectors","name":"Vectors"}]}"#,
    whole: r#"{"id":"gen-1739458867","provider":"Z.AI","model":"z-ai/glm-4.5-air:free","object":"chat.completion","created":1780000000,"choices":[{"logprobs":null,"finish_reason":"REASON","native_finish_reason":"REASON","index":0,"message":MESSAGE}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"cost":0,"is_byok":false}}"#,
    says: r#"{"role":"assistant","content":"TEXT","refusal":null,"reasoning":"Hm.","reasoning_details":[{"type":"reasoning.text","text":"Hm.","signature":"c2ln","format":"anthropic-claude-v1","index":0}]}"#,
    calls: r#"{"role":"assistant","content":"","refusal":null,"reasoning":"Hm.","tool_calls":[{"type":"function","index":0,"id":"call_a1b2","function":{"name":"weather","arguments":"{\"city\":\"Bern\"}"}},{"type":"function","index":1,"id":"call_c3d4","function":{"name":"clock","arguments":""}}],"reasoning_details":[{"type":"reasoning.text","text":"Hm.","signature":"c2ln","format":"anthropic-claude-v1","index":0}]}"#,
    piece: r#"{"id":"gen-1739458867","provider":"Z.AI","model":"z-ai/glm-4.5-air:free","object":"chat.completion.chunk","created":1780000000,"choices":[{"index":0,"delta":DELTA,"finish_reason":REASON,"native_finish_reason":REASON,"logprobs":null}]}"#,
    say_pieces: &[
        r#"{"role":"assistant","content":"","reasoning":"H","reasoning_details":[{"type":"reasoning.text","text":"H","format":"anthropic-claude-v1","index":0}]}"#,
        r#"{"role":"assistant","content":"","reasoning":"m.","reasoning_details":[{"type":"reasoning.text","text":"m.","format":"anthropic-claude-v1","index":0}]}"#,
        r#"{"role":"assistant","content":"TEXT1"}"#,
        r#"{"role":"assistant","content":"TEXT2"}"#,
    ],
    call_pieces: &[
        r#"{"role":"assistant","content":"","reasoning":"Hm.","reasoning_details":[{"type":"reasoning.text","text":"Hm.","format":"anthropic-claude-v1","index":0}]}"#,
        r#"{"role":"assistant","content":"","reasoning_details":[{"type":"reasoning.text","signature":"c2ln","format":"anthropic-claude-v1","index":0}]}"#,
        r#"{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_a1b2","type":"function","function":{"name":"weather","arguments":""}}]}"#,
        r#"{"role":"assistant","content":null,"tool_calls":[{"index":0,"type":"function","function":{"arguments":"{\"city\":\"Bern\"}"}}]}"#,
        r#"{"role":"assistant","content":null,"tool_calls":[{"index":1,"id":"call_c3d4","type":"function","function":{"name":"clock","arguments":""}}]}"#,
    ],
    last_delta: r#"{"role":"assistant","content":""}"#,
    opening: ": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n",
    closing: "data: {\"id\":\"gen-1739458867\",\"provider\":\"Z.AI\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5,\"cost\":0}}\n\ndata: [DONE]\n\n",
    reason_for_calls: "tool_calls",
    demands: &[
        (
            details_are_whole,
            refusal(
                400,
                r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"messages.1.content.0: Invalid `signature` in `thinking` block\"}}","provider_name":"Anthropic"}},"user_id":"user_1"}"#,
                TroubleCode::InvalidRequest,
            ),
        ),
        (
            alternates,
            refusal(
                400,
                r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"object\":\"error\",\"message\":\"Unexpected role 'tool' after role 'user'\",\"type\":\"invalid_request_message_order\",\"param\":null,\"code\":\"3230\"}","provider_name":"Mistral"}}}"#,
                TroubleCode::InvalidRequest,
            ),
        ),
    ],
    vectors: Ok(None),
    bad: refusal(
        400,
        r#"{"error":{"message":"This endpoint's maximum context length is 131072 tokens. However, you requested about 141607 tokens (10535 of text input, 131072 in the output). Please reduce the length of either one, or use the \"middle-out\" transform to compress your prompt automatically.","code":400,"metadata":{"provider_name":"Chutes"}}}"#,
        ContextTooLong,
    ),
    often: refusal(
        429,
        r#"{"error":{"message":"Rate limit exceeded: free-models-per-min. ","code":429,"metadata":{"headers":{"X-RateLimit-Limit":"20","X-RateLimit-Remaining":"0"},"provider_name":null}},"user_id":"user_1"}"#,
        RateLimited,
    ),
    broken: refusal(
        502,
        r#"{"error":{"message":"Provider returned error","code":502,"metadata":{"raw":"upstream connect error","provider_name":"Z.AI"}}}"#,
        Unavailable,
    ),
    thoughts: "`reasoning_details`, taken back",
    mind: "names as it lists them, with or without a suffix such as `:free`",
};

/// Refusals by another status than the story's: of a gateway without a model that calls tools (pydantic/pydantic-ai#2896),
/// and of a server whose queue is full.
pub static OTHERS: [(&str, Refusal); 2] = [
    (
        OPENROUTER.name,
        refusal(
            404,
            r#"{"error":{"message":"No endpoints found that support tool use. To learn more about provider routing, visit: https://openrouter.ai/docs/provider-routing","code":404}}"#,
            ToolsUnsupported,
        ),
    ),
    (
        OLLAMA.name,
        refusal(
            503,
            r#"{"error":{"message":"server busy, please try again.  maximum pending requests exceeded","type":"api_error","param":null,"code":null}}"#,
            Unavailable,
        ),
    ),
];

/// Groq takes back its own `reasoning`, and the thoughts of no other server.
fn no_foreign_thoughts(asked: &Value) -> bool {
    messages(asked, "assistant").all(|message| {
        ["reasoning_details", "reasoning_content"].iter().all(|field| message.get(*field).is_none())
    })
}

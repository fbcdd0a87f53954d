//! The list of models, one chat with one tool, and one vector -> a check each. It costs what a hundred words cost.

use plugin_api::{
    error::Failure,
    jiff::Zoned,
    requests::{
        doctor::{Check, Examination},
        openai::{Chat, Embed, Message, ToolDefinition, TroubleCode},
    },
};

use crate::{
    models::{self, Ending},
    service::Service,
    trouble::Trouble,
};

/// A model that ends within so many days should be replaced now.
const SOON: i32 = 90;

/// Looks at key, models, a chat with a tool, and vectors.
pub async fn examine(service: &Service) -> Examination {
    let server = service.config().server();
    let checks = match service.client().models().await {
        Ok(list) => {
            let names = models::names(&list).unwrap_or_default();
            let key = Check::ok("key", format!("`{server}` knows the key"));
            // A chat that succeeds proves a model that the list lacks.
            let chat = chat(service).await;
            let mut checks = vec![key, model(service, &names).await];
            checks.extend(models::endings(&list, service.config()).iter().map(ending));
            checks.extend([chat, vector(service).await]);
            checks
        }
        // Not every server has a list, or shows it to every key.
        Err(trouble) if trouble.says_missing() => {
            let why = format!("`{server}` shows no list of models");
            vec![Check::skipped("model", why), chat(service).await, vector(service).await]
        }
        Err(trouble) => vec![no_list(trouble)],
    };
    Examination { checks, clock: service.client().clock() }
}

fn no_list(trouble: Trouble) -> Check {
    let is_about_key = is_about_account(trouble.code);
    let check = Check::of("key", Err(Failure::from(trouble)));
    if is_about_key { check.fix(CONSOLE) } else { check }
}

async fn model(service: &Service, names: &[&str]) -> Check {
    const NAME: &str = "model";
    let (server, model) = (service.config().server(), &service.config().model);
    match service.lacks_chat_model(names).await {
        Ok(false) => Check::ok(NAME, format!("`{server}` has `{}`", model.name)),
        Ok(true) => {
            let seen = format!("`{server}` has no model `{}`, or this key may not use it", model.name);
            Check::failed(NAME, seen)
                .fix("set `OPENAI_MODEL` to a model that it has, or permit it to the project of the key")
        }
        Err(trouble) => Check::of(NAME, Err(Failure::from(trouble))),
    }
}

/// A model that is about to be shut down fails while there is time to choose another one.
fn ending(ending: &Ending) -> Check {
    const NAME: &str = "shutdown_date";
    let left = ending.days_left(Zoned::now().date());
    match left {
        ..=SOON => Check::failed(NAME, ending.message())
            .fix(format!("set `{}` to a model without such a date", ending.variable)),
        _ => Check::ok(NAME, ending.message()),
    }
}

/// Whether the model calls a tool: everything that the assistant does depends on it.
async fn chat(service: &Service) -> Check {
    const NAME: &str = "chat";
    let tool = ToolDefinition {
        name: "doctor-look".to_owned(),
        description: Some("Looks at the patient".to_owned()),
        ..ToolDefinition::default()
    };
    let question = "Call the tool `doctor-look` now. It needs no arguments.";
    let request = Chat::new([Message::user(question)]).tools([tool]);
    match service.try_chat(&request).await {
        Ok(answer) if !answer.tool_calls.is_empty() => {
            Check::ok(NAME, format!("`{}` calls a tool", answer.model))
        }
        Ok(answer) => {
            Check::ok(NAME, format!("`{}` answers, and called no tool when asked to", answer.model))
        }
        Err(Trouble { code, message, words, .. }) => {
            let said = words.map(|words| format!("; it says: {words}")).unwrap_or_default();
            let check = Check::failed(NAME, message + &said);
            match code {
                TroubleCode::ModelNotFound => {
                    check.fix("set `OPENAI_MODEL` to a model of chats that the server has")
                }
                code if is_about_account(code) => check.fix(CONSOLE),
                _ => check,
            }
        }
    }
}

/// Whether what `memory_service` lives on is answered.
async fn vector(service: &Service) -> Check {
    const NAME: &str = "embeddings";
    match service.try_embed(&Embed::new(["doctor"])).await {
        Ok(embeddings) => {
            let seen = format!("a vector of {} numbers by `{}`", embeddings.dimensions, embeddings.model);
            Check::ok(NAME, seen)
        }
        Err(Trouble { code, message, .. }) => {
            let check = Check::failed(NAME, message);
            match code {
                TroubleCode::ModelNotFound | TroubleCode::InvalidRequest => {
                    check.fix("set `OPENAI_EMBEDDING_MODEL` to a model of embeddings that the server has")
                }
                code if is_about_account(code) => check.fix(CONSOLE),
                _ => check,
            }
        }
    }
}

/// Where keys and budgets are kept.
const CONSOLE: &str = "see the key and its project at the vendor (OpenAI: platform.openai.com, Settings > API keys and \
                       Billing), and set `OPENAI_API_KEY`";

fn is_about_account(code: TroubleCode) -> bool {
    matches!(
        code,
        TroubleCode::AuthInvalid | TroubleCode::Forbidden | TroubleCode::Account | TroubleCode::Quota
    )
}

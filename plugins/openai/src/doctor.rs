//! The list of models and one vector -> a check each. It costs what one word of embedding costs.

use plugin_api::{
    error::Failure,
    requests::{
        doctor::{Check, Examination},
        openai::{Embed, OpenAiTrouble, TroubleCode},
    },
};

use crate::{models, service::Service, trouble::Trouble};

/// Looks at key, models and vectors.
pub async fn examine(service: &Service) -> Examination {
    let server = service.config().server();
    let checks = match service.client().models().await {
        Ok(list) => {
            let names = models::names(&list).unwrap_or_default();
            let key = Check::ok("key", format!("`{server}` knows the key"));
            vec![key, model(service, &names).await, vector(service).await]
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
    match service.lacks(names, model).await {
        Ok(false) => Check::ok(NAME, format!("`{server}` has `{}`", model.name)),
        Ok(true) => {
            let seen = format!("`{server}` has no model `{}`, or this key may not use it", model.name);
            Check::failed(NAME, seen)
                .fix("set `OPENAI_MODEL` to a model that it has, or permit it to the project of the key")
        }
        Err(trouble) => Check::of(NAME, Err(Failure::from(trouble))),
    }
}

/// Whether what `memory_service` lives on is answered.
async fn vector(service: &Service) -> Check {
    const NAME: &str = "embeddings";
    match service.embed(&Embed::new(["doctor"])).await {
        Ok(embeddings) => {
            let seen = format!("a vector of {} numbers by `{}`", embeddings.dimensions, embeddings.model);
            Check::ok(NAME, seen)
        }
        Err(error) => {
            let code = OpenAiTrouble::of(&error).map(|trouble| trouble.code);
            let check = Check::failed(NAME, error.message);
            match code {
                Some(TroubleCode::ModelNotFound | TroubleCode::InvalidRequest) => {
                    check.fix("set `OPENAI_EMBEDDING_MODEL` to a model of embeddings that the server has")
                }
                Some(code) if is_about_account(code) => check.fix(CONSOLE),
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

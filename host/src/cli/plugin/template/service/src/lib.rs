//! Greets people. In the order in which a greeting comes about:
//! - `settings`: what the operator gives.
//! - this file: what the plugin is and offers, and the code behind it.

mod settings;
#[cfg(test)]
mod tests;

use plugin_api::prelude::*;

use crate::settings::Settings;

const PAGE: &str = "/sample_plugin/{name}";

struct Greeter {
    settings: Settings,
}

/// Whom to greet.
#[plugin_api::message]
struct Greet {
    /// The person's name.
    name: String,
}

/// A greeting.
#[plugin_api::message]
struct Greeting {
    /// The whole sentence.
    text: String,
}

impl Plugin for Greeter {
    type Settings = Settings;

    fn manifest() -> ManifestBuilder<Self> {
        Manifest::service("sample_plugin")
            .about("Greets people")
            .operation(
                Operation::new("greet", Self::greet)
                    .about("Greets one person by name, in one sentence.")
                    .tool()
                    .idempotent(),
            )
            .operation(Operation::new("page", Self::page).about("The greeting as a page"))
            .route(Route::get(PAGE, "page"))
    }

    fn create(settings: Settings, _context: Context) -> Result<Self, Failure> {
        settings.check()?;
        Ok(Self { settings })
    }
}

impl Greeter {
    async fn greet(self: Arc<Self>, request: Greet, _call: Call) -> Result<Greeting, OperationError> {
        self.greeting(&request.name)
    }

    async fn page(
        self: Arc<Self>,
        request: HttpRequest,
        _call: Call,
    ) -> Result<HttpResponse, OperationError> {
        let name = request.param("name").unwrap_or_default();
        Ok(HttpResponse::text(self.greeting(name)?.text))
    }

    fn greeting(&self, name: &str) -> Result<Greeting, OperationError> {
        if name.trim().is_empty() {
            return Err(OperationError::invalid("`name` is blank: say whom to greet"));
        }
        Ok(Greeting { text: format!("{}, {name}!", self.settings.greeting) })
    }
}

plugin_api::export_plugin!(Greeter);

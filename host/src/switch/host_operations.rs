//! The operations of `host` itself: what plugins, the command line and HTTP ask of the host, all by the same way as
//! they ask of a plugin, so that the boundary does not grow when the host learns something.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{FutureExt, future::BoxFuture};
use plugin_api::{
    error::OperationError,
    manifest::{OperationManifest, OperationMode},
    protocol::{CallHeader, HOST},
};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Caller, did_you_mean};

/// A call of a host's operation.
pub struct Request<T> {
    /// Who calls.
    pub caller: Caller,
    /// What travels with the call.
    pub header: CallHeader,
    /// What is asked.
    pub body: T,
}

type Handler = Box<
    dyn Fn(Caller, CallHeader, Vec<u8>) -> BoxFuture<'static, Result<Vec<u8>, OperationError>> + Send + Sync,
>;

/// The table of the host's operations.
#[derive(Default)]
pub struct HostOperations {
    handlers: BTreeMap<&'static str, Handler>,
    manifests: Vec<OperationManifest>,
}

/// What a plugin, or the host, can be asked to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Offer {
    /// The instance, or `host`.
    pub plugin: String,
    /// One sentence for people.
    pub about: String,
    /// Each with the schemas of request and response.
    #[schemars(with = "Vec<Value>")]
    pub operations: Vec<OperationManifest>,
}

impl HostOperations {
    /// With an operation of this name.
    pub fn with<T, R, F, Fut>(mut self, name: &'static str, function: F) -> Self
    where
        T: DeserializeOwned + JsonSchema + Send + 'static,
        R: Serialize + JsonSchema,
        F: Fn(Request<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, OperationError>> + Send + 'static,
    {
        let function = Arc::new(function);
        let handler: Handler = Box::new(move |caller, header, payload| {
            let function = function.clone();
            async move {
                let payload = if payload.is_empty() { b"{}" } else { payload.as_slice() };
                let body = serde_json::from_slice(payload)
                    .map_err(|error| OperationError::invalid(format!("the request does not fit: {error}")))?;
                let response = function(Request { caller, header, body }).await?;
                serde_json::to_vec(&response).map_err(|error| OperationError::internal(error.to_string()))
            }
            .boxed()
        });
        self.handlers.insert(name, handler);
        let (request, response) = (schema::<T>(), schema::<R>());
        self.manifests.push(OperationManifest::new(name, OperationMode::Call, request, response));
        self
    }

    /// What the operation given last does. Only what is described is offered to operators; what is not is for plugins.
    pub fn about(mut self, about: &str) -> Self {
        if let Some(last) = self.manifests.last_mut() {
            last.about = about.to_owned();
        }
        self
    }

    /// What operators may ask of the host.
    pub(super) fn offer(&self) -> Offer {
        let operations =
            self.manifests.iter().filter(|operation| !operation.about.is_empty()).cloned().collect();
        Offer { plugin: HOST.to_owned(), about: "The host itself.".to_owned(), operations }
    }

    pub(super) async fn call(
        &self,
        caller: Caller,
        header: CallHeader,
        payload: Vec<u8>,
    ) -> Result<Vec<u8>, OperationError> {
        match self.handlers.get(header.operation.as_str()) {
            Some(handler) => handler(caller, header, payload).await,
            None => {
                let hint = did_you_mean(&header.operation, self.handlers.keys().copied());
                Err(OperationError::not_found(format!(
                    "`{HOST}` has no operation `{}`{hint}",
                    header.operation
                )))
            }
        }
    }
}

fn schema<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value()
}

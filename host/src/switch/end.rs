//! The switch as one instance sees it: every call carries the instance's own name, whatever the instance says.

use std::sync::Arc;

use futures_util::{FutureExt, future::BoxFuture};
use plugin_api::{
    error::OperationError,
    pipe::PipeEnd,
    protocol::{CallHeader, LogRecord},
};

use crate::{loader::PluginHost, tasks};

use super::{Caller, Switch};

/// Where the log records of plugins go, with the instance's name.
pub type LogSink = Arc<dyn Fn(&str, LogRecord) + Send + Sync>;

struct End {
    name: Arc<str>,
    switch: Switch,
}

impl Switch {
    /// What an instance of this name is given to ask the host by.
    pub fn end(&self, name: &str) -> Arc<dyn PluginHost> {
        Arc::new(End { name: name.into(), switch: self.clone() })
    }

    /// A panic of the host is told, and for the caller an error like others.
    async fn watched<T>(
        self,
        caller: Arc<str>,
        work: impl Future<Output = Result<T, OperationError>>,
    ) -> Result<T, OperationError> {
        let outcome = tasks::watched(&self.inner.board, "call", Some(&caller), work).await;
        outcome.unwrap_or_else(|_| {
            Err(OperationError::internal("the host itself panicked while it served the call"))
        })
    }
}

impl PluginHost for End {
    fn call(
        &self,
        header: CallHeader,
        payload: Vec<u8>,
    ) -> BoxFuture<'static, Result<Vec<u8>, OperationError>> {
        let caller = Caller::Plugin(self.name.clone());
        let switch = self.switch.clone();
        switch
            .clone()
            .watched(self.name.clone(), async move { switch.call(&caller, header, payload).await })
            .boxed()
    }

    fn open(
        &self,
        header: CallHeader,
        payload: Vec<u8>,
    ) -> BoxFuture<'static, Result<PipeEnd, OperationError>> {
        let caller = Caller::Plugin(self.name.clone());
        let switch = self.switch.clone();
        switch
            .clone()
            .watched(self.name.clone(), async move { switch.open(&caller, header, payload).await })
            .boxed()
    }

    fn log(&self, record: LogRecord) {
        (self.switch.inner.log)(&self.name, record);
    }
}

//! The switch as one instance sees it: every call carries the instance's own name, whatever the instance says.

use std::sync::Arc;

use futures_util::{FutureExt, future::BoxFuture};
use plugin_api::{
    error::OperationError,
    pipe::PipeEnd,
    protocol::{CallHeader, LogRecord},
};

use crate::loader::PluginHost;

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
}

impl PluginHost for End {
    fn call(
        &self,
        header: CallHeader,
        payload: Vec<u8>,
    ) -> BoxFuture<'static, Result<Vec<u8>, OperationError>> {
        let caller = Caller::Plugin(self.name.clone());
        let switch = self.switch.clone();
        async move { switch.call(&caller, header, payload).await }.boxed()
    }

    fn open(
        &self,
        header: CallHeader,
        payload: Vec<u8>,
    ) -> BoxFuture<'static, Result<PipeEnd, OperationError>> {
        let caller = Caller::Plugin(self.name.clone());
        let switch = self.switch.clone();
        async move { switch.open(&caller, header, payload).await }.boxed()
    }

    fn log(&self, record: LogRecord) {
        (self.switch.inner.log)(&self.name, record);
    }
}

//! The operator's token that is in force, which a reload replaces, and the one that the next reload would bring.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use futures_util::future::BoxFuture;

use super::Lock;
use crate::config::Token;

/// Reads the token that the configuration names now.
type NextToken = Box<dyn Fn() -> BoxFuture<'static, Option<Token>> + Send + Sync>;

/// What operators prove themselves by. Cheap to clone.
#[derive(Clone, Default)]
pub struct Operators {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    lock: ArcSwapOption<Lock>,
    next: OnceLock<NextToken>,
}

impl Operators {
    /// From now on this token is the only one. Sessions that began with another one have ended.
    pub fn replace_token(&self, token: Option<Token>) {
        let current = self.lock().map(|lock| lock.token.clone());
        if current != token {
            self.inner.lock.store(token.map(Lock::new).map(Arc::new));
        }
    }

    /// How the token is read that a reload would bring into force; said once.
    pub fn read_next_by(&self, read: impl Fn() -> BoxFuture<'static, Option<Token>> + Send + Sync + 'static) {
        // A host has one configuration, and says so once.
        let _ = self.inner.next.set(Box::new(read));
    }

    pub(super) async fn next_token(&self) -> Option<Token> {
        let read = self.inner.next.get()?;
        read().await
    }

    pub(super) fn lock(&self) -> Option<Arc<Lock>> {
        self.inner.lock.load_full()
    }
}

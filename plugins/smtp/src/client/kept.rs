//! The refresh token that replaced the one of the settings <-> a file of `data_dir`, sealed by the host's secret key.
//! Microsoft replaces it with each use and honours the first one for 90 days, so that a restart must not go back to that.

use std::{fs, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plugin_api::{files, prelude::*, tracing};
use ring::digest::{SHA256, digest};

/// Where it is kept.
pub struct Kept {
    context: Context,
    path: PathBuf,
    /// Tells the token of the settings from another one: what followed that one is of no use.
    given: String,
}

impl Kept {
    pub fn new(context: &Context, given: &Secret) -> Self {
        let path = context.data_dir().join(format!("{}.refresh-token", context.instance()));
        let given = STANDARD.encode(digest(&SHA256, given.expose().as_bytes()));
        Self { context: context.clone(), path, given }
    }

    /// The token that replaced that of the settings; `None` if none did, or if it cannot be read.
    pub async fn read(&self) -> Option<Secret> {
        let sealed = files::read_text(&self.path).ok()?;
        match self.context.host().open(&sealed).await {
            Ok(text) => {
                let refresh = text.strip_prefix(&self.given)?.strip_prefix(' ')?;
                Some(Secret::new(refresh.to_owned()))
            }
            Err(error) => {
                tracing::warn!(%error, "the refresh token that was kept cannot be read: that of the settings is used");
                None
            }
        }
    }

    /// Keeps it. A failure is for the log alone: the token holds as long as this process runs.
    pub async fn write(&self, refresh: &Secret) {
        if let Err(error) = self.try_write(refresh).await {
            tracing::warn!(%error, "the new refresh token is not kept: after a restart that of the settings is used");
        }
    }

    async fn try_write(&self, refresh: &Secret) -> Result<(), OperationError> {
        let text = format!("{} {}", self.given, refresh.expose());
        let sealed = self.context.host().seal(&text).await?.sealed;
        let new = self.path.with_extension("new");
        fs::write(&new, sealed).and_then(|()| fs::rename(&new, &self.path)).map_err(|error| {
            OperationError::unavailable(format!(
                "`{}` cannot be written: {}",
                self.path.display(),
                error.kind()
            ))
        })
    }
}

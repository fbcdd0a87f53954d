//! TLS without OpenSSL. Each library has its own copy of rustls, whose provider must be installed there.

use std::sync::Once;

/// Makes ring the provider of this library's rustls. Call it in `create`, before a client is built; more than once
/// does no harm.
pub fn install_provider() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // An error says that this library has one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

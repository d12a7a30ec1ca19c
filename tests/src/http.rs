//! The harness's own HTTP client.

use std::sync::Once;
use std::time::Duration;

/// A client that follows no redirect and needs no certificate of the machine.
///
/// # Panics
/// When it cannot be built.
pub fn http_client() -> reqwest::Client {
    install_crypto();
    reqwest::Client::builder()
        .tls_certs_only([])
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .no_proxy()
        .build()
        .expect("an HTTP client")
}

/// Makes ring the crypto of this process, once.
pub(crate) fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

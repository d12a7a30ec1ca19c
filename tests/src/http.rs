//! The HTTP client of the harness.

use std::sync::Once;
use std::time::Duration;

/// Returns a client that follows no redirects and reads no certificates of the machine.
///
/// # Panics
/// If the client cannot be built.
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

/// Makes ring the crypto provider of this process, once.
pub(crate) fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

//! Vault over HTTP: one connection pool a target, and the requests that Coffer makes.

mod address;
mod answer;
mod failure;
mod http;
mod rate;
mod requests;
mod target;
mod tls;

pub use address::{Address, BadAddress};
pub(crate) use answer::{Answer, Envelope, Grant, Login};
pub(crate) use failure::Failure;
#[cfg(test)]
pub(crate) use http::Share;
pub(crate) use requests::Vault;
pub use target::Target;
pub(crate) use target::{TargetHandle, Targets};
pub use tls::{Authorities, ClientCertificate, Tls, TlsFile};

/// Whether a text can be an HTTP header's value: a newline in one would be a way to add headers.
pub(crate) fn header_text(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| (0x20..0x7f).contains(&b))
}

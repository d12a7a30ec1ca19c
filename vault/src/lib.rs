//! HashiCorp Vault and OpenBao over HTTP: connections, requests, answers, failures.
//!
//! A [`Target`] is a server and the TLS settings for connections to the server. [`Targets`] has a
//! connection pool and limits for each target. A [`VaultNamespace`] is a target and one of its
//! namespaces. With a deadline, a [`VaultNamespace`] becomes a [`Vault`], which sends a [`Request`]
//! and returns an [`Answer`] or a [`Failure`].
//!
//! This crate knows nothing of Kubernetes, of SecretProviderClasses, or of the lease manager. A
//! binary installs rustls's crypto provider before it uses this crate.

mod address;
mod answer;
mod arriving;
mod client;
mod error;
mod exchange;
mod failure;
#[cfg(fuzzing)]
pub mod fuzzing;
mod health;
mod heavy_turn;
pub mod json;
mod limits;
mod operator;
mod others_thread;
mod rate;
mod refusal;
mod repeat;
mod request;
mod resolver;
mod secret;
mod settings;
mod target;
mod tls;
mod tls_directory;
mod tls_file;
mod tls_overlay;
mod tls_stamp;

pub use address::{Address, BadAddress};
pub use answer::{Answer, CertificateGrant, Envelope, Grant, LeaseGrant, Login};
pub use client::{RequestKind, RequestObserver, Vault, VaultNamespace};
pub use coffer_connect::{
    BadProxy, BundleProblem, CertificateCause, ConnectFailure, Printable, PrintableWriter, ProxyRules,
    TlsFailure, is_unprintable,
};
pub use error::{TargetError, root_cause};
pub use exchange::MAX_BODY;
pub use failure::{Failure, FailureKind, LostAnswer, Refusal};
pub use health::{AuthMethodPresence, ServerHealth};
pub use heavy_turn::{HeavyTurn, HeavyTurns};
pub use limits::Limits;
pub use operator::{OperatorServers, TrustedAddresses};
pub use request::{BadPath, Method, Request, RequestId, check_segments};
pub use secret::Secret;
pub use settings::{ConnectionSettings, RateLimit};
pub use target::{Target, TargetHandle, Targets};
pub use tls::{Authorities, ClientCertificate, Tls};
pub use tls_file::{FileProblem, TlsFile, TlsFileError};
pub use tls_overlay::{ClientCertificateError, TlsOverlay};

/// Returns whether a text can be the value of an HTTP header: not empty, and printable ASCII only.
///
/// A line break in a value could add headers to a request.
#[must_use]
pub fn is_header_text(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| (0x20..0x7f).contains(&b))
}

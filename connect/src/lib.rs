//! HTTP over real networks: lookup, proxies, TLS, and a pool that leaves dead connections.
//!
//! A [`Connector`] makes one connection: it looks up the host ([`Resolve`]), dials ([`Dialer`]),
//! goes through a proxy if there is one for the host ([`ProxyRules`]), and does the TLS handshake
//! ([`TlsSettings`]). Its failure is a [`ConnectFailure`]. An [`HttpClient`] sends requests over
//! connections of one connector and keeps them; its failure is an [`HttpFailure`], which tells what
//! may be sent again.
//!
//! This crate knows nothing of Vault and of Kubernetes. A binary installs rustls's crypto provider
//! before it uses this crate.

mod connect_failure;
mod connection_use;
mod connector;
mod dial;
#[cfg(fuzzing)]
pub mod fuzzing;
mod http_client;
mod http_failure;
mod link;
mod lookup;
mod printable;
mod proxy;
mod tls;
mod tls_end;

pub use connect_failure::{ConnectFailure, ConnectStep, LookupFailure, TcpFailure};
pub use connector::{Connector, TlsSettings};
pub use dial::{ByteStream, Dialer};
pub use http_client::{HttpClient, HttpClientSettings, Patience, Sent};
pub use http_failure::{BreakCause, HttpFailure};
pub use link::Link;
pub use lookup::{Resolve, Resolving, SystemResolver};
pub use printable::{Printable, PrintableWriter, is_unprintable};
pub use proxy::{
    BadProxy, ProxyCause, ProxyFailure, ProxyRules, ProxyScheme, ProxyServer, SocksReply, UnusableProxy,
};
pub use tls::{
    AffectedCertificate, BlockProblem, BundleProblem, CertificateBundle, CertificateCause,
    CertificateFailure, CertificateSummary, ClientIdentity, ClientIdentityProblem, KeyFileProblem,
    KeyProblem, MissingAuthority, NoPem, PemProblem, ServerTrust, SkippedBlock, TlsFailure,
    TrustedAuthorities, client_config, crypto_provider,
};

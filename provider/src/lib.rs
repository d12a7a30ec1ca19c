//! Reads what a SecretProviderClass names from Vault: the one read path of Coffer.
//!
//! Data goes down one list, once:
//! - [`class`]: parameters, parsed; every mistake named with its parameter and line
//! - [`plan`]: objects become distinct requests, each made once a read
//! - `session`: identity and Vault target become a token, by one login at a time
//! - `fetch`: requests in parallel; those that issue something last
//! - `render`: select, decode, format: a file's bytes
//! - [`version`]: a keyed hash of the file's content
//!
//! [`Provider::read`] runs it, [`Provider::probe`] tries it for who checks a class. [`LeaseManager`] keeps what
//! Vault issued for as long as the pod lives. This crate knows nothing of gRPC, HTTP serving, Kubernetes' API or
//! the node: what comes from outside enters by [`TokenMinter`], [`VersionKey`], [`Clock`] and [`StateStore`]. A
//! binary that uses it installs rustls's crypto provider first.

pub mod class;
mod clock;
mod digest;
mod error;
mod fetch;
pub mod go_duration;
mod go_json;
mod issuing;
mod lease;
mod lifetime;
mod metrics;
pub mod plan;
mod read;
mod render;
mod request;
mod session;
pub mod settings;
mod vault_error;
pub mod version;

pub use clock::{Clock, MonotonicClock};
pub use coffer_vault::{
    Address, Authorities, BadAddress, ClientCertificate, ClientCertificateError, Secret, Target, Tls,
    TlsFile, TlsOverlay, root_cause,
};
pub use error::{Error, ErrorKind};
pub use lease::{
    Entry, Inventory, InventorySource, Kind, LeaseManager, PodEvent, PodEvents, StateStore, StoreError,
};
pub use metrics::ReadMetrics;
pub use read::{Bundle, File, Outcome, Ports, Probed, Provider};
pub use request::{Identity, Issuing, Pod, ReadRequest, TokenMinter};
pub use settings::Settings;
pub use version::{Key, PodSeen, VersionKey};

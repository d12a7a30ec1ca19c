//! Reads the objects of a SecretProviderClass from Vault: the only read path of Coffer.
//!
//! The steps of a read, in order:
//! - [`class`]: parses the parameters; every mistake is reported with its parameter and line
//! - [`class::Plan`]: turns the objects into distinct requests, each sent once per read
//! - `session`: provides the Vault token of the identity at the target, by one login at a time
//! - `fetch`: sends the requests in parallel; those that issue something come last
//! - `render`: selects the key, decodes the value and writes the file's bytes
//! - [`version`]: computes a keyed hash of the file's content
//!
//! [`Provider::read`] runs all steps. [`Provider::probe`] checks a class without issuing anything.
//! [`LeaseManager`] renews what Vault issued while the pod lives, and revokes the tokens when the
//! pod is gone.
//!
//! This crate knows nothing of gRPC, HTTP serving, Kubernetes' API or the node. A process provides
//! [`TokenMinter`], [`VersionKey`], [`Clock`], [`PodReporter`] and [`StateStore`], and installs
//! rustls's crypto provider before it uses this crate.

pub mod class;
mod clock;
mod countdown;
mod digest;
mod error;
mod fetch;
#[cfg(fuzzing)]
pub mod fuzzing;
mod glob;
pub mod go_duration;
mod go_json;
mod issuing;
mod lease;
mod lifetime;
mod memory;
mod metrics;
#[cfg(test)]
mod models;
mod pod_report;
mod policy;
mod raw_endpoint;
mod read;
mod render;
mod request;
mod session;
pub mod settings;
mod text_encoding;
mod tls_advice;
mod vault_error;
pub mod version;

pub use clock::{Clock, MonotonicClock};
pub use coffer_vault::{
    Address, Answer, AuthMethodPresence, Authorities, BadAddress, ClientCertificate, ClientCertificateError,
    Printable, Secret, ServerHealth, Target, Tls, TlsFile, TlsOverlay, is_unprintable, root_cause,
};
pub use error::{Error, ErrorKind, RefusalReason};
pub use lease::{
    Entry, FailingMount, Inventory, InventorySource, Kind, LeaseManager, LostRecords, PodEvent, PodEvents,
    StateStore, StoreError, StoredText,
};
pub use memory::{MemoryAccount, TenantMemory};
pub use metrics::{ClassCounter, ClassLabels, DEFAULT_SERIES, ReadMetrics, capped};
pub use pod_report::{NoPodReports, PodReport, PodReporter, ReportReason};
pub use policy::{BadPolicy, Policy, PolicyFile, PolicyFileError, PolicyRefusal};
pub use read::{
    Bundle, File, HeldForAnswer, Outcome, Ports, Probed, ProbedFile, Provider, RenderedFile,
    VaultExamination, render_sample,
};
pub use request::{Identity, Issuing, Pod, ReadRequest, TokenMinter};
pub use settings::Settings;
pub use text_encoding::{BadText, decode_text};
pub use version::{Key, PodSeen, VersionKey};

//! Reads what a SecretProviderClass names from Vault: the one read path of Coffer.
//!
//! Data goes down one list, once:
//! - [`class`]: parameters, parsed; every mistake named with its parameter and line
//! - [`plan`]: objects become distinct requests, each made once a read
//! - `session`: identity and Vault target become a token, by one login at a time
//! - `fetch`: requests in parallel; those that issue something last
//! - `render`: select, decode, format: a file's bytes
//! - [`version`]: a keyed hash over what the file says
//!
//! [`Provider::read`] runs it, [`Provider::probe`] tries it for who checks a class. This crate knows nothing of gRPC, HTTP serving, Kubernetes' API or the node:
//! what comes from outside enters by [`TokenMinter`], [`VersionKey`] and [`Clock`]. A binary that uses it
//! installs rustls's crypto provider first.

mod attempt;
pub mod class;
mod clock;
mod digest;
mod error;
mod fetch;
pub mod go_duration;
mod go_json;
mod inventory;
mod issuing;
mod keeper;
mod keeping;
mod lifetime;
mod metrics;
pub mod plan;
mod read;
mod render;
mod request;
mod secret;
mod session;
pub mod settings;
mod vault;
pub mod version;

pub use clock::{Clock, MonotonicClock};
pub use error::{Error, ErrorKind, root_cause};
pub use inventory::{Entry, Inventory, Kind};
pub use keeper::{PodEvent, PodEvents};
pub use keeping::StateStore;
pub use metrics::Metrics;
pub use read::{Bundle, File, Outcome, Ports, Probed, Provider};
pub use request::{Identity, Issuing, Pod, ReadRequest, TokenMinter};
pub use secret::Secret;
pub use settings::Settings;
pub use vault::{Address, Authorities, BadAddress, ClientCertificate, Target, Tls, TlsFile};
pub use version::{Key, PodSeen, VersionKey};

//! The harness of Coffer's black-box tests: real servers and the built binaries, one type for each.
//!
//! | type | what it is |
//! |---|---|
//! | [`OpenBao`] | a real OpenBao in dev mode, with an audit log that counts requests exactly |
//! | [`FakeVault`] | a Vault that misbehaves by script |
//! | [`Relay`] | a way to a real Vault on which answers can be held back |
//! | [`Postgres`] | a real PostgreSQL, in which Vault makes users |
//! | [`TokenIssuer`] | what signs the service accounts' tokens |
//! | [`Csi`] | the built `coffer-csi` on a socket of its own |
//! | [`MountCall`] | one call as the driver makes it, and [`Mounted`], what came back |
//! | [`OpenBaoSetup`], [`FakeVaultSetup`] | one of the Vaults and a provider that uses it: where most tests start |
//! | [`MarkdownDocument`], [`CodeBlock`] | what users read, and the code in it |
//! | [`Images`] | the images that are shipped, and [`ImageContainer`]s of them |
//! | [`kubernetes`] | a real cluster with the real driver |
//!
//! Functions of the harness panic with what they waited for: a test has no use for their errors. A
//! process is killed by its own id when its value is dropped, and its log is shown if the test
//! failed.

mod binaries;
mod document_commands;
mod documents;
mod fake_time;
mod fake_vault;
mod http;
mod image;
pub mod kubernetes;
mod metrics;
mod mount;
mod openbao;
mod openbao_admin;
mod pod;
mod ports;
mod postgres;
mod process;
mod provider;
mod relay;
mod setup;
mod suite;
mod tls;
mod token;
mod wait;

pub use binaries::{coffer_binary, find_bao};
pub use document_commands::{DOCUMENTED, Fate, fate};
pub use documents::{CodeBlock, CommandWords, MarkdownDocument};
pub use fake_time::FakeTime;
pub use fake_vault::{FakeVault, RecordedRequest, ScriptedAnswer};
pub use http::http_client;
pub use image::{IMAGES, ImageContainer, Images, images_forbidden};
pub use metrics::ScrapedMetrics;
pub use mount::{MountCall, MountRefusal, Mounted, MountedFile, SimulatedDriver, read_answer};
pub use openbao::{AuditedRequest, OpenBao};
pub use openbao_admin::JwtRole;
pub use pod::TestPod;
pub use postgres::{LeaseTtls, Postgres, postgres_is_installed};
pub use process::Process;
pub use provider::{Csi, CsiOptions, HMAC_KEY};
pub use relay::Relay;
pub use setup::{FakeVaultSetup, OpenBaoSetup, call_as_web};
pub use suite::{Servers, Suite, TestProgram};
pub use tls::{IssuedCertificate, TestCa};
pub use token::{TokenIssuer, TokenRequest};
pub use wait::{CEILING, until, until_true, until_true_within};

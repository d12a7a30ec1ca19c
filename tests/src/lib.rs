//! The harness of Coffer's black-box tests: real servers and the built binaries, one type for each.
//!
//! | type | what it is |
//! |---|---|
//! | [`OpenBao`] | a real OpenBao in dev mode, with an audit log that counts requests exactly |
//! | [`DurableOpenBao`] | one that keeps its data over a restart |
//! | [`FakeVault`] | a Vault with scripted answers, for faults |
//! | [`RogueVault`] | the "Vault" of an attacker: bytes by script, without end where the test wants |
//! | [`ForwardProxy`] | a proxy for HTTP and SOCKS 5, which counts |
//! | [`Relay`] | a TCP relay to a real server, which can hold answers back |
//! | [`Postgres`] | a real PostgreSQL, in which Vault creates users |
//! | [`ConsulTemplate`] | what consul-template makes of templates |
//! | [`GoTlsCases`] | servers with certificates of many kinds, and what Go makes of each |
//! | [`TokenIssuer`] | issues service account tokens |
//! | [`Csi`] | the built `coffer-csi`, running on its own socket |
//! | [`MountCall`], [`Mounted`] | a Mount call as the driver makes it, and its answer |
//! | [`OpenBaoSetup`], [`FakeVaultSetup`] | a Vault and a provider that uses it: where most tests start |
//! | [`MarkdownDocument`], [`CodeBlock`] | the documents for users, and the code in them |
//! | [`Images`], [`ImageStore`], [`ImageContainer`] | the shipped images, and containers of them |
//! | [`ProcessLimits`], [`MemoryCgroup`] | the shipped limits of a process |
//! | [`Plot`], [`PlotPanel`] | curves over time, as an SVG |
//! | [`Suite`], [`TestProgram`] | tests that share servers |
//! | [`kubernetes`] | a real cluster with the real driver |
//! | [`soak`] | all that for a long time, with faults |
//! | [`monitoring`] | a real Prometheus that watches all that |
//!
//! Functions of the harness panic with what they waited for: a test has no use for their errors. A
//! process is killed by its own id when its value is dropped, and its log is shown if the test
//! failed.

mod binaries;
mod bound_directory;
mod cgroup;
mod command_blocks;
mod consul_template;
mod documents;
mod fake_time;
mod fake_vault;
mod forward_proxy;
mod go_tls;
mod http;
mod image;
mod image_container;
pub mod kubernetes;
mod limits;
mod metrics;
pub mod monitoring;
mod mount;
mod openbao;
mod openbao_admin;
mod openbao_durable;
mod plot;
mod pod;
mod ports;
mod postgres;
mod process;
mod provider;
mod relay;
mod rogue_vault;
mod setup;
mod small_file_system;
pub mod soak;
mod suite;
mod tls;
mod token;
mod wait;

pub use binaries::{coffer_binary, find_bao, workspace};
pub use bound_directory::BoundDirectory;
pub use cgroup::MemoryCgroup;
pub use command_blocks::{BlockTest, COMMAND_BLOCKS, block_test};
pub use consul_template::{ConsulTemplate, ConsulTemplateFault, ConsulTemplateText};
pub use documents::{CodeBlock, CommandWords, MarkdownDocument};
pub use fake_time::FakeTime;
pub use fake_vault::{FakeVault, LOGIN, RecordedRequest, ScriptedAnswer};
pub use forward_proxy::ForwardProxy;
pub use go_tls::{GoTlsCase, GoTlsCases};
pub use http::http_client;
pub use image::{IMAGES, ImageStore, Images, PushedImage, host_architecture, images_forbidden};
pub use image_container::ImageContainer;
pub use limits::ProcessLimits;
pub use metrics::ScrapedMetrics;
pub use mount::{MountCall, MountRefusal, Mounted, MountedFile, SimulatedDriver, read_answer};
pub use openbao::{AuditedRequest, OpenBao};
pub use openbao_admin::JwtRole;
pub use openbao_durable::DurableOpenBao;
pub use plot::{Plot, PlotPanel, PlotUnit};
pub use pod::TestPod;
pub use postgres::{LeaseTtls, Postgres, postgres_is_installed};
pub use process::Process;
pub use provider::{Csi, CsiOptions, HMAC_KEY};
pub use relay::{Relay, RelayClose};
pub use rogue_vault::{RogueAct, RogueVault, http_answer};
pub use setup::{FakeVaultSetup, OpenBaoSetup, READ_APP, call_as_web};
pub use small_file_system::SmallFileSystem;
pub use suite::{Servers, Suite, TestProgram};
pub use tls::{IssuedCertificate, TestCa};
pub use token::{TokenIssuer, TokenRequest};
pub use wait::{CEILING, until, until_true, until_true_within};

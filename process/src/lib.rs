//! What `coffer-csi` and `coffer-api-server` share as processes: command line, logs, signals and
//! shutdown.
//!
//! [`run()`] is `main` of both. Before it, the configuration is read from [`parse_flags`],
//! [`VaultFlags`] and the environment; inside it, [`Lifecycle`] and [`TerminationSignals`] lead
//! from start to shutdown.

mod address;
mod allocator;
mod command_line;
mod descriptor_reserve;
mod lifecycle;
mod lobby;
mod logging;
mod memory_limit;
mod run;
mod vault_flags;

pub use address::{AddressError, listen, parse_address};
pub use command_line::{CommandLineError, FlagError, ParsedFlags, parse_flags, warn_of_ignored_variables};
pub use descriptor_reserve::DescriptorReserve;
pub use lifecycle::{Lifecycle, Phase, SignalError, TerminationSignals};
pub use lobby::{Answering, LobbyListener, LobbyPlace, LobbySettings};
pub use logging::{LogFormat, LogLevelError, Logging, parse_log_level};
pub use memory_limit::memory_of_tenants;
pub use run::{Invocation, Startup, run};
pub use vault_flags::VaultFlags;

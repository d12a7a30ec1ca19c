//! The alerts and the dashboard over a real Prometheus that scrapes the built programs.
//!
//! | type | what it is |
//! |---|---|
//! | [`Prometheus`] | a real Prometheus with jobs as the shipped ServiceMonitors make them |
//! | [`AlertRules`] | the shipped rules, with times that a test can wait for |
//! | [`Dashboard`] | the shipped dashboard: its panels and their queries |
//! | [`FaultRun`] | a cluster with everything, and one fault for each alert |

mod dashboard;
mod fault_run;
mod faults;
mod load;
mod prometheus;
mod rules;

pub use dashboard::{Dashboard, DashboardPanel, PanelQuery};
pub use fault_run::FaultRun;
pub use faults::Fault;
pub use prometheus::{FiringAlert, Prometheus, ScrapeJob, TimeSeries, promtool};
pub use rules::AlertRules;

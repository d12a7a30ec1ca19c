//! A real Kubernetes for tests: kube-apiserver over etcd and the real CSI driver; the test plays
//! kubelet.
//!
//! | type | what it is |
//! |---|---|
//! | [`Etcd`], [`ApiServer`], [`ControllerManager`], [`DriverProcess`] | one server each |
//! | [`Cluster`] | a kube-apiserver over etcd with what the driver and Coffer need installed |
//! | [`CsiNode`] | the driver, coffer-csi, and a [`Kubelet`] that mounts [`PodVolume`]s with them |
//! | [`ClusterWithVault`] | a cluster, an OpenBao, and a node of each [`DriverGeneration`] |
//! | [`LeaseSetup`] | a cluster, an OpenBao and a PostgreSQL, with [`LeaseNode`]s and [`Tenant`]s |
//! | [`Namespace`] | a namespace, and the objects in it |
//! | [`Helm`] | Helm 3 or 4, and the chart |
//! | [`InstalledApi`], [`installed_csi`] | the programs, run as the installed objects say |

pub mod aggregated;
mod api_server;
mod cluster;
mod controller_manager;
mod csi;
mod driver;
mod etcd;
mod events;
mod example;
mod helm;
mod installed;
mod kubeconfig;
mod kubectl;
mod kubelet;
mod lease_node;
mod lease_setup;
mod mounts;
mod namespace;
mod node;
pub(crate) mod programs;
mod vault_login;
mod with_vault;

pub use api_server::ApiServer;
pub use cluster::{Cluster, ClusterOptions, TokenDelivery, shipped_rbac};
pub use controller_manager::ControllerManager;
pub use driver::DriverProcess;
pub(crate) use driver::providers;
pub use etcd::Etcd;
pub use example::{example_class, example_namespace, example_secret};
pub use helm::{Helm, chart, objects, render_manifests, render_monitoring, shipped_folder, value_sets};
pub use installed::{InstalledApi, RunArguments, installed_csi};
pub use kubeconfig::Kubeconfig;
pub use kubectl::{Kubectl, KubectlOutput};
pub use kubelet::{Kubelet, PodVolume};
pub use lease_node::LeaseNode;
pub use lease_setup::{LeaseSetup, Tenant, user};
pub(crate) use mounts::MountDir;
pub use mounts::mounts_forbidden;
pub use namespace::Namespace;
pub use node::CsiNode;
pub(crate) use programs::template_cases_program;
pub use programs::{DriverGeneration, kubectl_program, proxy_rules_program};
pub use vault_login::KubernetesRole;
pub use with_vault::ClusterWithVault;

/// The name of the CSIDriver object.
const DRIVER_NAME: &str = "secrets-store.csi.k8s.io";

/// The namespace of coffer-csi in the shipped manifests.
pub const COFFER_NAMESPACE: &str = "coffer";

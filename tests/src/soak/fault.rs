//! The faults.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::draw::TENANTS;
use super::judge::{ANSWERS_LOST, RENEWAL_REFUSED};
use super::pods;
use super::world::SoakWorld;
use crate::relay::RelayClose;

/// How much later everything arrives over a slow network, in each direction.
const SLOW: Duration = Duration::from_millis(400);

/// The engines whose requests are limited, and how their quotas are called.
const LIMITED: [(&str, &str); 4] =
    [("secret", "secret/"), ("database", "database/"), ("pki", "pki/"), ("login", "auth/kubernetes/")];

/// Something that goes wrong for a while, or that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SoakFault {
    /// The agent is killed, and started again.
    AgentKilled,
    /// The agent is ended with SIGTERM, and the next one starts at once.
    AgentUpdated,
    /// The driver is killed, and started again.
    DriverRestarted,
    /// Vault is stopped, and started again.
    VaultRestarted,
    /// Vault is sealed, and unsealed again.
    VaultSealed,
    /// PostgreSQL is killed, and started again.
    PostgresRestarted,
    /// kube-apiserver takes connections and does not answer.
    KubernetesFrozen,
    /// Nobody listens at Vault's address.
    ConnectionsRefused,
    /// Connections to Vault that are open now are dead for good, as if a balancer forgot them.
    ConnectionsDead,
    /// Connections to Vault are reset by what is sent over them next.
    ConnectionsReset,
    /// Everything arrives late.
    NetworkSlow,
    /// Vault gets all requests, and its answers arrive only at the end.
    AnswersHeld,
    /// The state directory takes nothing more.
    StateDirectoryFull,
    /// The clock of the node is wrong.
    ClockStepped(ClockStep),
    /// Vault answers most requests with 429.
    RequestsLimited,
    /// The login role of a tenant is bound to another namespace.
    LoginRefused(usize),
    /// The policy of a tenant allows nothing.
    PolicyTaken(usize),
    /// The secrets of all tenants are written several times.
    SecretsWritten,
    /// All pods of a tenant are replaced at once.
    PodsReplaced(usize),
}

/// By how much the clock is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClockStep {
    /// Whether it is ahead.
    pub(super) forward: bool,
    /// By how many minutes.
    pub(super) minutes: u32,
}

impl SoakFault {
    /// Returns the name in the report.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::AgentKilled => "agent killed",
            Self::AgentUpdated => "agent updated",
            Self::DriverRestarted => "driver restarted",
            Self::VaultRestarted => "vault restarted",
            Self::VaultSealed => "vault sealed",
            Self::PostgresRestarted => "postgresql restarted",
            Self::KubernetesFrozen => "kube-apiserver frozen",
            Self::ConnectionsRefused => "connections refused",
            Self::ConnectionsDead => ANSWERS_LOST,
            Self::ConnectionsReset => "connections reset",
            Self::NetworkSlow => "network slow",
            Self::AnswersHeld => "answers held",
            Self::StateDirectoryFull => "state directory full",
            Self::ClockStepped(_) => "clock stepped",
            Self::RequestsLimited => "requests limited",
            Self::LoginRefused(_) => RENEWAL_REFUSED,
            Self::PolicyTaken(_) => "policy taken",
            Self::SecretsWritten => "secrets written",
            Self::PodsReplaced(_) => "pods replaced",
        }
    }

    /// Returns the tenant that it concerns, if it is one alone.
    pub(super) fn tenant(&self) -> Option<usize> {
        match self {
            Self::LoginRefused(tenant) | Self::PolicyTaken(tenant) | Self::PodsReplaced(tenant) => {
                Some(*tenant)
            }
            _ => None,
        }
    }

    /// Returns whether the agent's process ends by it.
    pub(super) fn ends_agent(&self) -> bool {
        matches!(self, Self::AgentKilled | Self::AgentUpdated)
    }

    /// Makes the fault, lets it stay that long, and returns when everything runs again.
    pub(super) async fn make(&self, world: &Arc<SoakWorld>, length: Duration) {
        match self {
            Self::AgentKilled | Self::AgentUpdated => self.end_agent(world, length).await,
            Self::DriverRestarted => {
                let mut driver = world.driver.lock().await;
                driver.kill();
                sleep(length).await;
                driver.start_again().await;
            }
            Self::VaultRestarted => {
                let mut bao = world.bao.write().await;
                bao.stop().await;
                sleep(length).await;
                bao.start_again().await;
            }
            Self::VaultSealed => {
                let bao = world.bao.read().await;
                bao.server().seal().await;
                sleep(length).await;
                bao.unseal().await;
            }
            Self::PostgresRestarted => {
                let mut postgres = world.postgres.lock().await;
                postgres.kill();
                sleep(length).await;
                postgres.start_again().await;
            }
            Self::KubernetesFrozen => {
                world.cluster.api_server().freeze();
                sleep(length).await;
                world.cluster.api_server().thaw().await;
            }
            Self::ConnectionsRefused | Self::NetworkSlow | Self::AnswersHeld => {
                match self {
                    Self::ConnectionsRefused => world.relay.refuse(),
                    Self::NetworkSlow => world.relay.slow(SLOW),
                    // every request contains this
                    _ => world.relay.hold(""),
                }
                sleep(length).await;
                world.relay.pass();
            }
            Self::ConnectionsDead => {
                world.relay.go_dark();
                sleep(length).await;
            }
            Self::ConnectionsReset => {
                world.relay.close_at_next_request(RelayClose::Reset);
                sleep(length).await;
            }
            Self::StateDirectoryFull => {
                world.agent.lock().await.state.fill();
                sleep(length).await;
                world.agent.lock().await.state.free();
            }
            Self::ClockStepped(ClockStep { forward, minutes }) => {
                let sign = if *forward { '+' } else { '-' };
                world.agent.lock().await.clock.step(&format!("{sign}{minutes}m"));
                sleep(length).await;
                world.agent.lock().await.clock.step("+0");
            }
            Self::RequestsLimited => limit_requests(world, length).await,
            Self::LoginRefused(tenant) => {
                let (tenant, bao) = (&world.tenants[*tenant], world.bao.read().await);
                tenant.bind(bao.server(), "elsewhere").await;
                sleep(length).await;
                tenant.bind(bao.server(), tenant.namespace.name()).await;
            }
            Self::PolicyTaken(tenant) => {
                let (tenant, bao) = (&world.tenants[*tenant], world.bao.read().await);
                tenant.deny(bao.server()).await;
                sleep(length).await;
                tenant.grant(bao.server()).await;
            }
            Self::SecretsWritten => {
                for number in 0..3 * TENANTS {
                    world.write_secret(number % TENANTS).await;
                }
            }
            Self::PodsReplaced(tenant) => {
                let count = world.pods.living().len();
                for number in (0..count).filter(|number| number % TENANTS == *tenant) {
                    pods::replace(world, number).await;
                }
            }
        }
    }

    async fn end_agent(&self, world: &SoakWorld, length: Duration) {
        let mut agent = world.agent.lock().await;
        if *self == Self::AgentKilled {
            agent.kill().await;
        } else {
            agent.stop().await;
        }
        world.read_log(&mut agent);
        if *self == Self::AgentKilled {
            sleep(length).await;
        }
        agent.start_again().await;
    }
}

async fn limit_requests(world: &SoakWorld, length: Duration) {
    let bao = world.bao.read().await;
    for (name, path) in LIMITED {
        let quota = json!({ "path": path, "rate": 1, "interval": "1s" });
        bao.server().admin(Method::POST, &format!("sys/quotas/rate-limit/{name}"), quota).await;
    }
    sleep(length).await;
    for (name, _) in LIMITED {
        bao.server().admin(Method::DELETE, &format!("sys/quotas/rate-limit/{name}"), Value::Null).await;
    }
}

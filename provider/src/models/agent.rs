//! One process of the agent: a provider with its lease manager, and the watch of pods.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::disk::AgentStore;
use super::vault::ModelVault;
use super::{time_of_day, uptime};
use crate::lease::LeaseManager;
use crate::version::{Key, PodSeen, VersionKey};
use crate::{
    Clock, Error, ErrorKind, Identity, NoPodReports, PodEvent, PodEvents, Ports, Provider, ReadMetrics,
    Secret, Settings, StateStore, TokenMinter,
};

/// The agent.
pub(super) struct Agent {
    pub(super) provider: Arc<Provider>,
    store: Arc<AgentStore>,
    manager: LeaseManager,
    metrics: Arc<ReadMetrics>,
    pods: mpsc::Sender<PodEvent>,
    lists: AbortHandle,
}

/// The pods of the node, as kube-apiserver knows them.
#[derive(Default)]
pub(super) struct NodePods {
    pub(super) living: BTreeSet<String>,
    pub(super) dead: BTreeSet<String>,
    /// Whether kube-apiserver answers the agent.
    pub(super) is_away: bool,
}

/// The node's pods, shared with the watch.
#[derive(Clone, Default)]
pub(super) struct SharedPods(Arc<Mutex<NodePods>>);

impl SharedPods {
    pub(super) fn lock(&self) -> MutexGuard<'_, NodePods> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a list of the pods that live now.
    pub(super) fn list(&self) -> PodList {
        let pods = self.lock();
        let living = pods.living.iter().cloned().collect();
        PodList { living, dead: pods.dead.clone(), began: Instant::now() }
    }
}

/// A list of the node's pods.
pub(super) struct PodList {
    living: HashSet<String>,
    dead: BTreeSet<String>,
    /// When the list was requested.
    began: Instant,
}

impl Agent {
    pub(super) fn start(
        settings: &Settings,
        vault: &ModelVault,
        store: AgentStore,
        pods: &SharedPods,
    ) -> Self {
        let metrics = Arc::new(ReadMetrics::default());
        let ports = Ports {
            minter: Arc::new(NoTokens),
            version_key: Arc::new(OneKey(Arc::new(Key::new(&[7; 32])))),
            clock: Arc::new(PausedClock),
            metrics: Arc::clone(&metrics),
            reporter: Arc::new(NoPodReports),
        };
        let provider = Arc::new(Provider::new(settings.clone(), ports));
        let store = Arc::new(store);
        let (sender, events) = mpsc::channel(1000);
        let list = Arc::new(Notify::new());
        let pod_events = PodEvents { events, list: Arc::clone(&list) };
        let manager = provider.start_lease_manager(Arc::clone(&store) as Arc<dyn StateStore>, pod_events);
        let lists =
            tokio::spawn(answer_lists(list, sender.clone(), vault.clone(), pods.clone())).abort_handle();
        Self { provider, store, manager, metrics, pods: sender, lists }
    }

    /// Sends an event of the watch.
    pub(super) fn send(&self, event: PodEvent) {
        self.pods.try_send(event).expect("room for an event");
    }

    /// Sends a list of the node's pods.
    pub(super) fn send_list(&self, list: PodList, vault: &ModelVault) {
        self.send(list.arrive(vault));
    }

    /// Changes nothing in the state directory any more.
    pub(super) fn cut(&self) {
        self.store.cut();
    }

    pub(super) async fn stop(self) {
        self.lists.abort();
        self.manager.stop(None).await;
    }

    /// Returns how many tokens could not be revoked for good.
    pub(super) fn given_up(&self) -> usize {
        let (mut registry, mut text) = (Registry::default(), String::new());
        self.metrics.register_leases(&mut registry);
        encode(&mut text, &registry).expect("a text");
        let value =
            text.lines().find_map(|line| line.strip_prefix("revocations_total{outcome=\"given_up\"} "));
        value.and_then(|value| value.parse().ok()).expect("the counter")
    }
}

/// Answers the agent's wish for a list of all pods, if kube-apiserver is there.
async fn answer_lists(
    wish: Arc<Notify>,
    events: mpsc::Sender<PodEvent>,
    vault: ModelVault,
    pods: SharedPods,
) {
    loop {
        wish.notified().await;
        if pods.lock().is_away {
            continue;
        }
        let list = pods.list().arrive(&vault);
        if events.send(list).await.is_err() {
            return;
        }
    }
}

impl PodList {
    /// Returns the event of the list's arrival. From now on the agent can know that pods are gone
    /// that are not in the list.
    fn arrive(self, vault: &ModelVault) -> PodEvent {
        let mut state = vault.lock();
        state.known_gone.extend(self.dead);
        state.kept_since.get_or_insert(Instant::now());
        PodEvent::Listed(self.living, self.began.into_std())
    }
}

/// The clock of the runtime, which tests move.
struct PausedClock;

impl Clock for PausedClock {
    fn now(&self) -> std::time::Instant {
        Instant::now().into_std()
    }

    fn time_of_day(&self) -> SystemTime {
        time_of_day(Instant::now())
    }

    fn since_boot(&self) -> Duration {
        uptime(Instant::now())
    }
}

struct OneKey(Arc<Key>);

impl VersionKey for OneKey {
    fn key(&self, _: PodSeen) -> BoxFuture<'_, Result<Arc<Key>, Error>> {
        Box::pin(async { Ok(Arc::clone(&self.0)) })
    }
}

struct NoTokens;

impl TokenMinter for NoTokens {
    fn mint<'a>(&'a self, _: &'a Identity, _: Option<&'a str>) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(async { Err(Error::new(ErrorKind::NoToken, "the driver sends all tokens")) })
    }
}

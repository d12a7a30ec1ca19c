//! A node with an agent, pods, a driver and a Vault, on which things happen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::agent::{Agent, PodList, SharedPods};
use super::classes::{classes, request, settings};
use super::disk::{AgentStore, Disk};
use super::operation::{Event, Left, Restart};
use super::vault::{LONGEST_MOUNT, ModelVault, Mounted, Purpose, REQUESTS};
use crate::class::Class;
use crate::{PodEvent, Settings};

/// Time after which nothing is due at once any more.
const MOMENT: Duration = Duration::from_millis(1);

/// Time in which everything of pods that are gone is revoked, if Vault is well: the longest wait
/// for a mount, and for a retry.
const REVOKED_WITHIN: Duration = Duration::from_secs(250);

/// Time in which all is stored after the disk has room again.
const STORED_AGAIN_WITHIN: Duration = Duration::from_secs(61);

/// Time in which a change is stored for certain.
const STORED_WITHIN: Duration = Duration::from_secs(1);

/// The node.
pub(super) struct Node {
    pub(super) vault: ModelVault,
    /// The agent; none while it starts anew.
    agent: Option<Agent>,
    settings: Settings,
    disk: Arc<Disk>,
    pods: SharedPods,
    /// The uids of the pods, by their numbers.
    uids: BTreeMap<usize, String>,
    created: usize,
    last_dead: Option<String>,
    /// A list of the pods that has not arrived yet.
    slow_list: Option<PodList>,
    /// The class of each volume that was mounted, by pod and volume.
    volumes: BTreeMap<(String, usize), usize>,
    mounts: Vec<JoinHandle<()>>,
    classes: Vec<Arc<Class>>,
    full_since: Option<Instant>,
    room_since: Option<Instant>,
    /// Tokens that earlier agents could not revoke.
    given_up: usize,
    _directory: TempDir,
}

impl Node {
    pub(super) fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("vault.sock");
        let vault = ModelVault::start(&socket);
        let settings = settings(&socket);
        let (disk, pods) = (Arc::<Disk>::default(), SharedPods::default());
        let agent = Agent::start(&settings, &vault, AgentStore::new(&disk), &pods);
        vault.lock().kept_since = Instant::now().checked_sub(LONGEST_MOUNT);
        Self {
            vault,
            agent: Some(agent),
            classes: classes(&settings),
            settings,
            disk,
            pods,
            uids: BTreeMap::new(),
            created: 0,
            last_dead: None,
            slow_list: None,
            volumes: BTreeMap::new(),
            mounts: Vec::new(),
            full_since: None,
            room_since: None,
            given_up: 0,
            _directory: directory,
        }
    }

    /// Lets something happen, and waits until nothing is due at once any more.
    pub(super) async fn happen(&mut self, event: Event) {
        match event {
            Event::Mount { pod, volume, class } => {
                let pod = self.pod(pod);
                self.mount(&pod, volume, class).await;
            }
            Event::Republish { pod, volume } => {
                let Some(pod) = self.uids.get(&pod).cloned() else { return };
                let Some(class) = self.volumes.get(&(pod.clone(), volume)).copied() else { return };
                self.mount(&pod, volume, class).await;
            }
            Event::LateMount { volume, class } => {
                let Some(pod) = self.last_dead.clone() else { return };
                self.mount(&pod, volume, class).await;
            }
            Event::CancelMount { number } => {
                self.mounts.retain(|mount| !mount.is_finished());
                if let Some(mount) = self.mounts.get(number) {
                    mount.abort();
                }
            }
            Event::DeletePod { pod, is_seen } => self.delete_pod(pod, is_seen),
            Event::List => self.list(),
            Event::SlowList => match self.slow_list.take() {
                Some(list) => self.agent().send_list(list, &self.vault),
                None => self.slow_list = Some(self.pods.list()),
            },
            Event::WatchFails { announced } => self.fail_watch(announced),
            Event::Restart(restart) => self.restart(restart).await,
            Event::DiskFull(is_full) => self.set_disk_full(is_full),
            Event::Wait(time) => sleep(time).await,
            Event::VaultTrouble(purpose, trouble) => self.vault.lock().troubles = vec![(purpose, trouble)],
            Event::VaultIsWell => self.vault.lock().troubles.clear(),
            Event::RevokeBehind { pod, tokens } => {
                if let Some(pod) = self.uids.get(&pod) {
                    self.vault.lock().revoke_behind(pod, tokens);
                }
            }
            Event::Deny(request) => {
                self.vault.lock().denied = request.map(|at| REQUESTS[at].to_owned()).into_iter().collect();
            }
        }
        self.settle().await;
    }

    /// Waits until nothing is due at once any more.
    pub(super) async fn settle(&mut self) {
        sleep(MOMENT).await;
    }

    /// Ends all pods, with a Vault that is well, and returns when all is revoked that has to be.
    pub(super) async fn come_to_rest(&mut self) {
        self.vault.lock().denied.clear();
        self.disk.set_full(false);
        for event in [Event::VaultIsWell, Event::List, Event::Wait(LONGEST_MOUNT)] {
            self.happen(event).await;
        }
        for pod in 0..3 {
            self.delete_pod(pod, false);
        }
        for event in [Event::List, Event::Wait(REVOKED_WITHIN)] {
            self.happen(event).await;
        }
        let given_up = self.given_up + self.agent().given_up();
        self.vault.lock().check_rest(given_up, Instant::now());
    }

    /// Mounts a volume, and waits until nothing is due at once any more. Rule: a mount on which
    /// nothing else has an influence sends each request twice at most, and logs in once at most.
    async fn mount(&mut self, pod: &str, volume: usize, class: usize) {
        self.mounts.retain(|mount| !mount.is_finished());
        let is_alone = self.mounts.is_empty() && self.vault.lock().troubles.is_empty();
        let before = self.requests();
        self.volumes.insert((pod.to_owned(), volume), class);
        self.mounts.push(tokio::spawn(self.mounting(pod, volume, class)));
        self.settle().await;
        let after = self.requests();
        let most = 2 * self.classes[class].plan.requests.len();
        if is_alone && (after.0 - before.0 > 1 || after.1 - before.1 > most) {
            let text =
                format!("{before:?} logins and other requests before a mount of {most}, then {after:?}");
            self.vault.lock().violations.push(text);
        }
    }

    /// Returns the numbers of logins, and of requests of classes.
    pub(super) fn requests(&self) -> (usize, usize) {
        let state = self.vault.lock();
        (state.requests(Purpose::Login), state.requests(Purpose::Read) + state.requests(Purpose::Issue))
    }

    /// Returns a mount that has not begun.
    pub(super) fn mounting(
        &self,
        pod: &str,
        volume: usize,
        class: usize,
    ) -> impl Future<Output = ()> + Send + use<> {
        let class = Arc::clone(&self.classes[class]);
        let mounted = Mounted {
            pod: pod.to_owned(),
            volume,
            role: class.role.clone(),
            files: class.objects.len(),
            began: Instant::now(),
        };
        let request = request(class, pod, volume);
        let (provider, vault) = (Arc::clone(&self.agent().provider), self.vault.clone());
        async move {
            if let Ok(bundle) = provider.read(&request).await {
                vault.lock().note_mounted(&mounted, &bundle.files);
            }
        }
    }

    /// Returns the uid of a pod, which is created if there is none.
    pub(super) fn pod(&mut self, number: usize) -> String {
        if let Some(uid) = self.uids.get(&number) {
            return uid.clone();
        }
        self.created += 1;
        let uid = format!("pod{}", self.created);
        self.uids.insert(number, uid.clone());
        let mut pods = self.pods.lock();
        pods.living.insert(uid.clone());
        if !pods.is_away {
            self.agent().send(PodEvent::Appeared(uid.clone()));
        }
        uid
    }

    fn set_disk_full(&mut self, is_full: bool) {
        if is_full && !self.is_behind() {
            self.full_since = Some(Instant::now());
        }
        if is_full != self.disk.is_full() {
            self.room_since = Some(Instant::now());
        }
        self.disk.set_full(is_full);
    }

    /// Returns whether something may not be stored yet, since the disk is or was full.
    fn is_behind(&self) -> bool {
        let is_behind = self.room_since.is_some_and(|since| since.elapsed() < STORED_AGAIN_WITHIN);
        self.full_since.is_some() && (self.disk.is_full() || is_behind)
    }

    fn agent(&self) -> &Agent {
        self.agent.as_ref().expect("an agent")
    }

    fn delete_pod(&mut self, number: usize, is_seen: bool) {
        let Some(uid) = self.uids.remove(&number) else { return };
        let mut pods = self.pods.lock();
        pods.living.remove(&uid);
        pods.dead.insert(uid.clone());
        if is_seen && !pods.is_away {
            self.vault.lock().known_gone.insert(uid.clone());
            self.agent().send(PodEvent::Gone(uid.clone()));
        }
        self.last_dead = Some(uid);
    }

    fn list(&mut self) {
        self.pods.lock().is_away = false;
        self.agent().send_list(self.pods.list(), &self.vault);
    }

    fn fail_watch(&mut self, announced: bool) {
        self.pods.lock().is_away = true;
        self.slow_list = None;
        if announced {
            self.agent().send(PodEvent::Unwatchable("kube-apiserver is away".to_owned()));
            self.vault.lock().kept_since = None;
        }
    }

    async fn restart(&mut self, Restart { is_killed, left }: Restart) {
        if is_killed {
            self.vault.cut();
            self.agent().cut();
        }
        // all at once: one that waits must not go on in place of another
        self.mounts.iter().for_each(JoinHandle::abort);
        for mount in self.mounts.drain(..) {
            let _ = mount.await;
        }
        let agent = self.agent.take().expect("an agent");
        self.given_up += agent.given_up();
        agent.stop().await;
        self.slow_list = None;
        let full_since = self.full_since.filter(|_| self.is_behind());
        let lost_since = full_since.or(is_killed.then(Instant::now)).map(|at| at - STORED_WITHIN);
        let mut state = self.vault.lock();
        state.note_restart(lost_since, full_since.is_none());
        match left {
            Left::All => {}
            Left::OldForm => self.disk.make_old(),
            Left::Nothing => {
                self.disk.clear();
                state.abandon(|_| true);
            }
            Left::Truncated(number) => {
                if let Some((pod, role)) = self.disk.truncate_one(number) {
                    state.abandon(|token| token.pod == pod && token.role == role);
                }
            }
        }
        state.kept_since = Instant::now().checked_sub(LONGEST_MOUNT);
        drop(state);
        self.vault.accept_next_agent();
        let store = AgentStore::new(&self.disk);
        self.agent = Some(Agent::start(&self.settings, &self.vault, store, &self.pods));
        if !self.pods.lock().is_away {
            self.list();
        }
    }
}

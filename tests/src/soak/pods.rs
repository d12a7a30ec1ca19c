//! Pods that come and go, and kubelet's part for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::draw::TENANTS;
use super::judge::{REPUBLISH, RETRY, SeenCredential, UserOfPod, VolumeKind};
use super::node::NODE;
use super::world::SoakWorld;
use crate::kubernetes::PodVolume;

/// How old a pod's token may become. kubelet requests a new one when four fifths of its hour are
/// over.
const TOKEN_AGE: Duration = Duration::from_mins(45);

/// The pods by their numbers, and those that are gone.
#[derive(Default)]
pub(super) struct PodTable {
    living: Mutex<BTreeMap<usize, Arc<SoakPod>>>,
    gone: Mutex<Vec<UserOfPod>>,
    tasks: Mutex<JoinSet<()>>,
}

/// A pod that lives.
pub(super) struct SoakPod {
    /// Namespace and name.
    pub(super) name: String,
    pub(super) tenant: usize,
    pub(super) kind: VolumeKind,
    /// Since when the pod waits for its volume.
    pub(super) created: Duration,
    target: PathBuf,
    /// When the volume was mounted first.
    mounted: OnceLock<Duration>,
    /// What the volume was seen to hold.
    seen: Mutex<SeenCredential>,
    ends: watch::Sender<bool>,
}

impl PodTable {
    /// Returns the pods that live.
    pub(super) fn living(&self) -> Vec<Arc<SoakPod>> {
        locked(&self.living).values().cloned().collect()
    }

    /// Returns the users of living pods.
    pub(super) fn users(&self) -> BTreeSet<String> {
        self.living().iter().filter_map(|pod| pod.user()).collect()
    }

    /// Returns the users of pods that are gone.
    pub(super) fn gone(&self) -> Vec<UserOfPod> {
        locked(&self.gone).clone()
    }

    /// Forgets those of the pods that are gone whose users are gone as well.
    pub(super) fn forget(&self, users: &BTreeSet<String>) {
        locked(&self.gone).retain(|of_pod| users.contains(&of_pod.user));
    }

    /// Ends the tasks of pods that are gone, and passes on a panic of any.
    pub(super) fn check(&self) {
        let mut tasks = locked(&self.tasks);
        while let Some(ended) = tasks.try_join_next() {
            ended.expect("the task of a pod ends");
        }
    }
}

impl SoakPod {
    /// Returns whether the volume has been mounted, and the pod still lives.
    pub(super) fn is_judged(&self) -> bool {
        self.mounted.get().is_some() && !*self.ends.borrow()
    }

    /// Returns whether the volume has not been mounted yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.mounted.get().is_none() && !*self.ends.borrow()
    }

    /// Returns what was seen of the volume's credential.
    pub(super) fn seen(&self) -> MutexGuard<'_, SeenCredential> {
        locked(&self.seen)
    }

    /// Notes the credential of a volume that nobody has looked at before the pod's end.
    fn look(&self) {
        let mut files = self.read();
        let contents = self.kind.credential().iter().filter_map(|file| files.remove(*file));
        let contents: Vec<_> = contents.collect();
        if contents.len() == self.kind.credential().len() {
            self.seen().get_or_insert(contents);
        }
    }

    /// Returns the user in the volume, as it was seen last.
    pub(super) fn user(&self) -> Option<String> {
        let seen = self.seen();
        let credential = seen.as_ref().filter(|_| self.kind == VolumeKind::Database)?;
        Some(String::from_utf8_lossy(&credential[0]).into_owned())
    }

    /// Returns the password in the volume, as it was seen last.
    pub(super) fn password(&self) -> Option<String> {
        let seen = self.seen();
        let credential = seen.as_ref().filter(|_| self.kind == VolumeKind::Database)?;
        Some(String::from_utf8_lossy(&credential[1]).into_owned())
    }

    /// Reads all files of the volume. All are from one answer, unless the agent or the driver mixes
    /// them: a volume that is replaced meanwhile is read again.
    pub(super) fn read(&self) -> BTreeMap<String, Vec<u8>> {
        let data = self.target.join("..data");
        for _ in 0..5 {
            let Ok(before) = fs::read_link(&data) else { continue };
            let files = read_all(&self.target.join(&before));
            if fs::read_link(&data).is_ok_and(|after| after == before) {
                return files;
            }
        }
        read_all(&data)
    }
}

/// Creates the pod of that number, in place of the one before.
pub(super) async fn replace(world: &Arc<SoakWorld>, number: usize) {
    let (tenant, kind) = (number % TENANTS, VolumeKind::ALL[number / TENANTS % VolumeKind::ALL.len()]);
    let namespace = &world.tenants[tenant].namespace;
    let created = world.now();
    let pod = namespace.pod_on(NODE, "app", kind.class()).await;
    let volume = world.kubelet.volume(&pod).await;
    let living = Arc::new(SoakPod {
        name: format!("{}/{}", pod.namespace, pod.name),
        tenant,
        kind,
        created,
        target: volume.target().to_owned(),
        mounted: OnceLock::new(),
        seen: Mutex::default(),
        ends: watch::Sender::new(false),
    });
    let before = locked(&world.pods.living).insert(number, Arc::clone(&living));
    if let Some(before) = before {
        before.ends.send_replace(true);
    }
    locked(&world.pods.tasks).spawn_local(life(Arc::clone(world), living, volume));
}

/// Does what kubelet does for a pod: publishes its volume again and again, and unmounts it when the
/// pod ends.
async fn life(world: Arc<SoakWorld>, pod: Arc<SoakPod>, mut volume: PodVolume) {
    let mut ends = pod.ends.subscribe();
    let (mut due, mut token) = (Instant::now(), Instant::now());
    loop {
        tokio::select! {
            () = sleep_until(due) => {}
            _ = ends.wait_for(|ends| *ends) => break,
        }
        if token.elapsed() > TOKEN_AGE {
            volume = world.kubelet.volume(&volume.pod).await;
            token = Instant::now();
        }
        let begun = Instant::now();
        due = if publish(&world, &pod, &volume).await { begun + REPUBLISH } else { Instant::now() + RETRY };
    }
    pod.look();
    while world.kubelet.try_unmount(&volume).await.is_err() {
        tokio::time::sleep(RETRY).await;
    }
    world.tenants[pod.tenant].namespace.delete_pod(&volume.pod).await;
    if let Some(user) = pod.user() {
        let of_pod = UserOfPod { pod: pod.name.clone(), user, gone: Some(world.now()) };
        locked(&world.pods.gone).push(of_pod);
    }
}

async fn publish(world: &SoakWorld, pod: &SoakPod, volume: &PodVolume) -> bool {
    let published = world.kubelet.publish_once(volume).await;
    if let Err(status) = published {
        if std::env::var_os("COFFER_SOAK_VERBOSE").is_some() {
            eprintln!("{} s: {}: {}", world.now().as_secs(), pod.name, status.message());
        }
        // As kubelet does: the directory is empty after a failed first mount.
        let _ = fs::remove_dir(volume.target());
        world.ledger().refused.push(world.now());
        return false;
    }
    pod.mounted.get_or_init(|| world.now());
    world.ledger().published += 1;
    true
}

fn read_all(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        fs::read(entry.path()).ok().map(|content| (name, content))
    };
    entries.filter_map(read).collect()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! A model of the pod watch: the real watch over a kube-apiserver in memory that fails, forgets
//! and goes silent, against the list of the pods that there are.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use coffer_fake_kube::{FakeKube, FaultQueue, RequestFault, drawn_faults};
use coffer_provider::PodEvent;
use kube::Api;
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_oneof, proptest};
use serde_json::json;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};

use super::{PodApi, PodFollower, QUEUED_EVENTS};

/// The node that is watched.
const NODE: &str = "node-1";

/// Time after which the lease manager asks for a list because of a pod that it does not know.
const UNLISTED_GRACE: Duration = Duration::from_secs(30);

/// Places for pods, more than two pages of a list.
const PLACES: usize = 24;

#[derive(Debug, Clone)]
enum PodStep {
    /// A pod begins in a place; one that is there is deleted first.
    Begin { place: usize, on_node: bool },
    /// The pod in a place has finished for good.
    Finish(usize),
    /// The pod in a place is deleted.
    Delete(usize),
    /// The pod in a place mounts a volume, so that it has a session.
    Mount(usize),
    /// kube-apiserver forgets its history.
    Forget,
    /// All watches end; with `forget`, what was watched is forgotten too.
    EndWatches { forget: bool },
    /// All connections of watches are dead, and nobody says so.
    Silence,
    /// The lease manager asks for a list.
    RequestList,
    /// Time passes, in milliseconds.
    Wait(u64),
}

fn step() -> impl Strategy<Value = PodStep> {
    let place = || 0..PLACES;
    prop_oneof![
        6 => (place(), proptest::bool::weighted(0.9)).prop_map(|(place, on_node)| PodStep::Begin { place, on_node }),
        2 => place().prop_map(PodStep::Finish),
        3 => place().prop_map(PodStep::Delete),
        5 => place().prop_map(PodStep::Mount),
        1 => Just(PodStep::Forget),
        2 => proptest::bool::ANY.prop_map(|forget| PodStep::EndWatches { forget }),
        1 => Just(PodStep::Silence),
        1 => Just(PodStep::RequestList),
        3 => (0..500_u64).prop_map(PodStep::Wait),
        3 => (0..100_000_u64).prop_map(PodStep::Wait),
    ]
}

/// A cluster, the watch on one of its nodes, and what the lease manager knows through it.
struct PodModel {
    server: FakeKube,
    faults: FaultQueue,
    events: mpsc::Receiver<PodEvent>,
    list: Arc<Notify>,
    /// The pods that are not finished, by place: their uid.
    running: HashMap<usize, String>,
    begun: usize,
    /// The uids of pods with sessions, and since when.
    sessions: HashMap<String, Instant>,
    /// The uids that the watch told, as the lease manager keeps them.
    told: HashSet<String>,
    list_requested: Instant,
    is_watched: bool,
}

impl PodModel {
    fn new(faults: Vec<RequestFault>) -> Self {
        let (server, queue) = (FakeKube::default(), FaultQueue::default());
        server.put("/api/v1/pods/own", pod("own", NODE, "Running"));
        queue.set(faults);
        let client = server.client("coffer", &queue);
        let (sender, events) = mpsc::channel(QUEUED_EVENTS);
        let list = Arc::new(Notify::new());
        let connect = move || {
            let pods = Api::all(client.clone());
            async move { Ok(PodApi { pods, own_pod: Some("own".to_owned()) }) }
        };
        tokio::spawn(PodFollower::new(NODE, sender).follow(connect, Arc::clone(&list)));
        Self {
            server,
            faults: queue,
            events,
            list,
            running: HashMap::new(),
            begun: 0,
            sessions: HashMap::new(),
            told: HashSet::new(),
            list_requested: Instant::now(),
            is_watched: false,
        }
    }

    async fn run(&mut self, step: PodStep) {
        match step {
            PodStep::Begin { place, on_node } => self.begin(place, on_node),
            PodStep::Finish(place) => {
                if let Some(uid) = self.running.remove(&place) {
                    self.server.put(&path(place), pod(&uid, NODE, "Succeeded"));
                }
            }
            PodStep::Delete(place) => {
                self.running.remove(&place);
                self.server.delete(&path(place));
            }
            PodStep::Mount(place) => {
                if let Some(uid) = self.running.get(&place) {
                    self.sessions.entry(uid.clone()).or_insert_with(Instant::now);
                }
            }
            PodStep::Forget => self.server.forget_changes(),
            PodStep::EndWatches { forget } => {
                self.server.end_watches();
                if forget {
                    self.server.forget_changes();
                }
            }
            PodStep::Silence => self.server.silence_watches(),
            PodStep::RequestList => self.list.notify_one(),
            PodStep::Wait(millis) => sleep(Duration::from_millis(millis)).await,
        }
        self.take_events();
    }

    fn begin(&mut self, place: usize, on_node: bool) {
        self.begun += 1;
        let uid = format!("uid-{}-{place}", self.begun);
        self.running.remove(&place);
        self.server.delete(&path(place));
        self.server.put(&path(place), pod(&uid, if on_node { NODE } else { "node-2" }, "Pending"));
        if on_node {
            self.running.insert(place, uid);
        }
    }

    /// Does with the events what the lease manager does with them.
    fn take_events(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            match event {
                PodEvent::Listed(uids, began) => {
                    self.is_watched = true;
                    let is_gone =
                        |uid: &String, since: &Instant| !uids.contains(uid) && since.into_std() < began;
                    let gone: Vec<String> =
                        self.sessions.iter().filter(|(u, s)| is_gone(u, s)).map(|(u, _)| u.clone()).collect();
                    gone.iter().for_each(|uid| self.end_session(uid));
                    self.told = uids;
                }
                PodEvent::Appeared(uid) => drop(self.told.insert(uid)),
                PodEvent::Gone(uid) => {
                    self.end_session(&uid);
                    self.told.remove(&uid);
                }
                PodEvent::Unwatchable(_) => self.is_watched = false,
            }
        }
    }

    fn end_session(&mut self, uid: &String) {
        assert!(!self.running.values().any(|running| running == uid), "{uid} is still there");
        self.sessions.remove(uid);
    }

    /// Passes time without faults, and asks for lists as the lease manager does.
    async fn come_to_rest(&mut self) {
        self.faults.set([]);
        for _ in 0..40 {
            sleep(UNLISTED_GRACE).await;
            self.take_events();
            let is_unlisted = self
                .sessions
                .iter()
                .any(|(uid, since)| !self.told.contains(uid) && since.elapsed() >= UNLISTED_GRACE);
            if is_unlisted && self.list_requested.elapsed() >= UNLISTED_GRACE {
                self.list_requested = Instant::now();
                self.list.notify_one();
            }
        }
        let mut running: HashSet<String> = self.running.values().cloned().collect();
        assert!(self.sessions.keys().all(|uid| running.contains(uid)), "the end of a pod was not told");
        running.insert("own".to_owned());
        assert_eq!(self.told, running);
        assert!(self.is_watched);
    }
}

fn path(place: usize) -> String {
    format!("/api/v1/pods/pod-{place}")
}

fn pod(uid: &str, node: &str, phase: &str) -> serde_json::Value {
    json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": uid, "uid": uid},
        "spec": {"nodeName": node}, "status": {"phase": phase}})
}

fn run(steps: Vec<PodStep>, faults: Vec<RequestFault>, refuse_forgotten: bool) {
    crate::model_runtime().block_on(async {
        let mut model = PodModel::new(faults);
        model.server.refuse_forgotten(refuse_forgotten);
        for step in steps {
            model.run(step).await;
        }
        model.come_to_rest().await;
    });
}

#[test]
fn a_watch_that_is_refused_as_forgotten_begins_with_a_list_again() {
    let begin = PodStep::Begin { place: 0, on_node: true };
    let steps = [
        begin,
        PodStep::Wait(1000),
        PodStep::Mount(0),
        PodStep::EndWatches { forget: true },
        PodStep::Delete(0),
    ];
    run(steps.to_vec(), Vec::new(), true);
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_pod_is_gone_while_it_is_there_and_each_end_is_told(
        steps in vec(step(), 1..60),
        faults in drawn_faults(40),
        refuse_forgotten in proptest::bool::ANY,
    ) {
        run(steps, faults, refuse_forgotten);
    }
}

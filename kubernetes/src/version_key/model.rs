//! A model of the key of the versions: several agents over one Secret that is missing, deleted,
//! broken and replaced, against the list of keys that were ever stored.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coffer_fake_kube::{FakeKube, FaultQueue, RequestFault, drawn_faults};
use coffer_provider::{Key, PodSeen, VersionKey};
use data_encoding::BASE64;
use futures_util::future::join_all;
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_oneof, proptest};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{CachedVersionKey, KeySource, MAX_AGE_FOR_NEW_POD, REFRESH_TIMEOUT};
use crate::{KubeConnection, Kubernetes};

/// Programs that share the key: agents and API servers.
const AGENTS: usize = 3;

const PATH: &str = "/api/v1/namespaces/coffer/secrets/key";

#[derive(Debug, Clone)]
enum KeyStep {
    /// An agent mounts a volume, and gives up after some milliseconds.
    Mount { agent: usize, new_pod: bool, gives_up: u64 },
    /// An agent starts again.
    Restart(usize),
    /// Somebody deletes the Secret.
    Delete,
    /// Somebody puts another key into the Secret.
    Replace,
    /// Somebody breaks the Secret.
    Break(Value),
    /// Time passes, in milliseconds.
    Wait(u64),
}

fn step() -> impl Strategy<Value = KeyStep> {
    let broken = prop_oneof![
        Just(json!({})),
        Just(json!({"data": {}})),
        Just(json!({"data": {"key": ""}})),
        Just(json!({"data": {"other": "aGVsbG8="}})),
    ];
    let gives_up = prop_oneof![2 => Just(100_000_u64), 1 => 0..20_000_u64];
    prop_oneof![
        8 => (0..AGENTS, proptest::bool::ANY, gives_up)
            .prop_map(|(agent, new_pod, gives_up)| KeyStep::Mount { agent, new_pod, gives_up }),
        1 => (0..AGENTS).prop_map(KeyStep::Restart),
        1 => Just(KeyStep::Delete),
        1 => Just(KeyStep::Replace),
        1 => broken.prop_map(KeyStep::Break),
        3 => (0..200_u64).prop_map(KeyStep::Wait),
        2 => (0..700_000_u64).prop_map(KeyStep::Wait),
    ]
}

struct KeyUser {
    key: CachedVersionKey,
    /// The place of its last version in the history of the Secret.
    last: Mutex<Option<usize>>,
}

struct KeyModel {
    server: FakeKube,
    faults: FaultQueue,
    agents: Vec<Arc<KeyUser>>,
    mounts: JoinSet<()>,
    /// Keys that were put into the Secret by hand, and deletions: each explains one more key.
    changes: usize,
}

impl KeyModel {
    fn new(faults: Vec<RequestFault>) -> Self {
        let (server, queue) = (FakeKube::default(), FaultQueue::default());
        queue.set(faults);
        let agents = (0..AGENTS).map(|_| agent(&server, &queue)).collect();
        Self { server, faults: queue, agents, mounts: JoinSet::new(), changes: 0 }
    }

    async fn run(&mut self, step: KeyStep) {
        match step {
            KeyStep::Mount { agent, new_pod, gives_up } => {
                let (agent, server) = (Arc::clone(&self.agents[agent]), self.server.clone());
                self.mounts.spawn(async move {
                    let mount = agent.mount(&server, new_pod);
                    let _ = timeout(Duration::from_millis(gives_up), mount).await;
                });
            }
            KeyStep::Restart(n) => self.agents[n] = agent(&self.server, &self.faults),
            KeyStep::Delete => {
                self.changes += 1;
                self.server.delete(PATH);
            }
            KeyStep::Replace => {
                self.changes += 1;
                let key = BASE64.encode(format!("key {}", self.changes).as_bytes());
                self.server.put(PATH, secret(&json!({"data": {"key": key}})));
            }
            KeyStep::Break(how) => self.server.put(PATH, secret(&how)),
            KeyStep::Wait(millis) => sleep(Duration::from_millis(millis)).await,
        }
        while let Some(mount) = self.mounts.try_join_next() {
            mount.expect("a mount");
        }
    }

    /// Passes time without faults until every agent must have the key of the Secret.
    async fn come_to_rest(&mut self) {
        self.faults.set([]);
        while let Some(mount) = self.mounts.join_next().await {
            mount.expect("a mount");
        }
        if self.server.object(PATH).is_some_and(|secret| key(&secret).is_none()) {
            // as the error advises
            self.server.delete(PATH);
            self.changes += 1;
        }
        // a read in the background may fail yet, and counts as one for as long as the key is new
        sleep(REFRESH_TIMEOUT + MAX_AGE_FOR_NEW_POD + Duration::from_secs(1)).await;
        let versions = join_all(self.agents.iter().map(|agent| agent.mount(&self.server, true))).await;
        let stored = version_of(&self.server.object(PATH).expect("the Secret"));
        assert!(versions.iter().all(|version| *version == stored), "{versions:?} are not {stored:?}");
        let mut keys: Vec<String> = self.server.past_objects(PATH).iter().filter_map(version_of).collect();
        keys.sort();
        keys.dedup();
        assert!(keys.len() <= self.changes + 1, "{} keys after {} changes", keys.len(), self.changes);
    }
}

impl KeyUser {
    /// Returns the version that a mount gives a file; none without a key.
    async fn mount(&self, server: &FakeKube, new_pod: bool) -> Option<String> {
        let key = self.key.key(if new_pod { PodSeen::New } else { PodSeen::Before }).await.ok()?;
        let version = key.version(b"path", b"content");
        // the last one that has it: a key may have been stored again
        let history = server.past_objects(PATH);
        let place = history.iter().rposition(|secret| version_of(secret).as_ref() == Some(&version));
        let place = place.expect("the key was stored");
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(last.is_none_or(|last| last <= place), "the version before the last came again");
        *last = Some(place);
        Some(version)
    }
}

fn agent(server: &FakeKube, faults: &FaultQueue) -> Arc<KeyUser> {
    let client = server.client("coffer", faults);
    let kubernetes = Kubernetes::from(KubeConnection { client, namespace: "coffer".to_owned() });
    let key = CachedVersionKey::new(KeySource::Secret("key".to_owned()), Arc::new(kubernetes));
    Arc::new(KeyUser { key, last: Mutex::default() })
}

fn secret(fields: &Value) -> Value {
    let mut secret = json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "key"}});
    if let Some(data) = fields.get("data") {
        secret["data"] = data.clone();
    }
    secret
}

/// Returns the key in a Secret; none if there is none in it.
fn key(secret: &Value) -> Option<Vec<u8>> {
    let text = secret.pointer("/data/key")?.as_str()?;
    BASE64.decode(text.as_bytes()).ok().filter(|key| !key.is_empty())
}

fn version_of(secret: &Value) -> Option<String> {
    Some(Key::new(&key(secret)?).version(b"path", b"content"))
}

fn run(steps: Vec<KeyStep>, faults: Vec<RequestFault>) {
    crate::model_runtime().block_on(async {
        let mut model = KeyModel::new(faults);
        for step in steps {
            model.run(step).await;
        }
        model.come_to_rest().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_agents_end_with_the_one_stored_key(steps in vec(step(), 1..50), faults in drawn_faults(50)) {
        run(steps, faults);
    }
}

//! The read path, from a class to files.

mod bundle;
mod examination;
mod files;
mod held;
mod probe;
mod sample;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coffer_shares::Priority;
use coffer_vault::{HeavyTurn, HeavyTurns, Secret, TargetHandle, Targets, VaultNamespace};
use tokio::time::timeout_at;

use self::files::Files;
use self::held::{HeldCredentials, HeldMemory};
use crate::class::Class;
use crate::digest::digest;
use crate::fetch::{FailedRequest, Fetch, Fetched};
use crate::issuing::Engines;
use crate::lease::{Background, LeaseManager, LeaseStore, PodEvents, StateStore};
use crate::memory::MemoryAccount;
use crate::metrics::ReadMetrics;
use crate::request::{Issuing, ReadRequest, TokenMinter};
use crate::session::{LoginContext, Session, SessionKey, SessionState, Sessions, UsedSession, VolumeId};
use crate::settings::Settings;
use crate::version::{Key, PodSeen, VersionKey};
use crate::{Clock, Error, ErrorKind, PodReporter, PolicyFile, RefusalReason};

pub use bundle::{Bundle, File, HeldForAnswer};
pub use examination::VaultExamination;
pub use probe::{Outcome, Probed, ProbedFile};
pub use sample::{RenderedFile, render_sample};

/// The read path. A process has one [`Provider`], which holds connections, tokens and answers.
pub struct Provider {
    /// Audience of the service account tokens that a driver sends along, if the class names none.
    default_audience: String,
    /// File of the process's own service account token.
    own_token: Option<PathBuf>,
    policy: Option<Arc<PolicyFile>>,
    background: Arc<Background>,
    engines: Engines,
    minter: Arc<dyn TokenMinter>,
    version_key: Arc<dyn VersionKey>,
    heavy_turns: HeavyTurns,
}

/// The interfaces that a process provides to the read path.
pub struct Ports {
    /// Mints service account tokens.
    pub minter: Arc<dyn TokenMinter>,
    /// Provides the key of the versions.
    pub version_key: Arc<dyn VersionKey>,
    /// Returns the time.
    pub clock: Arc<dyn Clock>,
    /// The metrics of the read path.
    pub metrics: Arc<ReadMetrics>,
    /// Tells the owners of pods what happens to their credentials.
    pub reporter: Arc<dyn PodReporter>,
}

/// Time between the deadline of the requests to Vault and the deadline of the read. A request that
/// hangs then fails with an error that names the request.
const ANSWER_TIME: Duration = Duration::from_millis(500);

impl Provider {
    /// Returns a provider with the process's settings. No leases are stored and renewed before
    /// [`Self::start_lease_manager`] is called.
    #[must_use]
    pub fn new(settings: Settings, ports: Ports) -> Self {
        let Ports { minter, version_key, clock, metrics, reporter } = ports;
        let (account, heavy_turns) = (MemoryAccount::new(settings.memory), HeavyTurns::default());
        let targets = Targets::new(
            settings.connections(),
            Arc::clone(&metrics) as _,
            account.all.clone(),
            heavy_turns.clone(),
        );
        let background = Background {
            targets: Arc::new(targets),
            sessions: Arc::new(Sessions::new(settings.cache_size, account, Arc::clone(&clock))),
            leases: Arc::default(),
            clock,
            metrics,
            reporter,
            pace: Default::default(),
        };
        let background = Arc::new(background);
        background.metrics.memory.set(HeldMemory(Arc::downgrade(&background)));
        background.metrics.credentials.set(HeldCredentials(Arc::downgrade(&background)));
        Self {
            background,
            engines: Engines::default(),
            default_audience: settings.audience,
            own_token: settings.own_token,
            policy: settings.policy,
            minter,
            version_key,
            heavy_turns,
        }
    }

    /// Returns the account of memory, for what a door holds of a namespace.
    #[must_use]
    pub fn memory(&self) -> &MemoryAccount {
        &self.background.sessions.memory
    }

    /// Returns the metrics of the read path.
    #[must_use]
    pub fn metrics(&self) -> &ReadMetrics {
        &self.background.metrics
    }

    /// Returns the turns for heavy work.
    #[must_use]
    pub fn heavy_turns(&self) -> &HeavyTurns {
        &self.heavy_turns
    }

    /// Starts the lease manager for the pods of this node, on the current tokio runtime. Call this
    /// function before the first read.
    ///
    /// The sessions in `store` are restored. From now on tokens and leases are stored and renewed,
    /// and tokens are revoked when `pods` reports that a pod is gone.
    #[must_use]
    pub fn start_lease_manager(&self, store: Arc<dyn StateStore>, pods: PodEvents) -> LeaseManager {
        LeaseManager::start(Arc::clone(&self.background), store, pods)
    }

    /// Removes the service account tokens that a read of the class cannot use.
    pub fn keep_needed_tokens(&self, class: &Class, tokens: &mut BTreeMap<String, Secret>) {
        let wanted = class.audience.as_deref().unwrap_or(&self.default_audience);
        tokens.retain(|audience, _| audience == wanted || (audience.is_empty() && class.audience.is_none()));
    }

    /// Returns whether a volume of a pod has got files, from this process or, by what it stored, the
    /// one before.
    #[must_use]
    pub fn gave_files(&self, pod_uid: &str, volume: &str) -> bool {
        self.background.sessions.gave_files(pod_uid, volume_id(volume))
    }

    /// Reads every object of a class.
    ///
    /// # Errors
    /// [`Error`], for the first object that failed, before the deadline of the request.
    ///
    /// # Examples
    /// ```
    /// use std::collections::BTreeMap;
    /// use std::time::Duration;
    ///
    /// use coffer_provider::class::ClassCache;
    /// use coffer_provider::{Error, Identity, Issuing, Pod, Provider, ReadRequest};
    /// use tokio::time::Instant;
    ///
    /// async fn print_files(
    ///     provider: &Provider,
    ///     classes: &ClassCache,
    ///     parameters: BTreeMap<String, String>,
    /// ) -> Result<(), Error> {
    ///     let request = ReadRequest {
    ///         class: classes.class(parameters, "shop", provider.heavy_turns()).await?,
    ///         identity: Identity {
    ///             namespace: "shop".to_owned(),
    ///             service_account: "shop".to_owned(),
    ///             pod: Some(Pod { name: "shop-0".to_owned(), uid: "0d1f".to_owned() }),
    ///         },
    ///         volume: "/var/lib/kubelet/pods/0d1f/volumes/secrets/mount".to_owned(),
    ///         tokens: BTreeMap::new(),
    ///         default_mode: 0o644,
    ///         issuing: Issuing::Allowed,
    ///         max_bytes: 4 << 20,
    ///         deadline: Instant::now() + Duration::from_secs(60),
    ///     };
    ///     for file in provider.read(&request).await?.files {
    ///         println!("{} has version {}", file.path, file.version);
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub async fn read(&self, request: &ReadRequest) -> Result<Bundle, Error> {
        self.check_policy(request)?;
        let began = self.background.clock.now();
        let tenant = request.identity.namespace.as_str();
        let target = self.background.targets.handle(&request.class.target, tenant)?;
        let turn = target.limits.reads.take(tenant, 1, Priority::Reserved);
        let Ok(Ok(_turn)) = timeout_at(request.deadline, turn).await else {
            return Err(waited_too_long(&target));
        };
        let leases = self.background.leases.active();
        let session = self.session(request, leases.is_some())?;
        let key = self.version_key(&session, request).await?;
        let heavy = Arc::new(HeavyTurn::default());
        let fetch = self.fetch(request, (&target, &heavy), &session, leases, began);
        let answers = match timeout_at(request.deadline, self.answers(&fetch, request.issuing)).await {
            Ok(answers) => answers.map_err(|failed| name_object(failed, &request.class))?,
            Err(_) => return Err(took_too_long(&target)),
        };
        let volume = fetch.volume;
        let (memory, max_bytes) = (self.memory().of(tenant), request.max_bytes);
        let (class, session_used) = (Arc::clone(&request.class), Arc::clone(&session));
        let default_mode = request.default_mode;
        let files = Files { class, answers, session: session_used, key, default_mode, max_bytes };
        let rendered = files.render(&memory, &heavy, &self.heavy_turns);
        let Ok(rendered) = timeout_at(request.deadline, rendered).await else {
            return Err(took_too_long(&target));
        };
        let (files, memory) = rendered?;
        let requests: Vec<_> = request.class.plan.requests.iter().map(|planned| planned.id).collect();
        let mut had_files = session.with_files().contains(&volume);
        if session.note_mount(volume, &requests) {
            had_files |= self.background.sessions.remove_volume_from_others(&session, volume);
        }
        if session.pod().is_some() && (had_files || !files.is_empty()) {
            session.note_files(volume);
        }
        // before the answer: what was issued for a mounted file is not issued again after a crash
        if let Some(leases) = leases.filter(|_| session.pod().is_some() && session.changes.are_pending()) {
            leases.save(&session);
        }
        Ok(Bundle { files, had_files, held: HeldForAnswer { _memory: memory } })
    }

    /// Checks the class against the policy of now, so that a change counts at the next mount.
    fn check_policy(&self, request: &ReadRequest) -> Result<(), Error> {
        let policy = self.policy.as_ref().map(|file| file.policy());
        policy.map_or(Ok(()), |policy| policy.check(&request.identity.namespace, &request.class))
    }

    async fn answers(&self, fetch: &Fetch<'_>, issuing: Issuing) -> Result<Vec<Fetched>, FailedRequest> {
        if issuing == Issuing::Refused {
            self.engines.refuse_issuing(fetch).await?;
        }
        fetch.answers().await
    }

    fn session(&self, request: &ReadRequest, leases_kept: bool) -> Result<UsedSession, Error> {
        let Class { target, namespace, auth_mount, role, audience, warnings, .. } = &*request.class;
        let key = SessionKey {
            target: target.clone(),
            namespace: namespace.clone(),
            auth_mount: auth_mount.clone(),
            role: role.clone(),
            audience: audience.clone(),
            identity: request.identity.clone(),
        };
        let found = self.background.sessions.session(key, leases_kept)?;
        self.background.metrics.sessions(found.active);
        for evicted in found.evicted {
            Background::revoke_evicted(&self.background, evicted);
        }
        if found.session.state() == SessionState::New {
            let namespace = &request.identity.namespace;
            let pod = request.identity.pod.as_ref().map(|pod| pod.name.as_str());
            for warning in warnings {
                tracing::warn!(%warning, namespace, pod, "the SecretProviderClass may have a mistake");
            }
        }
        Ok(found.session)
    }

    fn fetch<'a>(
        &'a self,
        request: &'a ReadRequest,
        (target, turn): (&'a Arc<TargetHandle>, &'a Arc<HeavyTurn>),
        session: &'a Session,
        leases: Option<&'a LeaseStore>,
        began: Instant,
    ) -> Fetch<'a> {
        let class = &*request.class;
        let tenant = request.identity.namespace.as_str();
        let has_pod = request.identity.pod.is_some();
        let leases = leases.filter(|_| has_pod);
        let deadline = request.deadline.checked_sub(ANSWER_TIME).unwrap_or(request.deadline);
        Fetch {
            class,
            session,
            login: LoginContext {
                key: &session.key,
                vault: VaultNamespace { target, namespace: class.namespace.as_deref(), tenant, turn }
                    .until(deadline),
                began,
                service_account_tokens: &request.tokens,
                default_audience: &self.default_audience,
                own_token: self.own_token.as_deref(),
                minter: &*self.minter,
                clock: &*self.background.clock,
                metrics: &self.background.metrics,
                renewed: leases.is_some(),
            },
            leases,
            reporter: &*self.background.reporter,
            volume: volume_id(&request.volume),
            // a service account that reads without a pod always gets the current value
            refresh_interval: if has_pod { class.refresh_interval } else { Duration::ZERO },
        }
    }

    async fn version_key(&self, session: &Session, request: &ReadRequest) -> Result<Arc<Key>, Error> {
        let pod = if session.state() == SessionState::New { PodSeen::New } else { PodSeen::Before };
        let no_key = |_| Error::new(ErrorKind::NoVersionKey, "the key for the versions took too long");
        timeout_at(request.deadline, self.version_key.key(pod)).await.map_err(no_key)?
    }
}

/// Returns the ID of the volume with this mount path.
fn volume_id(path: &str) -> VolumeId {
    let mut first = [0; 8];
    first.copy_from_slice(&digest(path.as_bytes())[..8]);
    u64::from_be_bytes(first)
}

/// Returns the error with the first object that needs the failed request, before those that are
/// optional.
fn name_object(failed: FailedRequest, class: &Class) -> Error {
    let mut objects = class.plan.objects_of(failed.index).map(|at| &class.objects[at]);
    let first = objects.clone().find(|object| !object.is_optional).or_else(|| objects.next());
    match first {
        Some(first) => failed.error.with_object(first.name()),
        None => *failed.error,
    }
}

fn waited_too_long(target: &TargetHandle) -> Error {
    Error::new(
        ErrorKind::TimedOut,
        format!(
            "waited too long behind other mounts that read from {}; is that Vault slow?",
            target.target.address
        ),
    )
    .refused_for(RefusalReason::Turns)
}

fn took_too_long(target: &TargetHandle) -> Error {
    Error::new(ErrorKind::TimedOut, format!("reading from {} took too long", target.target.address))
}

//! The one read path, from parameters to files.

mod probe;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use crate::class::{Class, Object};
use crate::digest::digest;
use crate::fetch::fetch;
use crate::issuing::Engines;
use crate::keeping::{Keeping, StateStore};
use crate::metrics::Metrics;
use crate::plan::Plan;
use crate::render::{Parsed, render};
use crate::request::{Issuing, ReadRequest, TokenMinter};
use crate::session::{Reading, Session, SessionKey, Sessions};
use crate::settings::Settings;
use crate::vault::{TargetHandle, Targets, Vault};
use crate::version::{Key, PodSeen, VersionKey};
use crate::{Clock, Error, ErrorKind, Secret};

pub use probe::{Outcome, Probed};

/// Reads what classes name. One for the whole process; it keeps connections and tokens.
pub struct Provider {
    settings: Settings,
    pub(crate) targets: Targets,
    pub(crate) sessions: Sessions,
    pub(crate) keeping: Option<Arc<Keeping>>,
    engines: Engines,
    pub(crate) clock: Arc<dyn Clock>,
    minter: Arc<dyn TokenMinter>,
    version_key: Arc<dyn VersionKey>,
    pub(crate) metrics: Arc<Metrics>,
}

/// What the process lends to the read path.
pub struct Ports {
    /// Mints service account tokens.
    pub minter: Arc<dyn TokenMinter>,
    /// Holds the key of the versions.
    pub version_key: Arc<dyn VersionKey>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Keeps tokens and leases over a restart. Without it nothing that Vault issues is kept between reads.
    pub store: Option<Arc<dyn StateStore>>,
}

/// The files of a class: all of them, never some.
#[derive(Debug)]
pub struct Bundle {
    /// One file an object, in the class's order.
    pub files: Vec<File>,
}

/// One file.
#[derive(Debug)]
pub struct File {
    /// Path below the mount; also the id of the version.
    pub path: String,
    /// Mode bits, 0 to 0777.
    pub mode: u32,
    /// The bytes.
    pub contents: Secret,
    /// Changes when the contents do, and only then; never empty.
    pub version: String,
}

/// What is kept of a read's time for the answer: what hangs is then named by its own step.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl Provider {
    /// A provider with the process's settings.
    #[must_use]
    pub fn new(settings: Settings, ports: Ports) -> Self {
        let Ports { minter, version_key, clock, metrics, store } = ports;
        let keeping = store.map(|store| Arc::new(Keeping::new(store)));
        Self {
            targets: Targets::new(settings.clone()),
            sessions: Sessions::new(settings.cache_size, Arc::clone(&clock), keeping.clone()),
            keeping,
            engines: Engines::default(),
            settings,
            clock,
            minter,
            version_key,
            metrics,
        }
    }

    /// Reads every object of a class, or says why it cannot.
    ///
    /// # Errors
    /// [`Error`] names what failed and where; it ends by the request's deadline.
    pub async fn read(&self, request: &ReadRequest) -> Result<Bundle, Error> {
        let began = self.clock.now();
        let class = &*request.class;
        let plan = Plan::new(&class.objects);
        let target = self.targets.handle(&class.target)?;
        let Ok(Ok(_turn)) = timeout_at(request.deadline, target.limits.reads.acquire()).await else {
            return Err(queued_out(&target));
        };
        let session = self.session(class, request);
        let key = self.version_key(&session, request).await?;
        let reading = self.reading(class, &target, request, began);
        let answers = async {
            if request.issuing == Issuing::Refused {
                self.engines.refuse_issuing(&plan, &session, &reading).await?;
            }
            fetch(&plan, &class.objects, &session, &reading).await
        };
        let answers = match timeout_at(request.deadline, answers).await {
            Ok(answers) => answers.map_err(|(n, error)| name_object(error, n, &plan, &class.objects))?,
            Err(_) => return Err(took_too_long(&target)),
        };
        let (requests, answers): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
        let parsed: Vec<Parsed<'_>> = answers.iter().map(|answer| Parsed::new(answer)).collect();
        let mut files = Vec::with_capacity(class.objects.len());
        let mut bytes = 0;
        for (object, n) in class.objects.iter().zip(&plan.request_of) {
            let file = file(object, &parsed[*n], &session, &key, request.default_mode)?;
            bytes += file.contents.len();
            if bytes > request.max_bytes {
                return Err(too_large(bytes, request.max_bytes).with_object(object.file.as_str()));
            }
            files.push(file);
        }
        session.mark_served();
        if session.note_mount(reading.volume, &requests) {
            self.sessions.leave_others(&session, reading.volume);
        }
        Ok(Bundle { files })
    }

    fn session(&self, class: &Class, request: &ReadRequest) -> Arc<Session> {
        let (session, kept) = self.sessions.session(SessionKey {
            target: class.target.clone(),
            namespace: class.namespace.clone(),
            auth_mount: class.auth_mount.clone(),
            role: class.role.clone(),
            audience: class.audience.clone(),
            identity: request.identity.clone(),
        });
        self.metrics.sessions(kept);
        if !session.was_served() {
            let namespace = &request.identity.namespace;
            let pod = request.identity.pod.as_ref().map(|pod| pod.name.as_str());
            for warning in &class.warnings {
                tracing::warn!(namespace, pod, "SecretProviderClass: {warning}");
            }
        }
        session
    }

    fn reading<'a>(
        &'a self,
        class: &'a Class,
        target: &'a TargetHandle,
        request: &'a ReadRequest,
        began: Instant,
    ) -> Reading<'a> {
        Reading {
            vault: Vault {
                target,
                namespace: class.namespace.as_deref(),
                deadline: request.deadline.checked_sub(LAST_WORDS).unwrap_or(request.deadline),
                metrics: &self.metrics,
            },
            began,
            tokens: &request.tokens,
            default_audience: &self.settings.audience,
            minter: &*self.minter,
            class: &class.name,
            volume: volume(&request.volume),
            // who reads without a pod asks for what is there now
            refresh_interval: request
                .identity
                .pod
                .as_ref()
                .map_or(Duration::ZERO, |_| class.refresh_interval),
        }
    }

    async fn version_key(&self, session: &Session, request: &ReadRequest) -> Result<Arc<Key>, Error> {
        let pod = if session.was_served() { PodSeen::Before } else { PodSeen::New };
        let no_key = |_| Error::new(ErrorKind::NoVersionKey, "the key for the versions took too long");
        timeout_at(request.deadline, self.version_key.key(pod)).await.map_err(no_key)?
    }
}

/// A digest of what a driver calls a volume by.
fn volume(name: &str) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&digest(name.as_bytes())[..8]);
    u64::from_be_bytes(first)
}

fn file(
    object: &Object,
    parsed: &Parsed<'_>,
    session: &Session,
    key: &Key,
    default_mode: u32,
) -> Result<File, Error> {
    let rendered = render(object, parsed, &session.earlier)?;
    Ok(File {
        path: object.file.as_str().to_owned(),
        mode: object.mode.unwrap_or(default_mode),
        version: key.version(object.fingerprint.expose(), &rendered.contents.expose()[rendered.hashed]),
        contents: rendered.contents,
    })
}

fn name_object(error: Error, request: usize, plan: &Plan<'_>, objects: &[Object]) -> Error {
    match plan.request_of.iter().position(|n| *n == request) {
        Some(first) => error.with_object(objects[first].file.as_str()),
        None => error,
    }
}

fn queued_out(target: &TargetHandle) -> Error {
    Error::new(
        ErrorKind::TimedOut,
        format!(
            "waited too long behind other mounts that read from {}; is that Vault slow?",
            target.target.address
        ),
    )
}

fn took_too_long(target: &TargetHandle) -> Error {
    Error::new(ErrorKind::TimedOut, format!("reading from {} took too long", target.target.address))
}

fn too_large(bytes: usize, limit: usize) -> Error {
    let message =
        format!("the files up to this one are {bytes} bytes, more than the {limit} that may be answered");
    Error::new(ErrorKind::TooLarge, message).with_advice("Split the class, or raise the limit")
}

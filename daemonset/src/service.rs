//! The gRPC service: decodes a call, reads the class, encodes the answer. Every call ends in time,
//! with a final code.

use std::sync::Arc;
use std::time::Duration;

use coffer_process::Phase;
use coffer_proto::v1alpha1::csi_driver_provider_server::CsiDriverProvider;
use coffer_proto::v1alpha1::{
    self, MountRequest, MountResponse, ObjectVersion, VersionRequest, VersionResponse,
};
use coffer_provider::class::{Class, ClassCache};
use coffer_provider::{
    Bundle, Error, ErrorKind, File, HeldForAnswer, Issuing, PodReporter, Provider, ReadRequest,
    RefusalReason, Secret,
};
use prost::Message;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Response, Status};

use crate::admission::DecodingPlace;
use crate::deadline;
use crate::driver_request::{self, DriverRequest, NO_FILES};
use crate::grpc_status::status;
use crate::metrics::{AgentMetrics, MountOutcome};
use crate::rotation_report::rotation_report;
use crate::volumes::{PodVolume, Volumes};

/// Memory of a mount in progress besides its request and what it reads, in bytes.
const MOUNT_BYTES: usize = 16 << 10;

/// How often the text of a request is in memory during a mount: as it was sent, and parsed.
const COPIES: usize = 3;

/// Answers the driver's calls.
#[derive(Clone)]
pub(crate) struct ProviderService {
    pub(crate) provider: Arc<Provider>,
    pub(crate) classes: Arc<ClassCache>,
    pub(crate) metrics: Arc<AgentMetrics>,
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) reporter: Arc<dyn PodReporter>,
    pub(crate) max_response_bytes: usize,
    pub(crate) phase: watch::Receiver<Phase>,
}

#[tonic::async_trait]
impl CsiDriverProvider for ProviderService {
    async fn version(&self, _: Request<VersionRequest>) -> Result<Response<VersionResponse>, Status> {
        Ok(Response::new(VersionResponse {
            version: "v1alpha1".to_owned(),
            runtime_name: "coffer-csi".to_owned(),
            runtime_version: env!("CARGO_PKG_VERSION").to_owned(),
        }))
    }

    async fn mount(&self, request: Request<MountRequest>) -> Result<Response<MountResponse>, Status> {
        let time_limit = deadline::time_limit(request.metadata());
        let place = request.extensions().get().cloned().unwrap_or_default();
        // in a task of its own: a driver that hangs up does not stop it halfway, and its panic ends
        // nobody else
        let mount = tokio::spawn(self.clone().mount_in_time(request.into_inner(), place, time_limit));
        let mounted = mount.await.unwrap_or_else(|_| {
            self.metrics.mounted(MountOutcome::Failed(ErrorKind::Internal), Duration::ZERO);
            Err(Error::new(ErrorKind::Internal, "a fault in coffer-csi; its log says where"))
        });
        let Answered { response, held } = mounted.map_err(|error| status(&error))?;
        let mut response = Response::new(response);
        response.extensions_mut().insert(Arc::new(held));
        Ok(response)
    }
}

/// The answer to a mount, and what is held until it is sent.
struct Answered {
    response: MountResponse,
    held: HeldForAnswer,
}

impl ProviderService {
    async fn mount_in_time(
        self,
        request: MountRequest,
        place: DecodingPlace,
        time_limit: Duration,
    ) -> Result<Answered, Error> {
        let began = Instant::now();
        let _in_progress = MountInProgress::new(&self.metrics);
        let request = driver_request::parse(request);
        let volume = request.as_ref().ok().and_then(DriverRequest::pod_volume);
        let volume = volume.map(|volume| self.volumes.with_known_class(volume));
        let mut phase = self.phase.clone();
        let answer = match request {
            Ok(request) => tokio::select! {
                answer = self.answer(request, place, began + time_limit) => answer,
                _ = phase.wait_for(|phase| *phase == Phase::Ending) => {
                    Err(Error::new(ErrorKind::Internal, "coffer-csi is shutting down; the mount is tried again"))
                }
            },
            Err(error) => Err(error),
        };
        self.ended(volume.as_ref(), answer.as_ref().map(|_| ()), began.elapsed());
        answer
    }

    /// Counts, records and logs how a mount ended.
    fn ended(&self, volume: Option<&PodVolume>, result: Result<(), &Error>, took: Duration) {
        let outcome =
            result.map_or_else(|error| MountOutcome::Failed(error.kind), |()| MountOutcome::Mounted);
        self.metrics.mounted(outcome, took);
        if let Some(reason) = result.err().and_then(|error| error.refused) {
            self.provider.metrics().refused(reason);
        }
        if let Some(volume) = volume {
            self.metrics.mounted_class(&volume.namespace, &volume.class, outcome);
            // a mount that the end of this process cut off says nothing of the volume
            if *self.phase.borrow() != Phase::Ending {
                self.record(volume, result);
            }
        }
        let namespace = volume.map(|volume| &volume.namespace);
        let (pod, class) = (volume.map(|volume| &volume.pod.name), volume.map(|volume| &volume.class));
        let ms = took.as_millis();
        if let Err(error) = result {
            tracing::warn!(error = %format_args!("{error:#}"), namespace, pod, class, ms, "mount failed");
        } else {
            tracing::debug!(namespace, pod, class, ms, "mounted");
        }
    }

    /// Records what a mount changed for its volume, and reports it on the pod.
    fn record(&self, volume: &PodVolume, result: Result<(), &Error>) {
        let was_mounted = || volume.has_files || self.provider.gave_files(&volume.pod.uid, &volume.path);
        let change = self.volumes.record(volume, result, was_mounted, std::time::Instant::now());
        if let Some(report) = rotation_report(volume, change, result.err()) {
            self.reporter.report(report);
        }
    }

    async fn answer(
        &self,
        request: DriverRequest,
        place: DecodingPlace,
        deadline: Instant,
    ) -> Result<Answered, Error> {
        let memory = self.provider.memory().of(&request.identity.namespace);
        let bytes = MOUNT_BYTES + COPIES * request.bytes();
        let _memory = memory.take(bytes).ok_or_else(|| memory.used_up())?;
        drop(place);
        let DriverRequest { parameters, identity, volume, mut tokens, default_mode, has_files } = request;
        let class = self.classes.class(parameters, &identity.namespace, self.provider.heavy_turns());
        let class = timeout_at(deadline, class).await.map_err(|_| waited_too_long())??;
        self.provider.keep_needed_tokens(&class, &mut tokens);
        let read = ReadRequest {
            class,
            identity,
            volume,
            tokens,
            default_mode,
            issuing: Issuing::Allowed,
            max_bytes: self.max_response_bytes,
            deadline,
        };
        let Bundle { files, had_files, held } = self.provider.read(&read).await?;
        let response = match files.is_empty() {
            true if has_files || had_files => return Err(no_file_left()),
            true => without_files(&read.class),
            false => encode(files),
        };
        match response.encoded_len() {
            size if size > self.max_response_bytes => {
                Err(too_large(&response, size, self.max_response_bytes))
            }
            _ => Ok(Answered { response, held }),
        }
    }
}

fn encode(files: Vec<File>) -> MountResponse {
    let mut answer = MountResponse::default();
    for file in files {
        answer.object_version.push(ObjectVersion { id: file.path.clone(), version: file.version });
        answer.files.push(v1alpha1::File {
            path: file.path,
            mode: file.mode.cast_signed(),
            contents: Secret::into_bytes(file.contents),
        });
    }
    answer
}

/// Returns the answer for a volume that had no file before and gets none: all objects are optional
/// and absent.
fn without_files(class: &Class) -> MountResponse {
    let id = class.objects.first().map(|object| object.name().to_owned()).unwrap_or_default();
    let version = NO_FILES.to_owned();
    MountResponse { object_version: vec![ObjectVersion { id, version }], ..MountResponse::default() }
}

fn no_file_left() -> Error {
    Error::new(ErrorKind::NotFound, "every object is optional, and none is in Vault any more")
        .with_advice("The driver cannot remove the last file of a volume: what is mounted stays")
}

fn waited_too_long() -> Error {
    Error::new(ErrorKind::TimedOut, "waited too long behind other large classes of this namespace")
        .refused_for(RefusalReason::Turns)
}

fn too_large(answer: &MountResponse, size: usize, limit: usize) -> Error {
    let largest = answer.files.iter().max_by_key(|file| file.contents.len());
    let largest =
        largest.map(|file| format!("; the largest, {:?}, is {} bytes", file.path, file.contents.len()));
    Error::new(
        ErrorKind::TooLarge,
        format!("the files are {size} bytes in all, more than {limit}{}", largest.unwrap_or_default()),
    )
    .with_advice(
        "Split the class, or raise -max-response-bytes here and --max-call-recv-msg-size at the driver",
    )
}

/// Counts a mount as in progress until this is dropped.
struct MountInProgress(Arc<AgentMetrics>);

impl MountInProgress {
    fn new(metrics: &Arc<AgentMetrics>) -> Self {
        metrics.in_progress.inc();
        Self(Arc::clone(metrics))
    }
}

impl Drop for MountInProgress {
    fn drop(&mut self) {
        self.0.in_progress.dec();
    }
}

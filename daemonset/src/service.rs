//! The gRPC service: decode, read, encode. Every call ends with a final code, in time.

use std::sync::Arc;
use std::time::Duration;

use coffer_proto::v1alpha1::csi_driver_provider_server::CsiDriverProvider;
use coffer_proto::v1alpha1::{
    self, MountRequest, MountResponse, ObjectVersion, VersionRequest, VersionResponse,
};
use coffer_provider::class::ClassCache;
use coffer_provider::{Bundle, Error, ErrorKind, Issuing, Provider, ReadRequest, Secret};
use prost::Message;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use crate::attributes::{self, DriverRequest};
use crate::metrics::{Metrics, Outcome};
use crate::server::Phase;
use crate::{deadline, status};

/// Serves the driver.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) provider: Arc<Provider>,
    pub(crate) classes: Arc<ClassCache>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) max_response_bytes: usize,
    pub(crate) phase: watch::Receiver<Phase>,
}

#[tonic::async_trait]
impl CsiDriverProvider for Service {
    async fn version(&self, _: Request<VersionRequest>) -> Result<Response<VersionResponse>, Status> {
        Ok(Response::new(VersionResponse {
            version: "v1alpha1".to_owned(),
            runtime_name: "coffer-csi".to_owned(),
            runtime_version: env!("CARGO_PKG_VERSION").to_owned(),
        }))
    }

    async fn mount(&self, request: Request<MountRequest>) -> Result<Response<MountResponse>, Status> {
        let time = deadline::time_for(request.metadata());
        // in a task of its own: a driver that hangs up does not stop it halfway, and its panic ends nobody else
        let mount = tokio::spawn(self.clone().mount_in_time(request.into_inner(), time));
        let answer = mount.await.unwrap_or_else(|_| {
            self.metrics.mounted(Outcome::Failed(ErrorKind::Internal), Duration::ZERO);
            Err(Error::new(ErrorKind::Internal, "a fault in coffer-csi; its log says where"))
        });
        answer.map(Response::new).map_err(|error| status::status(&error))
    }
}

impl Service {
    async fn mount_in_time(self, request: MountRequest, time: Duration) -> Result<MountResponse, Error> {
        let began = Instant::now();
        let _in_progress = InProgress::new(&self.metrics);
        let request = attributes::parse(request);
        let about = request.as_ref().map_or_else(|_| String::new(), about);
        let mut phase = self.phase.clone();
        let answer = match request {
            Ok(request) => tokio::select! {
                answer = self.answer(request, began + time) => answer,
                _ = phase.wait_for(|phase| *phase == Phase::Ending) => {
                    Err(Error::new(ErrorKind::Internal, "coffer-csi is shutting down; the mount is tried again"))
                }
            },
            Err(error) => Err(error),
        };
        let took = began.elapsed();
        let outcome = answer.as_ref().map_or_else(|error| Outcome::Failed(error.kind), |_| Outcome::Mounted);
        self.metrics.mounted(outcome, took);
        let ms = took.as_millis();
        if let Err(error) = &answer {
            tracing::warn!(about, ms, "mount failed: {error}");
        } else {
            tracing::debug!(about, ms, "mounted");
        }
        answer
    }

    async fn answer(&self, request: DriverRequest, deadline: Instant) -> Result<MountResponse, Error> {
        let DriverRequest { parameters, identity, volume, tokens, default_mode } = request;
        let read = ReadRequest {
            class: self.classes.class(&parameters)?,
            identity,
            volume,
            tokens,
            default_mode,
            issuing: Issuing::Allowed,
            max_bytes: self.max_response_bytes,
            deadline,
        };
        let answer = encode(self.provider.read(&read).await?);
        match answer.encoded_len() {
            size if size > self.max_response_bytes => Err(too_large(&answer, size, self.max_response_bytes)),
            _ => Ok(answer),
        }
    }
}

fn encode(Bundle { files }: Bundle) -> MountResponse {
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

/// Namespace, pod and class of a request, for the log.
fn about(request: &DriverRequest) -> String {
    let pod = request.identity.pod.as_ref().map_or("?", |pod| pod.name.as_str());
    let class = request.parameters.get("secretProviderClass").map_or("", String::as_str);
    format!("{}/{pod} {class}", request.identity.namespace)
}

/// Counts a mount as in progress for as long as it lives.
struct InProgress(Arc<Metrics>);

impl InProgress {
    fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.in_progress.inc();
        Self(Arc::clone(metrics))
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.in_progress.dec();
    }
}

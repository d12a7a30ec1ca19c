//! The built `coffer-csi`, running for a test.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use coffer_proto::v1alpha1::csi_driver_provider_client::CsiDriverProviderClient;
use coffer_proto::v1alpha1::{VersionRequest, VersionResponse};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tower::service_fn;

use crate::binaries::coffer_binary;
use crate::http::http_client;
use crate::limits::ProcessLimits;
use crate::metrics::ScrapedMetrics;
use crate::mount::{MountCall, MountRefusal, Mounted, read_answer};
use crate::ports::free_port;
use crate::process::Process;
use crate::wait::until;

/// The HMAC key of every provider that a test starts.
pub const HMAC_KEY: &[u8; 32] = b"an HMAC key for tests, 32 bytes.";

/// A running `coffer-csi` with its own socket, health port and HMAC key, and without this machine's
/// environment variables.
#[derive(Debug)]
pub struct Csi {
    process: Process,
    client: CsiDriverProviderClient<Channel>,
    http: reqwest::Client,
    health: String,
    socket: PathBuf,
    _dir: TempDir,
}

/// The options to start `coffer-csi` with.
#[derive(Clone, Debug, Default)]
pub struct CsiOptions {
    flags: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    socket: Option<PathBuf>,
    binary: Option<PathBuf>,
    key_in_cluster: bool,
    limits: Option<ProcessLimits>,
}

impl CsiOptions {
    /// Adds a flag, as written on the command line.
    #[must_use]
    pub fn flag(mut self, flag: impl Into<OsString>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Sets a socket outside of the provider's own directory.
    #[must_use]
    pub fn socket(mut self, socket: &Path) -> Self {
        self.socket = Some(socket.to_owned());
        self
    }

    /// Sets another binary than the one built beside this test.
    #[must_use]
    pub fn binary(mut self, binary: &Path) -> Self {
        self.binary = Some(binary.to_owned());
        self
    }

    /// Reads the HMAC key from the cluster's Secret, as in production, not from a file of the test.
    #[must_use]
    pub fn key_in_cluster(mut self) -> Self {
        self.key_in_cluster = true;
        self
    }

    /// Runs the process within limits.
    #[must_use]
    pub fn limits(mut self, limits: &ProcessLimits) -> Self {
        self.limits = Some(limits.clone());
        self
    }

    /// Starts the process and waits until it answers on the socket.
    ///
    /// # Panics
    /// If the process does not become ready.
    pub async fn start(self) -> Csi {
        let mut csi = self.spawn();
        until("coffer-csi to answer Version", async || {
            assert!(csi.process.is_running(), "coffer-csi ended while starting");
            csi.version().await.ok()
        })
        .await;
        csi
    }

    /// Starts the process without waiting, for a start that must fail.
    ///
    /// # Panics
    /// If the program cannot be run.
    pub fn spawn(self) -> Csi {
        let Self { flags, environment, socket, binary, key_in_cluster, limits } = self;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let socket = socket.unwrap_or_else(|| dir.path().join("vault.sock"));
        let key = dir.path().join("hmac-key");
        std::fs::write(&key, HMAC_KEY).expect("write the HMAC key");
        let health = format!("127.0.0.1:{}", free_port());

        let binary = binary.unwrap_or_else(|| coffer_binary("coffer-csi"));
        let mut command = match &limits {
            Some(limits) => limits.command(&binary),
            None => Command::new(&binary),
        };
        command
            .env_clear()
            .arg(format!("-endpoint={}", socket.display()))
            .envs(environment)
            .arg(format!("-health-addr={health}"));
        if !key_in_cluster {
            command.arg(format!("-hmac-key-file={}", key.display()));
        }
        // The test's own flags come last and so take precedence.
        command.args(flags);
        let process = Process::start("coffer-csi", &mut command, dir.path().join("coffer-csi.log"));
        let client = client(&socket);
        Csi { process, client, http: http_client(), health: format!("http://{health}"), socket, _dir: dir }
    }
}

impl Csi {
    /// Returns the default options.
    pub fn options() -> CsiOptions {
        CsiOptions::default()
    }

    /// Makes a Mount call, over the channel that all calls of this value share.
    ///
    /// # Errors
    /// The provider's error.
    ///
    /// # Panics
    /// If the answer breaks the contract.
    pub async fn mount(&self, call: &MountCall) -> Result<Mounted, MountRefusal> {
        let mut request = Request::new(call.request());
        if let Some(deadline) = call.deadline() {
            request.set_timeout(deadline);
        }
        let answer = self.client.clone().mount(request).await;
        read_answer(answer.map(tonic::Response::into_inner))
    }

    /// Makes the driver's health check.
    ///
    /// # Errors
    /// If there is no answer within the driver's 5 s.
    pub async fn version(&self) -> Result<VersionResponse, Status> {
        let mut request = Request::new(VersionRequest { version: "v1alpha1".to_owned() });
        request.set_timeout(Duration::from_secs(5));
        Ok(self.client.clone().version(request).await?.into_inner())
    }

    /// Returns a client on the same channel, for load.
    pub fn client(&self) -> CsiDriverProviderClient<Channel> {
        self.client.clone()
    }

    /// Scrapes `/metrics`.
    ///
    /// # Panics
    /// If the status is not 200.
    pub async fn metrics(&self) -> ScrapedMetrics {
        let (status, text) = self.get("/metrics").await.expect("the metrics answer");
        assert_eq!(status, 200, "{text}");
        ScrapedMetrics(text)
    }

    /// Returns whether `/health/ready` answers 200.
    pub async fn ready(&self) -> bool {
        self.get("/health/ready").await.is_some_and(|(status, _)| status == 200)
    }

    /// Returns the address of the health port, `HOST:PORT`.
    pub fn health_address(&self) -> &str {
        self.health.trim_start_matches("http://")
    }

    /// Returns status and text of a page on the health port, or nothing if nobody listens.
    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        let answer = self.http.get(format!("{}{path}", self.health)).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// Returns the path of the socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Returns everything logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// Kills the process, which leaves its socket file behind.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Returns whether the process has not ended.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Waits for the process to end.
    pub async fn wait(&mut self) -> ExitStatus {
        self.process.wait().await
    }

    /// Returns the process, for its memory and CPU time.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

/// Returns a client that dials at the first call, and again after a lost connection, as the driver
/// does.
fn client(socket: &Path) -> CsiDriverProviderClient<Channel> {
    let socket: Arc<Path> = socket.into();
    let dial = service_fn(move |_| {
        let socket = Arc::clone(&socket);
        async move { UnixStream::connect(&*socket).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://localhost").connect_with_connector_lazy(dial);
    CsiDriverProviderClient::new(channel)
}

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
use crate::metrics::ScrapedMetrics;
use crate::mount::{MountCall, MountRefusal, Mounted, read_answer};
use crate::ports::free_port;
use crate::process::Process;
use crate::wait::until;

/// The HMAC key of every provider that a test starts.
pub const HMAC_KEY: &[u8; 32] = b"an HMAC key for tests, 32 bytes.";

/// A `coffer-csi` of its own: socket, health port, HMAC key, and nothing of this machine's environment.
#[derive(Debug)]
pub struct Csi {
    process: Process,
    client: CsiDriverProviderClient<Channel>,
    http: reqwest::Client,
    health: String,
    socket: PathBuf,
    _dir: TempDir,
}

/// How to start it.
#[derive(Clone, Debug, Default)]
pub struct CsiOptions {
    flags: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    socket: Option<PathBuf>,
    binary: Option<PathBuf>,
    key_in_cluster: bool,
}

impl CsiOptions {
    /// A flag, as it stands on the command line.
    #[must_use]
    pub fn flag(mut self, flag: impl Into<OsString>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// An environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// A socket elsewhere than in the provider's own directory.
    #[must_use]
    pub fn socket(mut self, socket: &Path) -> Self {
        self.socket = Some(socket.to_owned());
        self
    }

    /// Another binary than the one built beside this test.
    #[must_use]
    pub fn binary(mut self, binary: &Path) -> Self {
        self.binary = Some(binary.to_owned());
        self
    }

    /// The HMAC key from the cluster's Secret, as in production, and not from the test's file.
    #[must_use]
    pub fn key_in_cluster(mut self) -> Self {
        self.key_in_cluster = true;
        self
    }

    /// Starts it and waits until the socket answers.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start(self) -> Csi {
        let mut csi = self.spawn();
        until("coffer-csi to answer Version", async || {
            assert!(csi.process.is_running(), "coffer-csi ended while starting");
            csi.version().await.ok()
        })
        .await;
        csi
    }

    /// Starts it and waits for nothing: for a start that must fail.
    ///
    /// # Panics
    /// When the program cannot be run at all.
    pub fn spawn(self) -> Csi {
        let Self { flags, environment, socket, binary, key_in_cluster } = self;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let socket = socket.unwrap_or_else(|| dir.path().join("vault.sock"));
        let key = dir.path().join("hmac-key");
        std::fs::write(&key, HMAC_KEY).expect("write the HMAC key");
        let health = format!("127.0.0.1:{}", free_port());

        let mut command = Command::new(binary.unwrap_or_else(|| coffer_binary("coffer-csi")));
        command
            .env_clear()
            .arg(format!("-endpoint={}", socket.display()))
            .envs(environment)
            .arg(format!("-health-addr={health}"));
        if !key_in_cluster {
            command.arg(format!("-hmac-key-file={}", key.display()));
        }
        // The test's own flags come last, so that they win.
        command.args(flags);
        let process = Process::start("coffer-csi", &mut command, dir.path().join("coffer-csi.log"));
        let client = client(&socket);
        Csi { process, client, http: http_client(), health: format!("http://{health}"), socket, _dir: dir }
    }
}

impl Csi {
    /// How to start one with other than the usual settings.
    pub fn options() -> CsiOptions {
        CsiOptions::default()
    }

    /// One Mount call, over the channel that all calls of this value share.
    ///
    /// # Errors
    /// The provider's refusal.
    ///
    /// # Panics
    /// When the answer breaks the contract.
    pub async fn mount(&self, call: &MountCall) -> Result<Mounted, MountRefusal> {
        let mut request = Request::new(call.request());
        if let Some(deadline) = call.deadline() {
            request.set_timeout(deadline);
        }
        let answer = self.client.clone().mount(request).await;
        read_answer(answer.map(tonic::Response::into_inner))
    }

    /// The driver's health check.
    ///
    /// # Errors
    /// When it does not answer within the driver's 5 s.
    pub async fn version(&self) -> Result<VersionResponse, Status> {
        let mut request = Request::new(VersionRequest { version: "v1alpha1".to_owned() });
        request.set_timeout(Duration::from_secs(5));
        Ok(self.client.clone().version(request).await?.into_inner())
    }

    /// A client on the same channel, for load.
    pub fn client(&self) -> CsiDriverProviderClient<Channel> {
        self.client.clone()
    }

    /// What `/metrics` says now.
    ///
    /// # Panics
    /// When it does not answer 200.
    pub async fn metrics(&self) -> ScrapedMetrics {
        let (status, text) = self.get("/metrics").await.expect("the metrics answer");
        assert_eq!(status, 200, "{text}");
        ScrapedMetrics(text)
    }

    /// Whether `/health/ready` says yes.
    pub async fn ready(&self) -> bool {
        self.get("/health/ready").await.is_some_and(|(status, _)| status == 200)
    }

    /// A page of the health port: status and text, or nothing where nobody listens.
    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        let answer = self.http.get(format!("{}{path}", self.health)).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Everything that it has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// Ends it at once, which leaves its socket behind.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> ExitStatus {
        self.process.wait().await
    }

    /// Its memory and CPU time.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

/// A client that dials when first used, and again after a loss, as the driver's does.
fn client(socket: &Path) -> CsiDriverProviderClient<Channel> {
    let socket: Arc<Path> = socket.into();
    let dial = service_fn(move |_| {
        let socket = Arc::clone(&socket);
        async move { UnixStream::connect(&*socket).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://localhost").connect_with_connector_lazy(dial);
    CsiDriverProviderClient::new(channel)
}

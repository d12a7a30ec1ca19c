//! The Secrets Store CSI driver.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::csi::CsiClient;
use super::programs::{DriverGeneration, ServerProgram};
use crate::ports::free_port;
use crate::process::Process;
use crate::wait::until;

/// A running driver that serves one node. It looks for providers in `providers/` of the node's
/// directory.
#[derive(Debug)]
pub struct DriverProcess {
    process: Process,
    generation: DriverGeneration,
    socket: PathBuf,
    client: CsiClient,
}

impl DriverProcess {
    /// Starts the driver for a node, with its files in `dir`, as the user of that kubeconfig.
    ///
    /// # Panics
    /// If the driver does not become ready.
    pub(crate) async fn start(
        generation: DriverGeneration,
        node: &str,
        dir: &Path,
        kubeconfig: &Path,
    ) -> Self {
        let socket = dir.join("csi.sock");
        let rotation = match generation {
            // The interval of its own loop.
            DriverGeneration::V1_5 => "1s",
            // How soon after a publish the next one is passed on; kubelet decides when to publish.
            DriverGeneration::V1_6 => "1ms",
        };
        let mut command = Command::new(ServerProgram::Driver(generation).path());
        command
            .env_clear()
            // The folders of `mount` and `umount`.
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("KUBECONFIG", kubeconfig)
            .args(["--endpoint", &format!("unix://{}", socket.display()), "--nodeid", node])
            .args(["--enable-secret-rotation", "--rotation-poll-interval", rotation])
            .args(["--metrics-addr", &format!("127.0.0.1:{}", free_port())])
            .arg("--provider-volume")
            .arg(providers(dir))
            .arg("--additional-provider-volume-paths")
            .arg(dir.join("no-other-providers"));
        let name = format!("driver {generation}");
        let mut process = Process::start(&name, &mut command, dir.join("driver.log"));
        let client = CsiClient::new(&socket);
        until(&format!("{name} to be ready"), async || {
            assert!(process.is_running(), "{name} ended while starting");
            client.probe().await.ok()
        })
        .await;
        Self { process, generation, socket, client }
    }

    /// Returns the socket on which kubelet calls the driver.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Returns the driver's generation.
    pub fn generation(&self) -> DriverGeneration {
        self.generation
    }

    /// Returns the process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    pub(crate) fn client(&self) -> &CsiClient {
        &self.client
    }
}

/// Returns the directory of a node in which providers create their sockets.
pub(crate) fn providers(dir: &Path) -> PathBuf {
    dir.join("providers")
}

//! kube-apiserver.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::Request;
use kube::Client;
use rcgen::KeyPair;
use tempfile::TempDir;

use super::etcd::Etcd;
use super::kubeconfig::Kubeconfig;
use super::programs::ServerProgram;
use crate::ports::free_port;
use crate::process::Process;
use crate::tls::{IssuedCertificate, TestCa};
use crate::wait::until;

const ADMIN_TOKEN: &str = "administrator-of-the-test";

/// A running kube-apiserver with RBAC, TokenRequest, TokenReview and aggregation. It can be stopped
/// and started again.
pub struct ApiServer {
    process: Mutex<Process>,
    files: ApiServerFiles,
    etcd: String,
    port: u16,
    authority: TestCa,
    front_proxy: TestCa,
    token_key: KeyPair,
    client: Client,
}

impl ApiServer {
    /// Starts kube-apiserver with that etcd.
    ///
    /// # Panics
    /// If kube-apiserver does not become ready.
    pub async fn start(etcd: &Etcd) -> Self {
        let (authority, front_proxy) = (TestCa::new(), TestCa::new());
        // An elliptic key works as well as the usual RSA key, and is created faster.
        let token_key = KeyPair::generate().expect("a key");
        let files = ApiServerFiles::write(&authority, &front_proxy, &token_key);
        let (etcd, port) = (etcd.address().to_owned(), free_port());
        let process = run(&files, &etcd, port);
        let client = admin(&authority, port).client().await;
        let server = Self {
            process: Mutex::new(process),
            files,
            etcd,
            port,
            authority,
            front_proxy,
            token_key,
            client,
        };
        server.ready().await;
        server
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.process().id()
    }

    /// Returns a client of the administrator.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the administrator's kubeconfig.
    pub fn admin(&self) -> Kubeconfig {
        admin(&self.authority, self.port)
    }

    /// Returns the authority of user certificates and of the server's own.
    pub fn authority(&self) -> &TestCa {
        &self.authority
    }

    /// Returns the authority of the front proxy's certificate, with which kube-apiserver calls
    /// aggregated servers.
    pub fn front_proxy(&self) -> &TestCa {
        &self.front_proxy
    }

    /// Returns the public key of service account tokens, in PEM.
    pub fn token_public_key(&self) -> String {
        self.token_key.public_key_pem()
    }

    /// Kills the process: nobody listens on its port any more.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Starts the process again after [`Self::kill`], on the same port and the same store.
    ///
    /// # Panics
    /// If kube-apiserver does not become ready.
    pub async fn start_again(&self) {
        let process = run(&self.files, &self.etcd, self.port);
        *self.process() = process;
        self.ready().await;
    }

    /// Suspends the process: it accepts connections and never answers.
    pub fn freeze(&self) {
        self.process().freeze();
    }

    /// Resumes the process after [`Self::freeze`].
    pub async fn thaw(&self) {
        self.process().thaw();
        self.ready().await;
    }

    pub(crate) fn show_log(&self) {
        self.process().show_log();
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the server is ready and has the standard namespaces.
    async fn ready(&self) {
        for path in ["/readyz", "/api/v1/namespaces/default", "/api/v1/namespaces/kube-system"] {
            until(&format!("kube-apiserver to answer {path}"), async || {
                assert!(self.process().is_running(), "kube-apiserver ended while starting");
                let request = Request::get(path).body(Vec::new()).expect("a request");
                self.client.request_text(request).await.ok()
            })
            .await;
        }
    }
}

fn admin(authority: &TestCa, port: u16) -> Kubeconfig {
    Kubeconfig {
        server: format!("https://127.0.0.1:{port}"),
        authority: authority.certificate(),
        token: ADMIN_TOKEN.to_owned(),
        namespace: "default".to_owned(),
    }
}

/// The files that the command line names.
struct ApiServerFiles {
    dir: TempDir,
}

impl ApiServerFiles {
    fn write(authority: &TestCa, front_proxy: &TestCa, token_key: &KeyPair) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let files = Self { dir };
        let write = |name: &str, text: &str| fs::write(files.path(name), text).expect("write a file");
        let pair = |name: &str, IssuedCertificate { certificate, key }: IssuedCertificate| {
            write(&format!("{name}.crt"), &certificate);
            write(&format!("{name}.key"), &key);
        };
        write("ca.crt", &authority.certificate());
        let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"];
        pair("server", authority.issue("kube-apiserver", &names));
        write("front-proxy-ca.crt", &front_proxy.certificate());
        pair("front-proxy", front_proxy.issue("front-proxy-client", &[]));
        write("service-accounts.key", &token_key.serialize_pem());
        write("service-accounts.pub", &token_key.public_key_pem());
        write("tokens.csv", &format!("{ADMIN_TOKEN},admin,admin,\"system:masters\"\n"));
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    fn directory(&self) -> &Path {
        self.dir.path()
    }
}

fn run(files: &ApiServerFiles, etcd: &str, port: u16) -> Process {
    let mut command = Command::new(ServerProgram::ApiServer.path());
    command
        .env_clear()
        .args(["--etcd-servers", etcd])
        .args(["--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1"])
        .args(["--secure-port", &port.to_string()])
        .args(["--service-cluster-ip-range", "10.0.0.0/24", "--endpoint-reconciler-type", "none"])
        .args(["--authorization-mode", "RBAC"])
        // Pods then need no controller manager for their service account; each pod names its own.
        .args(["--disable-admission-plugins", "ServiceAccount"])
        .args(["--service-account-issuer", "https://kubernetes.default.svc"])
        .args(["--requestheader-allowed-names", "front-proxy-client"])
        .args(["--requestheader-username-headers", "X-Remote-User"])
        .args(["--requestheader-group-headers", "X-Remote-Group"])
        .args(["--requestheader-extra-headers-prefix", "X-Remote-Extra-"]);
    for (flag, name) in [
        ("--tls-cert-file", "server.crt"),
        ("--tls-private-key-file", "server.key"),
        ("--client-ca-file", "ca.crt"),
        ("--token-auth-file", "tokens.csv"),
        ("--service-account-key-file", "service-accounts.pub"),
        ("--service-account-signing-key-file", "service-accounts.key"),
        ("--requestheader-client-ca-file", "front-proxy-ca.crt"),
        ("--proxy-client-cert-file", "front-proxy.crt"),
        ("--proxy-client-key-file", "front-proxy.key"),
    ] {
        command.arg(flag).arg(files.path(name));
    }
    Process::start("kube-apiserver", &mut command, files.path("kube-apiserver.log"))
}

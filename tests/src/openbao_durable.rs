//! An OpenBao that keeps its data over a restart.

use std::fs;
use std::path::Path;
use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};

use crate::binaries::find_bao;
use crate::openbao::OpenBao;
use crate::ports::free_port;
use crate::process::Process;
use crate::wait::{until, until_true};

/// A server with KV v2 at `secret/`, whose storage is Raft, with one server. It has no audit log.
#[derive(Debug)]
pub struct DurableOpenBao {
    bao: OpenBao,
    /// The key that unseals the server.
    key: String,
}

impl DurableOpenBao {
    /// Starts a server, initialises and unseals it.
    ///
    /// # Panics
    /// If the server does not become ready.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        // The next port is for other servers of its cluster, and stays unused.
        let port = free_port();
        fs::write(dir.path().join("config.hcl"), configuration(dir.path(), port))
            .expect("write OpenBao's configuration");
        let process = launch(dir.path());
        let bao = OpenBao::running(process, format!("http://127.0.0.1:{port}"), dir);
        let shares = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let made = until("OpenBao to be initialised", async || {
            bao.try_admin(Method::POST, "sys/init", &shares).await
        })
        .await;
        let durable = Self { bao, key: text(&made["keys"][0]) };
        durable.unseal().await;
        durable.add_root_token(&text(&made["root_token"])).await;
        let kv = json!({ "type": "kv", "options": { "version": "2" } });
        durable.bao.admin(Method::POST, "sys/mounts/secret", kv).await;
        until_true("KV v2 at secret/", async || durable.bao.kv_is_ready().await).await;
        durable
    }

    /// Returns the server, for requests.
    pub fn server(&self) -> &OpenBao {
        &self.bao
    }

    /// Ends the server, as a rolling update does.
    pub async fn stop(&mut self) {
        self.bao.process().terminate();
        self.bao.process_mut().wait().await;
    }

    /// Starts the server again after [`Self::stop`], on the same port and the same data, and
    /// unseals it.
    pub async fn start_again(&mut self) {
        let process = launch(self.bao.directory());
        self.bao.replace(process);
        self.unseal().await;
    }

    /// Unseals the server, and waits until it serves.
    pub async fn unseal(&self) {
        let key = json!({ "key": self.key });
        until_true("OpenBao to be unsealed", async || {
            let answer = self.bao.try_admin(Method::POST, "sys/unseal", &key).await;
            answer.is_some_and(|answer| answer["sealed"] == false)
        })
        .await;
        until_true("OpenBao to be active", async || {
            self.bao.try_admin(Method::GET, "sys/health", &Value::Null).await.is_some()
        })
        .await;
    }

    /// Gives the administrator the same token as in dev mode.
    async fn add_root_token(&self, first: &str) {
        let token = json!({ "id": OpenBao::ROOT_TOKEN, "policies": ["root"], "no_parent": true });
        let url = format!("{}/v1/auth/token/create", self.bao.address());
        let request = self.bao.http.post(url).header("X-Vault-Token", first).body(token.to_string());
        let answer = request.send().await.expect("OpenBao answers");
        assert!(answer.status().is_success(), "{answer:?}");
    }
}

fn configuration(dir: &Path, port: u16) -> String {
    let data = dir.join("data");
    fs::create_dir(&data).expect("make the folder of the data");
    format!(
        "storage \"raft\" {{\n  path = {data:?}\n  node_id = \"one\"\n  performance_multiplier = 1\n}}\n\
         listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_disable = true\n}}\n\
         api_addr = \"http://127.0.0.1:{port}\"\n\
         cluster_addr = \"http://127.0.0.1:{}\"\n",
        port + 1
    )
}

fn launch(dir: &Path) -> Process {
    let mut command = Command::new(find_bao());
    command
        .env_clear()
        .env("HOME", dir)
        .args(["server", "-log-level=warn"])
        .arg(format!("-config={}", dir.join("config.hcl").display()));
    Process::start("OpenBao", &mut command, dir.join("bao.log"))
}

fn text(value: &Value) -> String {
    value.as_str().expect("text in OpenBao's answer").to_owned()
}

//! A real PostgreSQL for one test, from Debian's package, and the users that Vault creates there.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Uid, User};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use crate::openbao::OpenBao;
use crate::ports::free_port;
use crate::process::Process;
use crate::wait::until;

/// PostgreSQL on a loopback port, run as an unprivileged user.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: u16,
    dir: TempDir,
}

/// The TTLs of a role of the database engine, as Vault writes them.
#[derive(Clone, Copy, Debug)]
pub struct LeaseTtls<'a> {
    /// The `default_ttl`: what each renewal grants.
    pub ttl: &'a str,
    /// The `max_ttl`: where renewals end.
    pub max_ttl: &'a str,
}

impl Postgres {
    /// Starts a server with an empty database.
    ///
    /// # Panics
    /// If PostgreSQL is not installed (Debian's package `postgresql`) or does not become ready.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        own(dir.path());
        let data = dir.path().join("data");
        let made = as_nobody("initdb")
            .args(["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8", "--pgdata"])
            .arg(&data)
            .output()
            .expect("run initdb");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        // The administrator needs no password, and the users that Vault creates need theirs.
        let logins = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(data.join("pg_hba.conf"), logins).expect("write who may log in");
        let port = free_port();
        let process = launch(&data, dir.path(), port);
        let postgres = Self { process, port, dir };
        until("PostgreSQL to be ready", async || postgres.query("select 1")).await;
        postgres
    }

    /// Mounts the database engine at `database`, connected to this server.
    pub async fn connect(&self, bao: &OpenBao) {
        bao.mount_engine("database", "database", json!({})).await;
        let url = format!(
            "postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{}/postgres?sslmode=disable&connect_timeout=2",
            self.port
        );
        let config = json!({
            "plugin_name": "postgresql-database-plugin",
            "connection_url": url,
            "username": "postgres",
            "password": "unused",
            "allowed_roles": "*",
        });
        bao.admin(Method::POST, "database/config/pg", config).await;
    }

    /// Writes a role of the database engine: `database/creds/<name>` then issues users.
    pub async fn role(bao: &OpenBao, name: &str, terms: LeaseTtls<'_>) {
        let role = json!({
            "db_name": "pg",
            "creation_statements": [
                "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';"
            ],
            "default_ttl": terms.ttl,
            "max_ttl": terms.max_ttl,
        });
        bao.admin(Method::POST, &format!("database/roles/{name}"), role).await;
    }

    /// Returns the users that Vault created for a role of the database engine and has not dropped.
    pub fn users(&self, role: &str) -> Vec<String> {
        // Vault's names: v-<display name>-<role, 8 characters>-<random>
        let role: String = role.chars().take(8).collect();
        let found = self.query(&format!("select rolname from pg_roles where rolname like 'v-%-{role}-%'"));
        found.expect("PostgreSQL answers").lines().map(str::to_owned).collect()
    }

    /// Kills the server; [`Self::start_again`] starts it again.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts the server again with the same data.
    pub async fn start_again(&mut self) {
        // a killed postmaster leaves its lock file
        let _ = fs::remove_file(self.dir.path().join("data/postmaster.pid"));
        self.process = launch(&self.dir.path().join("data"), self.dir.path(), self.port);
        until("PostgreSQL to be ready again", async || self.query("select 1")).await;
    }

    /// Returns the process, for its log.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn query(&self, sql: &str) -> Option<String> {
        let mut psql = Command::new(program("psql"));
        psql.args(["-h", "127.0.0.1", "-U", "postgres", "-d", "postgres", "-tAc", sql]);
        let answer = psql.arg("-p").arg(self.port.to_string()).output().expect("run psql");
        answer.status.success().then(|| String::from_utf8_lossy(&answer.stdout).trim().to_owned())
    }
}

fn launch(data: &Path, dir: &Path, port: u16) -> Process {
    let mut command = as_nobody("postgres");
    command
        .arg("-D")
        .arg(data)
        .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
        .args(["-c", "max_connections=300"])
        .arg(format!("-cunix_socket_directories={}", dir.display()));
    Process::start("PostgreSQL", &mut command, dir.join("postgres.log"))
}

/// Returns a command that runs a program of PostgreSQL, which refuses to run as root.
fn as_nobody(name: &str) -> Command {
    let mut command = Command::new(program(name));
    if let Some(user) = nobody() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw()).current_dir("/");
    }
    command
}

fn own(dir: &Path) {
    if let Some(user) = nobody() {
        chown(dir, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("give the directory away");
    }
}

fn nobody() -> Option<User> {
    let nobody = || User::from_name("nobody").expect("the list of users").expect("the user nobody");
    Uid::effective().is_root().then(nobody)
}

/// Returns whether PostgreSQL is installed.
pub fn postgres_is_installed() -> bool {
    find("postgres").is_some()
}

/// Debian installs the servers outside of PATH, in a folder named after their version.
pub(crate) fn program(name: &str) -> PathBuf {
    find(name)
        .unwrap_or_else(|| panic!("no {name} in /usr/lib/postgresql: install Debian's package postgresql"))
}

fn find(name: &str) -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin").join(name)).filter(|path| path.exists()).max()
}

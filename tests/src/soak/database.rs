//! What PostgreSQL says, asked by `psql` beside everything else.

use std::collections::BTreeSet;

use tokio::process::Command;

use crate::postgres::program;

/// The PostgreSQL at a port.
#[derive(Clone, Copy, Debug)]
pub(super) struct DatabaseView {
    port: u16,
}

impl DatabaseView {
    pub(super) fn new(port: u16) -> Self {
        Self { port }
    }

    /// Returns the users that Vault made, or nothing if PostgreSQL does not answer.
    pub(super) async fn users(self) -> Option<BTreeSet<String>> {
        let found = self.ask("postgres", "", "select rolname from pg_roles where rolname like 'v-%'").await?;
        Some(found.lines().map(str::to_owned).collect())
    }

    /// Returns whether PostgreSQL takes user and password.
    pub(super) async fn takes(self, user: &str, password: &str) -> bool {
        self.ask(user, password, "select 1").await.is_some()
    }

    async fn ask(self, user: &str, password: &str, sql: &str) -> Option<String> {
        let mut psql = Command::new(program("psql"));
        psql.args(["-h", "127.0.0.1", "-U", user, "-d", "postgres", "-tAwc", sql])
            .args(["-p", &self.port.to_string()])
            .env("PGPASSWORD", password)
            .env("PGCONNECT_TIMEOUT", "5");
        let answer = psql.output().await.expect("run psql");
        answer.status.success().then(|| String::from_utf8_lossy(&answer.stdout).trim().to_owned())
    }
}

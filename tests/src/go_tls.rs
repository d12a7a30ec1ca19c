//! Servers with certificates of many kinds, and what Go's own TLS client makes of each.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde::Deserialize;
use tempfile::TempDir;

use crate::kubernetes::programs::ServerProgram;

/// A server, and how clients are configured for it.
#[derive(Debug, Clone, Deserialize)]
pub struct GoTlsCase {
    /// What is special about the server's certificate, or about the client's files.
    pub name: String,
    /// The address of the server, which answers as a Vault would.
    pub address: String,
    /// A file of authorities.
    pub ca_file: Option<String>,
    /// A directory of authorities.
    pub ca_path: Option<String>,
    /// The TLS server name.
    pub server_name: Option<String>,
    /// The file of the client certificate.
    pub client_cert: Option<String>,
    /// The file of its key.
    pub client_key: Option<String>,
    /// Why Go's client, configured as Vault's is, refuses the server; empty if it does not.
    #[serde(rename = "go")]
    pub refused_by_go: String,
}

/// The servers of all cases. They end when the value is dropped.
#[derive(Debug)]
pub struct GoTlsCases {
    /// The cases.
    pub all: Vec<GoTlsCase>,
    program: Child,
    /// The files that the cases name.
    _files: TempDir,
}

impl GoTlsCases {
    /// Starts the servers.
    ///
    /// # Panics
    /// If the program is not built, or prints something else than cases.
    pub fn start() -> Self {
        let files = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new(ServerProgram::GoTlsCases.path());
        command.arg(files.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut program = command.spawn().expect("the program starts");
        let output = BufReader::new(program.stdout.take().expect("its output"));
        let lines = output.lines().map(|line| line.expect("a line")).take_while(|line| !line.is_empty());
        let all = lines.map(|line| serde_json::from_str(&line).expect("a case")).collect();
        Self { all, program, _files: files }
    }

    /// Returns a case.
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn named(&self, name: &str) -> &GoTlsCase {
        self.all.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no case {name:?}"))
    }
}

impl Drop for GoTlsCases {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

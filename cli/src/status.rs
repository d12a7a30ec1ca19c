//! `coffer status`: lists the tokens and leases that `coffer-csi` holds on this node, and the volumes
//! whose mounts fail.

use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use coffer_provider::{Entry, FailingMount, Inventory, Kind};
use thiserror::Error;

use crate::args::{OutputFormat, StatusArgs};
use crate::table::{printable, printable_json, table};

/// How long `coffer-csi` may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Time between two answers with `--watch`.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// Clears a terminal, and goes to its first line.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J\u{1b}[3J";

/// Why nothing is listed.
#[derive(Debug, Error)]
pub(crate) enum StatusError {
    /// Nobody listens on the socket, or the socket may not be opened.
    #[error(
        "nobody answers at {}: is coffer-csi running here with -state-dir {}, and are you root?: {source}",
        socket.display(),
        state_dir.display()
    )]
    Connect {
        /// The status socket.
        socket: PathBuf,
        /// The state directory that the socket should be in.
        state_dir: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The answer did not come in time, or the connection broke.
    #[error("coffer-csi does not answer: {0}")]
    NoAnswer(#[source] io::Error),
    /// The connection was closed before an answer came.
    #[error("coffer-csi ended before it answered")]
    Closed,
    /// The answer is not an inventory.
    #[error("coffer-csi answered with something else: {0}")]
    NotAnInventory(#[source] serde_json::Error),
}

/// Prints what `coffer-csi` holds and what fails.
pub(crate) fn run(args: &StatusArgs) -> Result<ExitCode, StatusError> {
    let shown = show(args)?;
    if !args.watch {
        print!("{shown}");
        return Ok(ExitCode::SUCCESS);
    }
    let clear = if args.output == OutputFormat::Text && io::stdout().is_terminal() { CLEAR } else { "" };
    let mut shown = Ok::<_, StatusError>(shown);
    loop {
        match &shown {
            Ok(shown) => {
                let mut out = io::stdout().lock();
                // who reads has seen enough
                if write!(out, "{clear}{shown}").and_then(|()| out.flush()).is_err() {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            // an agent that ends is followed by another one
            Err(error) => eprintln!("coffer: {}", printable(&error.to_string())),
        }
        sleep(WATCH_INTERVAL);
        shown = show(args);
    }
}

/// Returns what is printed, with the end of its last line.
fn show(args: &StatusArgs) -> Result<String, StatusError> {
    let answer = ask(args)?;
    match args.output {
        OutputFormat::Json => Ok(format!("{}\n", printable_json(&answer))),
        OutputFormat::Text => {
            serde_json::from_str(&answer).map(|it| text(&it)).map_err(StatusError::NotAnInventory)
        }
    }
}

/// Reads the inventory from the status socket, which only root may open.
fn ask(args: &StatusArgs) -> Result<String, StatusError> {
    let socket = args.state_dir.join("status.sock");
    let mut stream = UnixStream::connect(&socket).map_err(|source| StatusError::Connect {
        socket,
        state_dir: args.state_dir.clone(),
        source,
    })?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(StatusError::NoAnswer)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(StatusError::NoAnswer)?;
    if answer.is_empty() { Err(StatusError::Closed) } else { Ok(answer) }
}

fn text(inventory: &Inventory) -> String {
    let mut rows =
        vec![["NAMESPACE", "POD", "KIND", "CLASS", "OBJECTS", "PATH", "RENEWAL", "END"].map(str::to_owned)];
    rows.extend(inventory.entries.iter().map(row));
    let mut text = table(&rows);
    if !inventory.kept {
        text.push_str(
            "nothing is renewed: the node's pods cannot be watched, the log of coffer-csi says why\n",
        );
    }
    if !inventory.failing.is_empty() {
        let mut rows =
            vec![["NAMESPACE", "POD", "CLASS", "FAILING FOR", "MOUNTED", "KIND", "ERROR"].map(str::to_owned)];
        rows.extend(inventory.failing.iter().map(failing_row));
        text.push_str(&format!("\nFailing volumes:\n{}", table(&rows)));
    }
    text
}

fn failing_row(failing: &FailingMount) -> [String; 7] {
    let good = failing.good_before.map(|seconds| format!("{} ago", duration(seconds)));
    [
        failing.namespace.clone(),
        failing.pod.clone(),
        failing.class.clone(),
        duration(failing.failing_for),
        good.unwrap_or_else(|| "never".to_owned()),
        failing.kind.clone(),
        failing.error.lines().next().unwrap_or_default().to_owned(),
    ]
}

fn row(entry: &Entry) -> [String; 8] {
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    [
        entry.namespace.clone(),
        or_dash(&entry.pod),
        kind(entry.kind).to_owned(),
        or_dash(&entry.class),
        or_dash(&entry.objects.join(",")),
        entry.path.clone(),
        renewal(entry),
        end(entry),
    ]
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Token => "token",
        Kind::Lease => "lease",
        Kind::Certificate => "certificate",
        Kind::Secret => "secret",
    }
}

fn renewal(entry: &Entry) -> String {
    match entry.renewal_in {
        _ if entry.revoking => "revoking".to_owned(),
        Some(seconds) => duration(seconds),
        None => "-".to_owned(),
    }
}

fn end(entry: &Entry) -> String {
    match entry.ends_in {
        Some(seconds) => duration(seconds),
        // a secret without an end is read again when its class says so
        None if entry.kind == Kind::Secret => "-".to_owned(),
        None => "never".to_owned(),
    }
}

/// Formats a duration in its two largest units.
fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use coffer_provider::Inventory;

    use super::{duration, text};

    #[test]
    fn a_duration_has_two_units() {
        let durations: Vec<String> = [5, 65, 3600, 90_000].into_iter().map(duration).collect();
        assert_eq!(durations, ["5s", "1m05s", "1h00m", "1d01h"]);
    }

    #[test]
    fn the_table_lines_up() {
        let inventory: Inventory = serde_json::from_str(
            r#"{"kept":false,"entries":[{"namespace":"shop","pod":"web-1","service_account":"shop","kind":"lease",
                "class":"db","objects":["user","password"],"path":"database/creds/shop","renewal_in":40,"ends_in":null,"revoking":false},
                {"namespace":"shop","pod":"web-0","service_account":"shop","kind":"token","class":"","objects":[],
                "path":"auth/kubernetes/login","renewal_in":40,"ends_in":3600,"revoking":true},
                {"namespace":"shop","pod":"web-1","service_account":"shop","kind":"secret","class":"db","objects":["key"],
                "path":"secret/data/key","renewal_in":null,"ends_in":null,"revoking":false}]}"#,
        )
        .expect("an inventory");
        assert_eq!(
            text(&inventory),
            "NAMESPACE  POD    KIND    CLASS  OBJECTS        PATH                   RENEWAL   END\n\
             shop       web-1  lease   db     user,password  database/creds/shop    40s       never\n\
             shop       web-0  token   -      -              auth/kubernetes/login  revoking  1h00m\n\
             shop       web-1  secret  db     key            secret/data/key        -         -\n\
             nothing is renewed: the node's pods cannot be watched, the log of coffer-csi says why\n"
        );
    }

    #[test]
    fn volumes_that_fail_follow() {
        let inventory: Inventory = serde_json::from_str(
            r#"{"kept":true,"entries":[],"failing":[
                {"namespace":"shop","pod":"web-1","class":"db","failing_for":65,"good_before":3700,"kind":"denied",
                 "error":"Vault denied\u001b the read\nagain"},
                {"namespace":"shop","pod":"web-2","class":"db","failing_for":5,"good_before":null,"kind":"unavailable",
                 "error":"away"}]}"#,
        )
        .expect("an inventory");
        let text = text(&inventory);
        let (_, failing) = text.split_once("\n\n").expect("a second table");
        assert_eq!(
            failing,
            "Failing volumes:\n\
             NAMESPACE  POD    CLASS  FAILING FOR  MOUNTED    KIND         ERROR\n\
             shop       web-1  db     1m05s        1h01m ago  denied       Vault denied\\u{1b} the read\n\
             shop       web-2  db     5s           never      unavailable  away\n"
        );
        let before = r#"{"kept":true,"entries":[]}"#;
        assert!(
            serde_json::from_str::<Inventory>(before).is_ok_and(|inventory| inventory.failing.is_empty())
        );
    }
}

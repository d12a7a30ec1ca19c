//! `coffer status`: lists the tokens and leases that `coffer-csi` holds on this node.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use coffer_provider::{Entry, Inventory, Kind};
use thiserror::Error;

use crate::args::{OutputFormat, StatusArgs};
use crate::table::{printable_json, table};

/// How long `coffer-csi` may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

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

/// Prints what `coffer-csi` holds.
pub(crate) fn run(args: &StatusArgs) -> Result<ExitCode, StatusError> {
    let answer = ask(args)?;
    match args.output {
        OutputFormat::Json => println!("{}", printable_json(&answer)),
        OutputFormat::Text => {
            let inventory = serde_json::from_str(&answer).map_err(StatusError::NotAnInventory)?;
            print!("{}", text(&inventory));
        }
    }
    Ok(ExitCode::SUCCESS)
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
    text
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
}

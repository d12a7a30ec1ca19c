//! `coffer status`: what the node's `coffer-csi` holds, asked at the socket that only root may open.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::args::{Output, Status};

/// How long `coffer-csi` may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What it answers; the fields are those of its JSON.
#[derive(Debug, Deserialize)]
struct Inventory {
    kept: bool,
    entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    namespace: String,
    pod: String,
    kind: String,
    class: String,
    objects: Vec<String>,
    path: String,
    renewal_in: Option<u64>,
    ends_in: Option<u64>,
    revoking: bool,
}

/// Prints what is held.
///
/// # Errors
/// Where nobody answers at the socket, or something other than an inventory comes.
pub(crate) fn run(status: &Status) -> anyhow::Result<()> {
    let answer = ask(status)?;
    match status.output {
        Output::Json => println!("{answer}"),
        Output::Text => {
            let inventory =
                serde_json::from_str(&answer).context("coffer-csi answered with something else")?;
            print!("{}", table(&inventory));
        }
    }
    Ok(())
}

fn ask(status: &Status) -> anyhow::Result<String> {
    let path = status.state_dir.join("status.sock");
    let mut stream = UnixStream::connect(&path).with_context(|| {
        format!(
            "nobody answers at {}: is coffer-csi running here with -state-dir {}, and are you root?",
            path.display(),
            status.state_dir.display()
        )
    })?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("coffer-csi does not answer")?;
    if answer.is_empty() {
        bail!("coffer-csi ended before it answered");
    }
    Ok(answer)
}

fn table(inventory: &Inventory) -> String {
    let mut rows =
        vec![["NAMESPACE", "POD", "KIND", "CLASS", "OBJECTS", "PATH", "RENEWAL", "END"].map(str::to_owned)];
    rows.extend(inventory.entries.iter().map(row));
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
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
        entry.kind.clone(),
        or_dash(&entry.class),
        or_dash(&entry.objects.join(",")),
        entry.path.clone(),
        renewal(entry),
        end(entry),
    ]
}

fn renewal(entry: &Entry) -> String {
    match entry.renewal_in {
        _ if entry.revoking => "revoking".to_owned(),
        Some(seconds) => span(seconds),
        None => "-".to_owned(),
    }
}

fn end(entry: &Entry) -> String {
    match entry.ends_in {
        Some(seconds) => span(seconds),
        // what was merely read is read again when its class says so
        None if entry.kind == "secret" => "-".to_owned(),
        None => "never".to_owned(),
    }
}

/// A span of time in its two largest units.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::{Inventory, span, table};

    #[test]
    fn a_span_has_two_units() {
        let told: Vec<String> = [5, 65, 3600, 90_000].into_iter().map(span).collect();
        assert_eq!(told, ["5s", "1m05s", "1h00m", "1d01h"]);
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
            table(&inventory),
            "NAMESPACE  POD    KIND    CLASS  OBJECTS        PATH                   RENEWAL   END\n\
             shop       web-1  lease   db     user,password  database/creds/shop    40s       never\n\
             shop       web-0  token   -      -              auth/kubernetes/login  revoking  1h00m\n\
             shop       web-1  secret  db     key            secret/data/key        -         -\n\
             nothing is renewed: the node's pods cannot be watched, the log of coffer-csi says why\n"
        );
    }
}

//! A step that takes a while: named, quiet, alive, and shown whole when it fails.

use std::io::{self, BufRead, BufReader};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

const SIGN_OF_LIFE: Duration = Duration::from_secs(20);

/// Runs a command; its output appears only if it fails.
pub(crate) fn run(name: &str, command: &mut Command) -> Result<(), String> {
    eprintln!("{name} …");
    let mut output = Vec::new();
    let status = watch(command, |event| match event {
        Event::Line(line) => output.push(line.to_owned()),
        Event::Waiting(passed) => eprintln!("  still {name}, {} s", passed.as_secs()),
    })?;
    if status.success() {
        return Ok(());
    }
    output.iter().for_each(|line| eprintln!("{line}"));
    Err(format!("{name} failed: {status}"))
}

/// What [`watch`] has to tell.
pub(crate) enum Event<'a> {
    /// The command printed a line.
    Line(&'a str),
    /// It is still running, and has been for so long: comes every now and then.
    Waiting(Duration),
}

/// Runs a command and reports each line that it prints, on either output.
pub(crate) fn watch(command: &mut Command, mut report: impl FnMut(Event<'_>)) -> Result<ExitStatus, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |e: io::Error| format!("cannot run {program}: {e}");
    let (reader, writer) = io::pipe().map_err(failed)?;
    command.stdin(Stdio::null()).stdout(writer.try_clone().map_err(failed)?).stderr(writer);
    let spawned = command.spawn();
    // The command holds the pipe's writing end: it must go, or reading would never end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = spawned.map_err(failed)?;

    let (sender, receiver) = mpsc::channel();
    let reading = thread::spawn(move || {
        let lines = BufReader::new(reader).split(b'\n').map_while(Result::ok);
        lines.map(|line| String::from_utf8_lossy(&line).into_owned()).all(|line| sender.send(line).is_ok())
    });
    let begun = Instant::now();
    let mut sign_due = begun + SIGN_OF_LIFE;
    loop {
        match receiver.recv_timeout(sign_due.saturating_duration_since(Instant::now())) {
            Ok(line) => report(Event::Line(&line)),
            Err(RecvTimeoutError::Timeout) => {
                report(Event::Waiting(begun.elapsed()));
                sign_due += SIGN_OF_LIFE;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let _ = reading.join();
    child.wait().map_err(failed)
}

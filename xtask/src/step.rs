//! Steps that take a while: each is named, shows that it is still running, and shows its output
//! only when it fails.

use std::io::{self, BufRead, BufReader};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const PROGRESS_INTERVAL: Duration = Duration::from_secs(20);

/// Runs a command. Its output is shown only if it fails, its time if that was long.
pub(crate) fn run(name: &str, command: &mut Command) -> Result<()> {
    eprintln!("{name} …");
    let begun = Instant::now();
    let mut output = Vec::new();
    let status = watch(command, |event| match event {
        StepEvent::Line(line) => output.push(line.to_owned()),
        StepEvent::StillRunning(passed) => eprintln!("  still {name}, {} s", passed.as_secs()),
    })?;
    if !status.success() {
        output.iter().for_each(|line| eprintln!("{line}"));
        bail!("{name} failed: {status}");
    }
    let took = begun.elapsed();
    if took > PROGRESS_INTERVAL {
        eprintln!("  done after {} s", took.as_secs());
    }
    Ok(())
}

/// What [`watch`] reports about a command that runs.
pub(crate) enum StepEvent<'a> {
    /// The command printed a line.
    Line(&'a str),
    /// The command has been running for that long. Reported every 20 s.
    StillRunning(Duration),
}

/// Runs a command and reports each line that it prints, on either output.
pub(crate) fn watch(command: &mut Command, report: impl FnMut(StepEvent<'_>)) -> Result<ExitStatus> {
    let program = command.get_program().to_string_lossy().into_owned();
    try_watch(command, report).with_context(|| format!("cannot run {program}"))
}

fn try_watch(command: &mut Command, mut report: impl FnMut(StepEvent<'_>)) -> io::Result<ExitStatus> {
    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let spawned = command.spawn();
    // Closes the command's own copy of the pipe's writing end: reading would never end otherwise.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = spawned?;

    let (sender, receiver) = mpsc::channel();
    let reading = thread::spawn(move || {
        let lines = BufReader::new(reader).split(b'\n').map_while(Result::ok);
        lines.map(|line| String::from_utf8_lossy(&line).into_owned()).all(|line| sender.send(line).is_ok())
    });
    let begun = Instant::now();
    let mut progress_due = begun + PROGRESS_INTERVAL;
    loop {
        match receiver.recv_timeout(progress_due.saturating_duration_since(Instant::now())) {
            Ok(line) => report(StepEvent::Line(&line)),
            Err(RecvTimeoutError::Timeout) => {
                report(StepEvent::StillRunning(begun.elapsed()));
                progress_due += PROGRESS_INTERVAL;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let _ = reading.join();
    child.wait()
}

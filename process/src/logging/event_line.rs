//! Writes one line for each event, whatever texts of tenants are in it.

use std::fmt::Write as _;
use std::io::{self, Stderr, Write};

use coffer_provider::{Printable, is_unprintable};
use tracing_subscriber::fmt::MakeWriter;

use super::LogFormat;

/// Makes writers for the lines of one format, on standard error.
pub(super) struct EventLines(pub(super) LogFormat);

/// A writer for one event, which comes in one piece.
pub(super) struct EventLine<W> {
    format: LogFormat,
    to: W,
}

impl<'a> MakeWriter<'a> for EventLines {
    type Writer = EventLine<Stderr>;

    fn make_writer(&'a self) -> Self::Writer {
        EventLine { format: self.0, to: io::stderr() }
    }
}

impl<W: Write> Write for EventLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        if line.chars().any(is_unprintable) {
            let line = match self.format {
                LogFormat::Text => Printable(line).to_string(),
                LogFormat::Json => escaped_json(line),
            };
            self.to.write_all((line + "\n").as_bytes())?;
        } else {
            self.to.write_all(event)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Escapes as JSON does. In a line of JSON such characters are inside of strings only.
fn escaped_json(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        if is_unprintable(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{EventLine, LogFormat};

    fn written(format: LogFormat, event: &str) -> String {
        let mut line = EventLine { format, to: Vec::new() };
        line.write_all(event.as_bytes()).expect("memory");
        String::from_utf8(line.to).expect("text")
    }

    #[test]
    fn an_event_is_one_line() {
        let event = "WARN a\nINFO b\r\u{1b}[2J\u{2028}\u{202e}c\n";
        let line = written(LogFormat::Text, event);
        assert_eq!(line, "WARN a\\nINFO b\\r\\u{1b}[2J\\u{2028}\\u{202e}c\n");
        assert_eq!(written(LogFormat::Text, "plain ü\n"), "plain ü\n");
    }

    #[test]
    fn a_line_of_json_stays_json_with_the_same_text() {
        let text = "a\u{85}\u{2029}\u{202e}\u{e0041}ü";
        let event = format!("{{\"error\":\"{text}\"}}\n");
        let line = written(LogFormat::Json, &event);
        assert!(!line.trim_end().chars().any(super::is_unprintable), "{line}");
        assert_eq!(line, "{\"error\":\"a\\u0085\\u2029\\u202e\\udb40\\udc41ü\"}\n");
    }
}

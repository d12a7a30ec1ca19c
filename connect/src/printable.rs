//! Text that others wrote, made safe for a log, an event or a terminal.

use std::fmt::{self, Write};

/// Prints a text on one line: what a terminal, an editor or a log would act on is escaped.
///
/// ```
/// use coffer_connect::Printable;
///
/// assert_eq!(Printable("a\nb\u{202e}").to_string(), "a\\nb\\u{202e}");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Printable<'a>(pub &'a str);

/// Writes text with the same escapes as [`Printable`], for a `Display` that writes in parts.
pub struct PrintableWriter<'a, W>(pub &'a mut W);

/// Returns whether a character cannot be seen or changes how the text around it is shown: control
/// characters, line and paragraph separators, marks of direction, and characters without width.
#[must_use]
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        PrintableWriter(f).write_str(self.0)
    }
}

impl<W: Write> Write for PrintableWriter<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, c) in text.char_indices().filter(|(_, c)| is_unprintable(*c)) {
            self.0.write_str(&text[plain..at])?;
            write!(self.0, "{}", c.escape_default())?;
            plain = at + c.len_utf8();
        }
        self.0.write_str(&text[plain..])
    }
}

#[cfg(test)]
mod tests {
    use super::Printable;

    #[test]
    fn what_a_terminal_or_a_log_acts_on_is_escaped_and_nothing_else() {
        let shown = |text: &str| Printable(text).to_string();
        assert_eq!(shown("a\r\n\t\u{1b}[2J\u{7f}\u{9b}b"), "a\\r\\n\\t\\u{1b}[2J\\u{7f}\\u{9b}b");
        for c in ['\u{2028}', '\u{2029}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}', '\u{200b}'] {
            assert_eq!(shown(&format!("x{c}")), format!("x\\u{{{:x}}}", u32::from(c)));
        }
        for c in ['\u{200e}', '\u{feff}', '\u{ad}', '\u{85}', '\u{e0041}', '\u{2064}', '\u{fe0f}'] {
            assert!(!shown(&c.to_string()).contains(c), "{c:?}");
        }
        for plain in ["", "https://vault:8200", "größe – 鍵 \"quoted\" \\ {}", "e\u{301}"] {
            assert_eq!(shown(plain), plain);
        }
    }
}

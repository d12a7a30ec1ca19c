//! Text for a terminal: tables, and escapes.

use coffer_provider::{Printable, is_unprintable};

/// Formats rows as a table whose columns are aligned. The first row is the heading. What a terminal
/// could take for commands is escaped.
pub(crate) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| printable(cell))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// Escapes what a terminal could take for commands, or would not show.
pub(crate) fn printable(text: &str) -> String {
    Printable(text).to_string()
}

/// Escapes the same in JSON, where it can only be in strings, and keeps the lines.
pub(crate) fn printable_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_unprintable(c) && c != '\n' {
            out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{printable, printable_json, table};

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let rows = [["NAME", "SIZE"], ["ключ", "1"], ["a", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "NAME  SIZE\nключ  1\na\n");
    }

    #[test]
    fn what_a_terminal_takes_for_commands_is_escaped() {
        assert_eq!(printable("a\u{1b}[2J\n\u{202e}"), "a\\u{1b}[2J\\n\\u{202e}");
        let rows = [["A", "B"], ["x\u{1b}\u{9b}", "1"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "A              B\nx\\u{1b}\\u{9b}  1\n");
    }

    #[test]
    fn json_keeps_its_lines_and_its_meaning() {
        let text = "a\u{9b}\u{202e}\u{e0001}ü";
        let json = serde_json::json!({ "k": text });
        let shown = printable_json(&format!("{json:#}\n"));
        assert_eq!(shown, "{\n  \"k\": \"a\\u009b\\u202e\\udb40\\udc01ü\"\n}\n");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"), json);
    }
}

//! Converts a position in a parameter's text to a position in the file.

use coffer_provider::class::Position;

/// Returns the position in the file of `inner`, a position in `text`, which begins at `start`.
/// Returns `None` if the text is not in the file as it is: if it is folded, or has escapes.
pub(crate) fn in_file(lines: &[String], start: Position, text: &str, inner: Position) -> Option<Position> {
    // blank lines at the beginning are part of the text, but the parser's `start` is after them
    let blank = text.lines().take_while(|line| line.trim().is_empty()).count() as u64;
    let line = (start.line + inner.line).checked_sub(blank + 1)?;
    let wanted = text.lines().nth(usize::try_from(inner.line).ok()?.checked_sub(1)?)?;
    let written = lines.get(usize::try_from(line).ok()?.checked_sub(1)?)?;
    // the first character, or the one after a quote
    [start.column, start.column + 1].into_iter().find_map(|column| {
        let rest: String = written.chars().skip(usize::try_from(column).ok()?.checked_sub(1)?).collect();
        rest.starts_with(wanted).then_some(Position { line, column: column + inner.column - 1 })
    })
}

#[cfg(test)]
mod tests {
    use coffer_provider::class::Position;

    use super::in_file;
    use crate::manifest::document::split;
    use crate::manifest::yaml::YamlNode;

    /// Returns the position that `in_file` finds for the character `^` in the text of the key `a`.
    fn found(file: &str) -> Option<(u64, u64)> {
        let node: YamlNode = split(file)[0].parse().expect("YAML").expect("a document");
        let member = node.get("a").expect("the key");
        let text = member.text().expect("a string");
        let lines: Vec<String> = file.lines().map(ToOwned::to_owned).collect();
        let (n, line) = text.lines().enumerate().find(|(_, line)| line.contains('^')).expect("the mark");
        let column = line.chars().position(|c| c == '^').expect("the mark") as u64 + 1;
        let inner = Position { line: n as u64 + 1, column };
        in_file(&lines, member.at.expect("a place"), text, inner).map(|at| (at.line, at.column))
    }

    /// Returns the position of the character `^` in the file.
    fn expected(file: &str) -> (u64, u64) {
        let (n, line) = file.lines().enumerate().find(|(_, line)| line.contains('^')).expect("the mark");
        (n as u64 + 1, line.chars().position(|c| c == '^').expect("the mark") as u64 + 1)
    }

    #[test]
    fn a_position_in_a_text_is_found_in_the_file() {
        for file in [
            "a: |\n  x\n  - ^\n",
            "k:\n\na: |-  # c\n\n\n  x\n\n   - ü^\nb: 1\n",
            "a: |4+\n\n      x\n     y: ^\n",
            "a: [x, ^]\n".replace('[', "'[").replace(']', "]'").as_str(),
            "a: \"x ^\"\n",
            "a: x ^\n",
            "b: &t |\n    ü\n    ^\na: *t\n",
            "{\n \"a\": \"[{x: ^}]\"}",
        ] {
            assert_eq!(found(file), Some(expected(file)), "{file}");
        }
    }

    #[test]
    fn a_text_that_is_folded_or_has_escapes_has_no_positions() {
        for file in ["a: \"x\\n - ^\"\n", "a: >\n  x\n  y\n\n  ^\n"] {
            assert_eq!(found(file), None, "{file}");
        }
    }
}

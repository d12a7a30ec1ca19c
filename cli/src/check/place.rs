//! Where in a file a place within a parameter's text is.

use coffer_provider::class::Position;

/// The place in the file of `inner`, a place in `text`, which begins at `start`. None where the file writes the text
/// otherwise than it reads: folded, or with escapes.
pub(crate) fn in_file(lines: &[String], start: Position, text: &str, inner: Position) -> Option<Position> {
    // blank lines before the text are part of it, and not where the parser says that it begins
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
    use super::*;
    use crate::class::document::split;
    use crate::class::node::Node;

    /// Where the character `^` of the text at key `a` is in the file, which writes it at that very place, if it is told.
    fn told(file: &str) -> Option<(u64, u64)> {
        let node: Node = split(file)[0].parse().expect("YAML").expect("a document");
        let member = node.get("a").expect("the key");
        let text = member.text().expect("a string");
        let lines: Vec<String> = file.lines().map(ToOwned::to_owned).collect();
        let (n, line) = text.lines().enumerate().find(|(_, line)| line.contains('^')).expect("the mark");
        let column = line.chars().position(|c| c == '^').expect("the mark") as u64 + 1;
        let inner = Position { line: n as u64 + 1, column };
        in_file(&lines, member.at.expect("a place"), text, inner).map(|at| (at.line, at.column))
    }

    fn mark(file: &str) -> (u64, u64) {
        let (n, line) = file.lines().enumerate().find(|(_, line)| line.contains('^')).expect("the mark");
        (n as u64 + 1, line.chars().position(|c| c == '^').expect("the mark") as u64 + 1)
    }

    #[test]
    fn a_place_in_a_text_is_a_place_in_the_file() {
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
            assert_eq!(told(file), Some(mark(file)), "{file}");
        }
    }

    #[test]
    fn a_text_that_is_written_otherwise_has_no_such_place() {
        for file in ["a: \"x\\n - ^\"\n", "a: >\n  x\n  y\n\n  ^\n"] {
            assert_eq!(told(file), None, "{file}");
        }
    }
}

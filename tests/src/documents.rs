//! Parses the documents for users: README.md, CONTRIBUTING.md and docs/.

use std::fs;

use crate::binaries::workspace;

/// A Markdown document of the repository.
#[derive(Debug)]
pub struct MarkdownDocument {
    /// The path in the repository.
    pub path: String,
    /// The text.
    pub text: String,
}

/// A block of code in a document.
#[derive(Clone, Debug)]
pub struct CodeBlock {
    /// The document's path.
    pub document: String,
    /// The line number of the code's first line, counted from 1.
    pub line: usize,
    /// The language after the fence; `sh` for an indented block.
    pub language: String,
    /// The code, without the indentation of the block.
    pub text: String,
}

/// The words of one command, without redirections, comments and heredocs.
pub type CommandWords = Vec<String>;

impl MarkdownDocument {
    /// Reads the documents in the root folder and in docs/.
    ///
    /// # Panics
    /// If a file cannot be read.
    pub fn all() -> Vec<Self> {
        let docs = fs::read_dir(workspace().join("docs")).expect("the folder docs");
        let docs = docs.map(|entry| format!("docs/{}", entry.expect("an entry").file_name().display()));
        let mut paths: Vec<String> = docs.filter(|path| path.ends_with(".md")).collect();
        let others = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "RELEASING.md", "SECURITY.md"];
        paths.extend(others.map(str::to_owned));
        paths.sort();
        paths.into_iter().map(|path| Self { text: Self::read(&path), path }).collect()
    }

    /// Returns the text of a file of the repository.
    ///
    /// # Panics
    /// If the file cannot be read.
    pub fn read(path: &str) -> String {
        fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Returns the blocks of code: fenced blocks, and blocks indented by four spaces outside of
    /// lists.
    pub fn blocks(&self) -> Vec<CodeBlock> {
        let mut blocks: Vec<CodeBlock> = Vec::new();
        let mut fence: Option<(usize, usize)> = None;
        let (mut in_list, mut after_blank, mut indented) = (false, true, false);
        for (n, line) in self.text.lines().enumerate() {
            let indentation = line.len() - line.trim_start().len();
            let block = |language: &str, text: String| CodeBlock {
                document: self.path.clone(),
                line: n + 1,
                language: language.to_owned(),
                text,
            };
            if let Some(language) = line.trim_start().strip_prefix("```") {
                fence = match fence {
                    Some(_) => None,
                    None => {
                        blocks.push(CodeBlock { line: n + 2, ..block(language.trim(), String::new()) });
                        Some((blocks.len() - 1, indentation))
                    }
                };
            } else if let Some((open, indentation)) = fence {
                let code = line.get(indentation.min(line.len())..).unwrap_or_default();
                blocks[open].text += &format!("{code}\n");
            } else if let Some(code) =
                line.strip_prefix("    ").filter(|_| !in_list && (indented || after_blank))
            {
                match blocks.last_mut().filter(|_| indented) {
                    Some(block) => block.text += &format!("{code}\n"),
                    None => blocks.push(block("sh", format!("{code}\n"))),
                }
                indented = true;
            } else if !line.trim().is_empty() {
                indented = false;
                let item = line.trim_start();
                let numbered = item.split_once(". ").is_some_and(|(n, _)| n.parse::<u32>().is_ok());
                in_list = numbered || item.starts_with("- ") || (in_list && indentation > 0);
            }
            after_blank = line.trim().is_empty();
        }
        blocks
    }

    /// Returns the targets of all links that are not web addresses.
    pub fn links(&self) -> Vec<String> {
        let targets = self.text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        targets.filter(|target| !target.contains("://")).map(str::to_owned).collect()
    }

    /// Returns the anchors of all headings, as GitHub derives them.
    pub fn anchors(&self) -> Vec<String> {
        let headings = self.text.lines().filter(|line| line.starts_with('#'));
        let anchor = |heading: &str| {
            let text = heading.trim_start_matches('#').trim().to_lowercase();
            let text = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            text.map(|c| if c == ' ' { '-' } else { c }).collect()
        };
        headings.map(anchor).collect()
    }
}

impl CodeBlock {
    /// Returns document and line, for messages.
    pub fn place(&self) -> String {
        format!("{}:{}", self.document, self.line)
    }

    /// Returns the commands of a shell block; in a block that shows output too, only the lines
    /// after `$`.
    ///
    /// # Panics
    /// If a quote or a heredoc is not closed.
    pub fn commands(&self) -> Vec<CommandWords> {
        let mut commands = Vec::new();
        let text = self.text.replace("\\\n", " ");
        let is_dialogue = text.starts_with("$ ");
        let mut lines = text.lines().filter_map(|line| match line.strip_prefix("$ ") {
            Some(command) if is_dialogue => Some(command),
            _ if is_dialogue => None,
            _ => Some(line),
        });
        while let Some(line) = lines.next() {
            let mut line = line.to_owned();
            // a quote may span lines
            while unquoted(&line).is_none() {
                line = format!(
                    "{line}\n{}",
                    lines.next().unwrap_or_else(|| panic!("{}: no end of a quote", self.place()))
                );
            }
            if let Some((_, mark)) = line.split_once("<<") {
                let mark = mark.trim().to_owned();
                lines
                    .by_ref()
                    .find(|line| *line == mark)
                    .unwrap_or_else(|| panic!("{}: no {mark}", self.place()));
            }
            commands.extend(split(unquoted(&line).unwrap_or_default()));
        }
        commands
    }
}

/// A part of a line: a word, or an operator of the shell.
#[derive(Debug)]
enum Piece {
    Word(String),
    Operator(char),
}

/// Splits a line into words and operators without quotes; `None` if a quote is not closed.
fn unquoted(line: &str) -> Option<Vec<Piece>> {
    let (mut pieces, mut word, mut quote): (Vec<Piece>, Option<String>, Option<char>) =
        (Vec::new(), None, None);
    for c in line.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('#', None) if word.is_none() => break,
            (c, None) if c.is_whitespace() || matches!(c, '|' | ';' | '&' | '<' | '>') => {
                pieces.extend(word.take().map(Piece::Word));
                if !c.is_whitespace() {
                    pieces.push(Piece::Operator(c));
                }
            }
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    pieces.extend(word.map(Piece::Word));
    quote.is_none().then_some(pieces)
}

fn split(pieces: Vec<Piece>) -> Vec<CommandWords> {
    let (mut commands, mut words, mut is_file) = (Vec::new(), CommandWords::new(), false);
    for piece in pieces {
        match piece {
            Piece::Operator('<' | '>') => is_file = true,
            Piece::Operator(_) => commands.push(std::mem::take(&mut words)),
            Piece::Word(_) if is_file => is_file = false,
            Piece::Word(word) => words.push(word),
        }
    }
    commands.push(words);
    commands.retain(|words| !words.is_empty());
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> MarkdownDocument {
        MarkdownDocument { path: "a.md".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn blocks_are_found_with_their_lines() {
        let text = "# A\n\n    one\n    two\n\ntext\n\n1. item\n\n   ```sh\n   three\n     four\n   ```\n\n       no code\n\n- x\n\nend\n\n```yaml\na: 1\n```\n";
        let blocks = document(text).blocks();
        let found: Vec<_> = blocks.iter().map(|b| (b.line, b.language.as_str(), b.text.as_str())).collect();
        assert_eq!(found, [(3, "sh", "one\ntwo\n"), (11, "sh", "three\n  four\n"), (22, "yaml", "a: 1\n")]);
    }

    #[test]
    fn commands_are_split_as_a_shell_does() {
        let text = "```sh\na 'b c' --d=\"e\" > f # g\nh | i - <<EOF\nno command\nEOF\nj \\\n  k && l\nm '{\n}'\n```\n";
        let commands = document(text).blocks()[0].commands();
        let words: Vec<Vec<&str>> =
            commands.iter().map(|words| words.iter().map(String::as_str).collect()).collect();
        let expected: [&[&str]; 6] =
            [&["a", "b c", "--d=e"], &["h"], &["i", "-"], &["j", "k"], &["l"], &["m", "{\n}"]];
        assert_eq!(words, expected);
    }

    #[test]
    fn text_is_wrapped_at_100_columns() {
        for document in MarkdownDocument::all() {
            let mut fenced = false;
            for (n, line) in document.text.lines().enumerate() {
                fenced ^= line.trim_start().starts_with("```");
                let may_be_longer = fenced || line.starts_with('|') || line.starts_with("    ");
                assert!(may_be_longer || line.chars().count() <= 100, "{}:{}", document.path, n + 1);
            }
        }
    }

    #[test]
    fn links_and_anchors_are_found() {
        let document = document("# A b, c\n## `x` y\n[l](d.md#a-b-c) [w](https://w) ![i](i.png)\n");
        assert_eq!(document.links(), ["d.md#a-b-c", "i.png"]);
        assert_eq!(document.anchors(), ["a-b-c", "x-y"]);
    }
}

//! Templates that are made up of the parts below; the same ones in each run.

use std::fmt::Write as _;

use crate::compared::{TemplateText, compare};
use crate::document::refusals;
use crate::parts::{FORMATS, KEYS, NUMBERS, ODD, QUOTED, TEXT_KEYS, TEXTS};

const TEMPLATES: usize = 10_000;

/// Makes templates.
struct TemplateMaker {
    state: u64,
    /// The variables that are known.
    variables: Vec<String>,
    ranges: usize,
}

impl TemplateMaker {
    fn number(&mut self, below: usize) -> usize {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) as usize % below
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.number(of.len())]
    }

    fn template(&mut self) -> String {
        self.variables.clear();
        self.ranges = 0;
        let mut text = String::new();
        let (path, data) =
            self.one(&[("secret/data/app", ".Data.data"), ("kv/app", ".Data"), ("kv/app", ".Data")]);
        let _ = write!(text, "{{{{ with secret {path:?} }}}}{{{{ $d := {data} }}}}");
        self.body(&mut text, 2);
        text.push_str("{{ end }}");
        text
    }

    /// Makes a template that calls one function with a text of odd characters.
    fn odd_text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.number(12) {
            text.push_str(self.one(&ODD));
        }
        if self.number(8) == 0 {
            text = text.repeat(20);
        }
        let call = match self.number(8) {
            0..=2 => "toYAML".to_owned(),
            3 => self.simple_function().to_owned(),
            4 => format!("split {}", self.one(&QUOTED)),
            5 => format!("trim {}", self.one(&QUOTED)),
            6 => format!("printf {:?}", self.one(&FORMATS)),
            _ => format!("replaceAll {} {}", self.one(&QUOTED), self.one(&QUOTED)),
        };
        let end = self.one(&["", "", " | toYAML", " | toJSON", " | parseJSON | toYAML"]);
        format!("{{{{ \"{text}\" | {call}{end} }}}}")
    }

    fn body(&mut self, text: &mut String, depth: usize) {
        let known = self.variables.len();
        for _ in 0..=self.number(2) {
            let part = self.one(&TEXTS);
            text.push_str(part);
            match self.number(if depth == 0 { 6 } else { 10 }) {
                0..=4 => self.action(text),
                5 => {
                    let value = self.value(2);
                    let name = self.one(&["$a", "$b", "$c"]);
                    let is_new = !self.variables.iter().any(|known| known == name) || self.number(2) == 0;
                    let sign = if is_new { ":=" } else { "=" };
                    self.delimited(text, &format!("{name} {sign} {value}"));
                    self.variables.push(name.to_owned());
                }
                6 | 7 => self.condition(text, depth),
                _ => self.range(text, depth),
            }
        }
        self.variables.truncate(known);
    }

    fn delimited(&mut self, text: &mut String, action: &str) {
        let left = self.one(&["{{ ", "{{", "{{- ", "{{  "]);
        let right = self.one(&[" }}", "}}", " -}}", "  }}"]);
        let _ = write!(text, "{left}{action}{right}");
    }

    fn action(&mut self, text: &mut String) {
        let action = match self.number(40) {
            0 => "/* a comment */".to_owned(),
            1 if self.ranges > 0 => "break".to_owned(),
            2 if self.ranges > 0 => "continue".to_owned(),
            _ => self.pipeline(3),
        };
        if action.starts_with("/*") {
            text.push_str(&format!("{{{{- {action} -}}}}"));
        } else {
            self.delimited(text, &action);
        }
    }

    fn condition(&mut self, text: &mut String, depth: usize) {
        let known = self.variables.len();
        let keyword = self.one(&["if", "with"]);
        let pipeline = self.pipeline(2);
        self.delimited(text, &format!("{keyword} {pipeline}"));
        self.body(text, depth - 1);
        if self.number(3) == 0 {
            let pipeline = self.pipeline(2);
            self.delimited(text, &format!("else {keyword} {pipeline}"));
            self.body(text, depth - 1);
        }
        if self.number(2) == 0 {
            self.delimited(text, "else");
            self.body(text, depth - 1);
        }
        self.delimited(text, "end");
        self.variables.truncate(known);
    }

    fn range(&mut self, text: &mut String, depth: usize) {
        let known = self.variables.len();
        let of = match self.number(8) {
            0..=4 => self.field(&["list", "mixed", "none", "map", "hollow", "keys"]),
            5 => format!("split {} {}", self.one(&QUOTED), self.field(&["csv", "lines", "user"])),
            6 => self.one(&["0", "3", "-1"]).to_owned(),
            _ => self.pipeline(2),
        };
        let variables = self.one(&["", "$v := ", "$k, $v := "]);
        for name in ["$k", "$v"] {
            if variables.contains(name) {
                self.variables.push(name.to_owned());
            }
        }
        self.delimited(text, &format!("range {variables}{of}"));
        self.ranges += 1;
        self.body(text, depth - 1);
        self.ranges -= 1;
        if self.number(3) == 0 {
            self.delimited(text, "else");
            self.body(text, depth - 1);
        }
        self.delimited(text, "end");
        self.variables.truncate(known);
    }

    fn field(&mut self, keys: &[&str]) -> String {
        let key = self.one(keys);
        // what is wrong ends the template, so most fields are right
        let start = if self.number(40) == 0 { "." } else { "$d." };
        format!("{start}{key}")
    }

    fn pipeline(&mut self, depth: usize) -> String {
        let mut pipeline = self.value(depth);
        for _ in 0..self.one(&[0, 0, 0, 1, 1, 2]) {
            let function = match self.number(14) {
                0 => format!("replaceAll {} {}", self.one(&QUOTED), self.one(&QUOTED)),
                1 => format!("split {}", self.one(&QUOTED)),
                2 => format!("split {} | join {}", self.one(&QUOTED), self.one(&QUOTED)),
                3 => format!("indent {}", self.one(&NUMBERS)),
                4 => format!("trim {}", self.one(&QUOTED)),
                5 => format!("printf {:?}", self.one(&FORMATS)),
                6 => format!("contains {}", self.one(&QUOTED)),
                _ => self.simple_function().to_owned(),
            };
            // most functions take a text
            let made_text = self.one(&["", "toJSON | ", "print | "]);
            let _ = write!(pipeline, " | {made_text}{function}");
        }
        pipeline
    }

    fn simple_function(&mut self) -> &'static str {
        self.one(&[
            "toJSON",
            "toJSONPretty",
            "toUnescapedJSON",
            "toUnescapedJSONPretty",
            "toYAML",
            "base64Encode",
            "base64Decode",
            "trimSpace",
            "toUpper",
            "toLower",
            "parseJSON",
            "len",
            "not",
            "print",
            "println",
            "printf",
            "toYAML",
            "toJSON",
        ])
    }

    /// Makes a command.
    fn value(&mut self, depth: usize) -> String {
        if depth == 0 || self.number(3) == 0 {
            return self.operand(0);
        }
        let depth = depth - 1;
        match self.number(14) {
            0..=3 => {
                let function = self.simple_function();
                let takes_any = [
                    "len",
                    "not",
                    "print",
                    "println",
                    "toJSON",
                    "toJSONPretty",
                    "toUnescapedJSON",
                    "toUnescapedJSONPretty",
                    "toYAML",
                ];
                let operand =
                    if takes_any.contains(&function) { self.operand(depth) } else { self.text(depth) };
                format!("{function} {operand}")
            }
            4 => {
                let of = self.one(&["$d", "$d.map", "$d.keys", "$d.list 1", "$d.mixed 4", "$d.mixed"]);
                let key = self.one(&["\"user\"", "\"map\"", "\"k\"", "\"m\"", "1", "nil"]);
                format!("index {of} {key}")
            }
            5 => {
                let function = self.one(&["eq", "ne", "lt", "le", "gt", "ge"]);
                format!("{function} {} {}", self.text(depth), self.text(0))
            }
            6 => {
                let function = self.one(&["and", "or"]);
                format!("{function} {} {}", self.operand(depth), self.operand(depth))
            }
            7 => {
                let format = self.one(&FORMATS);
                format!("printf {format:?} {} {}", self.operand(depth), self.operand(0))
            }
            8 => format!("print {} {} {}", self.operand(depth), self.operand(0), self.operand(0)),
            9 => format!("replaceAll {} {} {}", self.one(&QUOTED), self.one(&QUOTED), self.text(depth)),
            10 => format!("contains {} {}", self.operand(0), self.operand(depth)),
            11 => format!("join {} (split {} {})", self.one(&QUOTED), self.one(&QUOTED), self.text(depth)),
            12 => format!("indent {} {}", self.one(&NUMBERS), self.text(depth)),
            _ => format!(
                "({}).{}",
                self.one(&["$d", "$d.map", "parseJSON $d.json", "$d.keys"]),
                self.one(&KEYS)
            ),
        }
    }

    /// Makes an operand that is a text, most of the time.
    fn text(&mut self, depth: usize) -> String {
        match self.number(16) {
            0 => self.operand(depth),
            1..=3 => self.one(&QUOTED).to_owned(),
            4..=6 if depth > 0 => format!("(print {})", self.operand(depth - 1)),
            7..=9 if depth > 0 => format!("(toJSON {})", self.operand(depth - 1)),
            _ => self.field(&TEXT_KEYS),
        }
    }

    fn operand(&mut self, depth: usize) -> String {
        match self.number(if depth == 0 { 12 } else { 16 }) {
            0..=5 => self.field(&KEYS),
            6 => self.one(&QUOTED).to_owned(),
            7 => self.one(&NUMBERS).to_owned(),
            8 => self.one(&["true", "false", "nil", "."]).to_owned(),
            9 => self.one(&["$.x", ".", "$d", "$d.list", "$d.number", "$d.user"]).to_owned(),
            10 | 11 => {
                let known = self.variables.len().max(1);
                let n = self.number(known);
                self.variables.get(n).cloned().unwrap_or_else(|| ".".to_owned())
            }
            _ => format!("({})", self.pipeline(depth)),
        }
    }
}

#[test]
fn generated_templates_give_the_bytes_of_go() {
    let mut maker = TemplateMaker { state: 18, variables: Vec::new(), ranges: 0 };
    let texts = (0..TEMPLATES).map(|n| TemplateText {
        text: if n % 4 == 0 { maker.odd_text() } else { maker.template() },
        error_on_missing_key: n % 3 == 0,
        delimiters: ("", ""),
    });
    let compared = compare(texts.collect());
    let rendered = compared.iter().filter(|text| text.own.is_ok()).count();
    assert!(rendered > TEMPLATES / 2, "{rendered} of {TEMPLATES} are rendered");
    let refusals = refusals();
    let wrong = compared.iter().filter(|text| {
        text.is_wrong() || text.own_fault().is_some_and(|fault| !refusals.iter().any(|r| r.is_in(fault)))
    });
    let wrong: Vec<_> = wrong.map(|text| text.description()).collect();
    let first = wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {TEMPLATES} differ ({rendered} rendered):\n{first}", wrong.len());
}

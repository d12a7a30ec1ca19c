//! What a template reads, and the shorter object that gives the same bytes.

use coffer_template::tree::{Branch, Conditional, Operand, OperandKind, Pipeline, RangeLoop, TemplateNode};
use coffer_template::{Delimiters, TemplateFunction, parse_tree};

use super::class::ObjectSource;
use super::injection::SecretTemplate;

/// What a template reads.
#[derive(Debug, Default)]
pub(super) struct TemplateReads {
    /// The paths, without white space and slashes at their ends.
    pub(super) paths: Vec<TemplatePath>,
    /// Whether it reads `.Data.data`, as KV version 2 needs it.
    pub(super) is_versioned: bool,
    /// Whether a key that is missing makes a difference.
    pub(super) names_keys: bool,
}

/// A path in a template.
#[derive(Debug)]
pub(super) struct TemplatePath {
    /// The path.
    pub(super) path: String,
    /// The byte in the text where its literal begins.
    at: usize,
}

/// Fields of what Vault answers, which are never missing.
const ALWAYS_THERE: [&str; 5] = ["Data", "LeaseID", "LeaseDuration", "Renewable", "RequestID"];

impl SecretTemplate {
    /// Returns the tree of the template; none if it is not one that Coffer renders.
    fn tree(&self) -> Option<Vec<TemplateNode>> {
        let delimiters = match &self.delimiters {
            Some((left, right)) => Delimiters::new(left, right).ok()?,
            None => Delimiters::default(),
        };
        parse_tree(&self.text, &delimiters).ok()
    }

    /// Returns what the template reads; none if it is not one that Coffer renders.
    pub(super) fn reads(&self) -> Option<TemplateReads> {
        let mut reads = TemplateReads::default();
        reads.add_nodes(&self.tree()?);
        Some(reads)
    }

    /// Writes another path in place of one that the template has. Returns whether that could be
    /// done.
    pub(super) fn replace_path(&mut self, old: &TemplatePath, new: &str) -> bool {
        let Some(quote) = self.text[old.at..].chars().next() else { return false };
        let start = old.at + quote.len_utf8();
        let Some(length) = self.text[start..].find(quote) else { return false };
        let is_plain = self.text[start..start + length].trim().trim_matches('/') == old.path;
        if is_plain {
            self.text.replace_range(start..start + length, new);
        }
        is_plain
    }

    /// Returns the object that gives the same bytes without a template, if there is one: the value
    /// of one key, alone in the file.
    pub(super) fn simplified(&self) -> Option<ObjectSource> {
        let mut nodes = self.tree()?;
        nodes.retain(|node| !matches!(node, TemplateNode::Text(text) if text.is_empty()));
        let [TemplateNode::With(Conditional { branches, otherwise: None })] = &nodes[..] else { return None };
        let [Branch { pipeline, body }] = &branches[..] else { return None };
        let path = literal_path(pipeline)?;
        let body: Vec<_> =
            body.iter().filter(|node| !matches!(node, TemplateNode::Text(text) if text.is_empty())).collect();
        let [TemplateNode::Action(action)] = &body[..] else { return None };
        let (key, is_base64) = key_of(action, is_versioned(&path))?;
        Some(ObjectSource::Key { path, key, is_base64 })
    }
}

/// Returns whether a path has the `data/` of KV version 2.
pub(super) fn is_versioned(path: &str) -> bool {
    path.split('/').skip(1).any(|segment| segment == "data")
}

/// Returns the path of `secret "path"`, if `secretPath` means the same by it.
fn literal_path(pipeline: &Pipeline) -> Option<String> {
    let [command] = &pipeline.commands[..] else { return None };
    let [Operand { kind: OperandKind::Function(TemplateFunction::Secret), .. }, path] = &command.operands[..]
    else {
        return None;
    };
    let path = text_of(path)?;
    let is_plain = path.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.'));
    let is_same =
        is_plain && !path.starts_with("v1/") && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    (is_same && pipeline.variables.is_empty()).then_some(path)
}

/// Returns the key that an action writes, and whether it decodes the value from base64.
fn key_of(action: &Pipeline, is_versioned: bool) -> Option<(String, bool)> {
    if !action.variables.is_empty() {
        return None;
    }
    let (value, is_base64) = match &action.commands[..] {
        [value] => match &value.operands[..] {
            [Operand { kind: OperandKind::Function(TemplateFunction::Base64Decode), .. }, value] => {
                (std::slice::from_ref(value), true)
            }
            operands => (operands, false),
        },
        [value, decode]
            if matches!(
                &decode.operands[..],
                [Operand { kind: OperandKind::Function(TemplateFunction::Base64Decode), .. }]
            ) =>
        {
            (&value.operands[..], true)
        }
        _ => return None,
    };
    let names: Vec<String> = match value {
        [Operand { kind: OperandKind::Field(names), .. }] => names.clone(),
        [
            Operand { kind: OperandKind::Function(TemplateFunction::Index), .. },
            Operand { kind: OperandKind::Field(names), .. },
            key,
        ] => [&names[..], &[String::from_utf8(text_bytes(key)?.to_vec()).ok()?]].concat(),
        _ => return None,
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match names[..] {
        ["Data", "data", key] if is_versioned => Some((key.to_owned(), is_base64)),
        ["Data", key] if !is_versioned && !matches!(key, "data" | "metadata") => {
            Some((key.to_owned(), is_base64))
        }
        _ => None,
    }
}

fn text_bytes(operand: &Operand) -> Option<&[u8]> {
    if let OperandKind::Text(bytes) = &operand.kind { Some(bytes) } else { None }
}

fn text_of(operand: &Operand) -> Option<String> {
    let text = std::str::from_utf8(text_bytes(operand)?).ok()?;
    Some(text.trim().trim_matches('/').to_owned())
}

impl TemplateReads {
    fn add_nodes(&mut self, nodes: &[TemplateNode]) {
        for node in nodes {
            match node {
                TemplateNode::Text(_) | TemplateNode::Break(_) | TemplateNode::Continue(_) => {}
                TemplateNode::Action(pipeline) => self.add_pipeline(pipeline),
                TemplateNode::If(conditional) | TemplateNode::With(conditional) => {
                    for Branch { pipeline, body } in &conditional.branches {
                        self.add_pipeline(pipeline);
                        self.add_nodes(body);
                    }
                    self.add_nodes(conditional.otherwise.as_deref().unwrap_or_default());
                }
                TemplateNode::Range(RangeLoop { pipeline, body, otherwise }) => {
                    self.add_pipeline(pipeline);
                    self.add_nodes(body);
                    self.add_nodes(otherwise.as_deref().unwrap_or_default());
                }
            }
        }
    }

    fn add_pipeline(&mut self, pipeline: &Pipeline) {
        for command in &pipeline.commands {
            if let [Operand { kind: OperandKind::Function(function), .. }, path, ..] = &command.operands[..]
                && matches!(function, TemplateFunction::Secret | TemplateFunction::PkiCert)
                && let Some(text) = text_of(path)
            {
                self.paths.push(TemplatePath { path: text, at: path.at });
            }
            command.operands.iter().for_each(|operand| self.add_operand(operand));
        }
    }

    fn add_operand(&mut self, operand: &Operand) {
        match &operand.kind {
            OperandKind::Field(names) | OperandKind::Variable(_, names) => self.add_fields(names),
            OperandKind::Pipeline(pipeline) => self.add_pipeline(pipeline),
            OperandKind::Chain(inner, names) => {
                self.add_operand(inner);
                self.add_fields(names);
            }
            _ => {}
        }
    }

    fn add_fields(&mut self, names: &[String]) {
        self.is_versioned |= matches!(names, [data, inner, ..] if data == "Data" && inner == "data");
        let is_always_there = matches!(names, [name] if ALWAYS_THERE.contains(&name.as_str()));
        self.names_keys |= !names.is_empty() && !is_always_there;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> SecretTemplate {
        SecretTemplate { text: text.to_owned(), delimiters: None, error_on_missing_key: false }
    }

    #[test]
    fn one_key_alone_in_a_file_needs_no_template() {
        for (text, path, key, is_base64) in [
            ("{{ with secret \"secret/data/a\" }}{{ .Data.data.k }}{{ end }}", "secret/data/a", "k", false),
            (
                "{{- with secret `/secret/data/a/` -}}\n  {{ .Data.data.k }}\n{{- end -}}\n",
                "secret/data/a",
                "k",
                false,
            ),
            (
                "{{ with secret \"database/creds/a\" }}{{ .Data.username }}{{ end }}",
                "database/creds/a",
                "username",
                false,
            ),
            ("{{with secret \"kv/data/a\"}}{{index .Data.data \"k-1\"}}{{end}}", "kv/data/a", "k-1", false),
            ("{{with secret \"kv/data/a\"}}{{.Data.data.k | base64Decode}}{{end}}", "kv/data/a", "k", true),
            ("{{with secret \"kv/data/a\"}}{{base64Decode .Data.data.k}}{{end}}", "kv/data/a", "k", true),
        ] {
            let expected = ObjectSource::Key { path: path.to_owned(), key: key.to_owned(), is_base64 };
            assert_eq!(template(text).simplified(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_template_with_other_bytes_stays() {
        for text in [
            // a line break after the value
            "{{ with secret \"secret/data/a\" }}{{ .Data.data.k }}{{ end }}\n",
            "{{- with secret \"secret/data/a\" -}}\n{{ .Data.data.k }}\n{{ end }}",
            "{{ with secret \"secret/data/a\" }}k={{ .Data.data.k }}{{ end }}",
            // what KV version 2 wraps is not the key itself
            "{{ with secret \"secret/data/a\" }}{{ .Data.k }}{{ end }}",
            "{{ with secret \"secret/a\" }}{{ .Data.data.k }}{{ end }}",
            "{{ with secret \"secret/a\" }}{{ .Data.data }}{{ end }}",
            "{{ with secret \"secret/data/a\" }}{{ .Data.data.k.inner }}{{ end }}",
            // secretPath means something else by these
            "{{ with secret \"v1/data/a\" }}{{ .Data.data.k }}{{ end }}",
            "{{ with secret \"secret/data/a%20b\" }}{{ .Data.data.k }}{{ end }}",
            "{{ with secret \"secret/data/a?version=1\" }}{{ .Data.data.k }}{{ end }}",
            "{{ with secret \"pki/issue/a\" \"common_name=b\" }}{{ .Data.certificate }}{{ end }}",
            "{{ with secret \"secret/data/a\" }}{{ .Data.data.k | toJSON }}{{ end }}",
            "{{ with secret \"secret/data/a\" }}{{ .Data.data.k }}{{ else }}none{{ end }}",
            "{{ with secret \"secret/data/a\" }}{{ .Data.data.k }}{{ .Data.data.l }}{{ end }}",
            "{{ with secret \"secret/data/a\" }}",
        ] {
            assert_eq!(template(text).simplified(), None, "{text}");
        }
    }

    #[test]
    fn what_a_template_reads_is_found_in_all_its_parts() {
        let text = "{{ range $k, $v := (secret \"a/b\").Data }}{{ $v }}{{ end }}{{ if true }}{{ with pkiCert `p/issue/x` \"c=d\" }}\
             {{ .Cert }}{{ end }}{{ else }}{{ with secret \" /secret/c/ \" }}{{ .Data.data.k }}{{ end }}{{ end }}";
        let mut template = template(text);
        let reads = template.reads().expect("a template");
        let paths: Vec<_> = reads.paths.iter().map(|path| path.path.as_str()).collect();
        assert_eq!(paths, ["a/b", "p/issue/x", "secret/c"]);
        assert!(reads.is_versioned && reads.names_keys);
        assert!(template.replace_path(&reads.paths[2], "secret/data/c"));
        assert!(template.text.contains("{{ with secret \"secret/data/c\" }}"), "{}", template.text);
    }

    #[test]
    fn a_missing_key_makes_no_difference_to_the_injector_s_own_templates() {
        for text in [
            "{{ with secret \"a\" }}{{ range $k, $v := .Data }}{{ $k }}: {{ $v }}\n{{ end }}{{ end }}",
            "{{ with secret \"a\" }}{{ .Data | toJSON }}\n{{ end }}",
        ] {
            assert!(!template(text).reads().expect("a template").names_keys, "{text}");
        }
    }
}

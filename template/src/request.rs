//! What a template asks Vault for.

use std::collections::BTreeMap;

/// Something that a template asks Vault for. Its answer is needed before the template is rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateRequest {
    /// What is asked.
    pub action: TemplateAction,
    /// The path below `/v1/`, decoded, as the template has it: without a `data/` that KV v2 needs.
    pub path: String,
    /// The query parameters of a [`TemplateAction::Read`], sorted.
    pub query: Vec<(String, String)>,
    /// The arguments of a write.
    pub arguments: BTreeMap<String, String>,
    /// The byte in the template's text where it is asked first.
    pub at: usize,
}

/// What a function asks Vault for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateAction {
    /// `secret` with a path alone: GET.
    Read,
    /// `secret` with arguments: PUT.
    Write,
    /// `pkiCert`: PUT. Its value is the certificate, its key and the authorities.
    Certificate,
}

/// A request that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadRequest {
    /// There is no path.
    #[error("the path is empty")]
    EmptyPath,
    /// The path has characters that Go takes for another part of a URL.
    #[error("the path has a character that a path in a template cannot have: {0:?}")]
    PathCharacter(char),
    /// The path or query has a `%` that no two hexadecimal digits follow, or is not UTF-8.
    #[error("the path has a % that is not an escape of UTF-8")]
    Escape,
    /// An argument is not `key=value`.
    #[error("an argument after the path is not \"key=value\"")]
    NotAPair,
    /// An argument is not UTF-8.
    #[error("an argument is not UTF-8")]
    NotText,
}

impl TemplateRequest {
    /// Returns the request of a call, by consul-template's rules.
    ///
    /// # Errors
    /// [`BadRequest`].
    pub(crate) fn new(is_certificate: bool, texts: &[&[u8]], at: usize) -> Result<Self, BadRequest> {
        let texts: Result<Vec<_>, _> = texts.iter().map(|text| std::str::from_utf8(text)).collect();
        let texts = texts.map_err(|_| BadRequest::NotText)?;
        let [path, arguments @ ..] = &texts[..] else { return Err(BadRequest::EmptyPath) };
        let path = path.trim().trim_matches('/');
        let action = match (is_certificate, arguments) {
            (true, _) => TemplateAction::Certificate,
            (false, []) => TemplateAction::Read,
            (false, _) => TemplateAction::Write,
        };
        // Go parses the path of a write neither as URL nor for a query
        let (path, query) = match action {
            TemplateAction::Write => (path.to_owned(), Vec::new()),
            TemplateAction::Read => url(path)?,
            TemplateAction::Certificate => (url(path)?.0, Vec::new()),
        };
        if let Some(c) = path.chars().find(|c| c.is_control() || matches!(c, '#' | '?')) {
            return Err(BadRequest::PathCharacter(c));
        }
        if path.is_empty() {
            return Err(BadRequest::EmptyPath);
        }
        Ok(Self { action, path, query, arguments: pairs(arguments)?, at })
    }

    /// Returns whether one answer serves both.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.action == other.action
            && self.path == other.path
            && self.query == other.query
            && self.arguments == other.arguments
    }
}

type PathAndQuery = (String, Vec<(String, String)>);

/// Returns path and query of a relative URL.
fn url(text: &str) -> Result<PathAndQuery, BadRequest> {
    if let Some(c) = text.chars().find(|c| c.is_control() || *c == '#') {
        return Err(BadRequest::PathCharacter(c));
    }
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let first = path.split('/').next().unwrap_or_default();
    if first.contains(':') {
        return Err(BadRequest::PathCharacter(':'));
    }
    let mut pairs = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if pair.contains(';') {
            return Err(BadRequest::PathCharacter(';'));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((decoded(&name.replace('+', " "))?, decoded(&value.replace('+', " "))?));
    }
    pairs.sort();
    Ok((decoded(path)?, pairs))
}

/// Returns a text without `%` escapes.
fn decoded(text: &str) -> Result<String, BadRequest> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('%') {
        bytes.extend_from_slice(plain.as_bytes());
        let digits = escape.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(code.ok_or(BadRequest::Escape)?);
        rest = &escape[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).map_err(|_| BadRequest::Escape)
}

/// Returns the arguments of a write. Empty texts are skipped, and of equal keys the last counts.
fn pairs(texts: &[&str]) -> Result<BTreeMap<String, String>, BadRequest> {
    let mut pairs = BTreeMap::new();
    for text in texts.iter().filter(|text| !text.is_empty()) {
        let (key, value) = text.split_once('=').ok_or(BadRequest::NotAPair)?;
        pairs.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    Ok(pairs)
}

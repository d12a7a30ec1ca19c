//! Renders the same templates by both, and compares.

use std::fmt::Write as _;
use std::io::Write as _;

use coffer_template::{Delimiters, RenderOptions, Template};
use coffer_tests::{ConsulTemplate, ConsulTemplateText};

use crate::answers::Answers;

/// A template and how it is rendered.
#[derive(Debug, Clone)]
pub(crate) struct TemplateText {
    pub(crate) text: String,
    pub(crate) error_on_missing_key: bool,
    /// The delimiters; empty ones are the default.
    pub(crate) delimiters: (&'static str, &'static str),
}

/// What came of a template: the file, or what is wrong.
pub(crate) type FileOrFault = Result<Vec<u8>, String>;

/// A template with what both made of it.
pub(crate) struct ComparedText {
    pub(crate) template: TemplateText,
    pub(crate) own: FileOrFault,
    pub(crate) go: FileOrFault,
}

impl TemplateText {
    fn for_go(&self) -> ConsulTemplateText {
        let (left, right) = self.delimiters;
        ConsulTemplateText {
            text: self.text.clone(),
            left: left.to_owned(),
            right: right.to_owned(),
            error_on_missing_key: self.error_on_missing_key,
        }
    }
}

impl ComparedText {
    /// Returns whether Coffer made a file that Go did not make.
    pub(crate) fn is_wrong(&self) -> bool {
        self.own.is_ok() && self.own.as_ref().ok() != self.go.as_ref().ok()
    }

    /// Returns Coffer's fault, if Go had none.
    pub(crate) fn own_fault(&self) -> Option<&str> {
        self.own.as_ref().err().filter(|_| self.go.is_ok()).map(String::as_str)
    }

    pub(crate) fn description(&self) -> String {
        let shown = |made: &FileOrFault| match made {
            Ok(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
            Err(fault) => format!("refused: {fault}"),
        };
        let strict = if self.template.error_on_missing_key { "" } else { " (missing keys allowed)" };
        let mut text = String::new();
        let _ = writeln!(text, "{}{strict}\n  Coffer: {}", self.template.text, shown(&self.own));
        let _ = write!(text, "  Go:     {}", shown(&self.go));
        text
    }
}

/// Renders templates by both.
pub(crate) fn compare(texts: Vec<TemplateText>) -> Vec<ComparedText> {
    let answers = Answers::new();
    let go = by_go(&texts, &answers);
    let pairs = texts.into_iter().zip(go);
    pairs.map(|(template, go)| ComparedText { own: by_coffer(&template, &answers), template, go }).collect()
}

/// Renders a template by Coffer, in small slices.
pub(crate) fn by_coffer(text: &TemplateText, answers: &Answers) -> FileOrFault {
    let (left, right) = text.delimiters;
    let delimiters = Delimiters::new(left, right).map_err(|bad| bad.to_string())?;
    let template = Template::parse(&text.text, &delimiters).map_err(|fault| fault.to_string())?;
    let answers = answers.of(&template).ok_or("no answer")?;
    let options =
        RenderOptions { error_on_missing_key: text.error_on_missing_key, ..RenderOptions::default() };
    let mut rendering = template.begin(answers, options).map_err(|fault| fault.to_string())?;
    while rendering.run(7).map_err(|fault| fault.to_string())? == coffer_template::Progress::Unfinished {}
    Ok(rendering.into_output().expose().to_vec())
}

fn by_go(texts: &[TemplateText], answers: &Answers) -> Vec<FileOrFault> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(answers.json().as_bytes()).unwrap();
    let texts: Vec<_> = texts.iter().map(TemplateText::for_go).collect();
    let files = ConsulTemplate::with_answers(file.path()).render(&texts).into_iter();
    files.map(|file| file.map_err(|fault| fault.message)).collect()
}

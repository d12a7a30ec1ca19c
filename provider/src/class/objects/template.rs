//! Checks the fields of an object that is a template.

use std::sync::Arc;

use coffer_template::{BadDelimiter, Delimiters, Template, TemplateAction, TemplateFault, TemplateRequest};
use coffer_vault::json::write_string;
use coffer_vault::{Method, Request, Secret};

use super::boolean::{NoBoolean, boolean};
use super::fields::ObjectFields;
use crate::class::request_path::{self, BadSecretPath};
use crate::class::template::ObjectTemplate;

/// Fields that say what an object without a template reads, and what is made of it.
const WITHOUT_TEMPLATE: [&str; 9] = [
    "secretPath",
    "secretKey",
    "method",
    "secretArgs",
    "encoding",
    "format",
    "include",
    "exclude",
    "jsonPointer",
];

/// Fields that need a template.
const OF_TEMPLATE: [&str; 3] = ["leftDelimiter", "rightDelimiter", "errorOnMissingKey"];

/// Why a field is refused. Each message continues a sentence that begins with the name of the field.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadTemplate {
    #[error("{0}")]
    Fault(#[from] TemplateFault),
    #[error("asks at {place} for a path that {problem}")]
    Path { place: coffer_template::TemplatePlace, problem: BadSecretPath },
    #[error(transparent)]
    Delimiter(#[from] BadDelimiter),
    #[error(transparent)]
    NoBoolean(#[from] NoBoolean),
    #[error("does not go with template, which names by itself what it reads and how it is written")]
    BesideTemplate,
    #[error("goes with template only")]
    NoTemplate,
}

/// The mistakes of fields, by name.
type Mistakes = Vec<(&'static str, BadTemplate)>;

/// Returns whether an object is a template.
pub(super) fn is_template(fields: &ObjectFields) -> bool {
    fields.text("template").is_some()
}

/// Returns the mistakes of an object without a template in fields that need one.
pub(super) fn without_template(fields: &ObjectFields) -> Mistakes {
    let set = OF_TEMPLATE.into_iter().filter(|field| fields.is_set(field));
    set.map(|field| (field, BadTemplate::NoTemplate)).collect()
}

/// Returns the template, or the mistakes in its fields.
pub(super) fn parse(fields: &ObjectFields) -> Result<ObjectTemplate, Mistakes> {
    let set = WITHOUT_TEMPLATE.into_iter().filter(|field| fields.is_set(field));
    let mut mistakes: Mistakes = set.map(|field| (field, BadTemplate::BesideTemplate)).collect();
    let error_on_missing_key =
        take(boolean(fields, "errorOnMissingKey", true), "errorOnMissingKey", &mut mistakes);
    let parsed = delimiters(fields, &mut mistakes)
        .and_then(|delimiters| take(template(fields, &delimiters), "template", &mut mistakes));
    match (parsed, error_on_missing_key) {
        (Some((template, requests)), Some(error_on_missing_key)) if mistakes.is_empty() => {
            Ok(ObjectTemplate { template, requests, error_on_missing_key })
        }
        _ => Err(mistakes),
    }
}

fn delimiters(fields: &ObjectFields, mistakes: &mut Mistakes) -> Option<Delimiters> {
    let text = |field| fields.text(field).unwrap_or_default();
    let (left, right) = (text("leftDelimiter"), text("rightDelimiter"));
    take(Delimiters::new(left, ""), "leftDelimiter", mistakes)?;
    take(Delimiters::new(left, right), "rightDelimiter", mistakes)
}

fn template(
    fields: &ObjectFields,
    delimiters: &Delimiters,
) -> Result<(Template, Vec<Arc<Request>>), BadTemplate> {
    let text = fields.text("template").unwrap_or_default();
    let template = Template::parse(text, delimiters)?;
    let requests = template.requests().iter().map(|asked| {
        request(asked).map(Arc::new).map_err(|problem| BadTemplate::Path {
            place: coffer_template::TemplatePlace::of(text, asked.at),
            problem,
        })
    });
    let requests = requests.collect::<Result<_, _>>()?;
    Ok((template, requests))
}

fn request(asked: &TemplateRequest) -> Result<Request, BadSecretPath> {
    let path = request_path::checked(&asked.path)?;
    Ok(match asked.action {
        TemplateAction::Read => Request { query: asked.query.clone(), ..Request::get(path) },
        TemplateAction::Write | TemplateAction::Certificate => {
            let mut body = Secret::from("{");
            for (n, (name, value)) in asked.arguments.iter().enumerate() {
                if n > 0 {
                    body.push(b",");
                }
                write_string(&mut body, name);
                body.push(b":");
                write_string(&mut body, value);
            }
            body.push(b"}");
            Request::with_body(Method::Put, path, body)
        }
    })
}

fn take<T>(
    parsed: Result<T, impl Into<BadTemplate>>,
    field: &'static str,
    mistakes: &mut Mistakes,
) -> Option<T> {
    parsed.map_err(|bad| mistakes.push((field, bad.into()))).ok()
}

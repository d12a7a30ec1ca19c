//! The fuzz targets of the read path. They are compiled for `cargo fuzz` alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use coffer_vault::{Answer, Secret};
use serde_json::Value;

use crate::class::{Class, Output, Plan, Source, TlsParameters};
use crate::render::{FilesBudget, Frames, MAX_FILES, Parsed, RenderContext, TemplateSteps, render};
use crate::{ErrorKind, Policy, Settings};

pub use crate::class::{printed_objects, secret_path};
pub use crate::lease::stored_session;

/// Limit of a file while fuzzing, in bytes: small inputs reach it.
const LIMIT: usize = 4096;

/// Returns the parameters in lines `name=value`, and these objects.
fn parameters(lines: &str, objects: &str) -> BTreeMap<String, String> {
    let pairs = lines.lines().filter_map(|line| line.split_once('='));
    let mut parameters: BTreeMap<String, String> =
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    parameters.entry("roleName".to_owned()).or_insert_with(|| "app".to_owned());
    if !objects.is_empty() {
        parameters.insert("objects".to_owned(), objects.to_owned());
    }
    parameters
}

/// Parses a class. `lines` has its parameters as `name=value`.
///
/// # Panics
/// If two ways to read the class differ, or what the class says is another class once it is
/// printed.
pub fn class(lines: &str, objects: &str) {
    let settings = Settings::default();
    let parameters = parameters(lines, objects);
    let parsed = Class::parse(&parameters, &settings);
    let examined = Class::examine(&parameters, &settings);
    assert_eq!(parsed.is_ok(), examined.class.is_some());
    assert_eq!(parsed.is_ok(), examined.findings.mistakes.is_empty());
    for finding in examined.findings.mistakes.iter().chain(&examined.findings.warnings) {
        assert!(!finding.message.contains('\n'), "{finding:?}");
    }
    let ignored = Class::parse_with(&parameters, &settings, TlsParameters::Ignored);
    let Ok(class) = parsed else { return };
    assert!(ignored.is_ok(), "a class is refused once its TLS parameters are ignored");
    assert!(!class.objects.is_empty() && class.objects.len() <= 1000);
    check_plan(&class.plan);
    let Some(printed) = printed_objects(&parameters["objects"]) else { panic!("objects that are read") };
    let again = BTreeMap::from([("objects".to_owned(), printed.clone())]);
    let again: BTreeMap<_, _> = parameters.into_iter().chain(again).collect();
    match Class::parse(&again, &settings) {
        Ok(again) => assert_eq!(normal(&class), normal(&again), "{printed}"),
        Err(error) => panic!("what the class says is refused: {error}\n{printed}"),
    }
}

fn check_plan(plan: &Plan) {
    for (at, planned) in plan.requests.iter().enumerate() {
        assert_eq!(planned.id, planned.request.id());
        assert!(plan.requests[..at].iter().all(|other| other.id != planned.id), "a request is made twice");
    }
}

/// Returns all that a class says, without the positions in its warnings.
fn normal(class: &Class) -> String {
    let Class {
        name, target, namespace, auth_mount, role, audience, refresh_interval, objects, plan, ..
    } = class;
    let exposed: Vec<_> = objects.iter().map(|object| object.fingerprint.expose_str()).collect();
    let bodies: Vec<_> =
        plan.requests.iter().map(|planned| planned.request.body.as_ref().map(Secret::expose)).collect();
    format!(
        "{name} {target:?} {namespace:?} {auth_mount} {role} {audience:?} {refresh_interval:?} {objects:?} {plan:?} \
         {exposed:?} {bodies:?}"
    )
}

/// Parses a class whose object has these `secretArgs`, in which each U+FFFD becomes the planted
/// secret.
///
/// # Panics
/// If a message repeats the secret.
pub fn secret_arguments(arguments: &str, planted: &str) {
    let arguments = arguments.replace('\u{fffd}', planted).replace('\n', "\n      ");
    let objects =
        format!("- objectName: a\n  secretPath: p\n  method: PUT\n  secretArgs:\n      {arguments}\n");
    let examined = Class::examine(&parameters("", &objects), &Settings::default());
    let said = format!("{:?} {:?} {:?}", examined.findings, examined.names, examined.class);
    assert!(!said.contains(planted), "{said}");
}

/// Renders the objects of a class from an answer of Vault. Every string in the answer gets the
/// planted secret at its end.
///
/// # Panics
/// If a limit does not hold, an error repeats a value, or a document is not in its format.
pub fn files(objects: &str, body: &str, planted: &str) {
    let Ok(class) = Class::parse(&parameters("", objects), &Settings::default()) else { return };
    let Some(plain) = Answer::from_body(Secret::from(body)).filter(|answer| answer.root().is_object()) else {
        return;
    };
    render_class(&class, &Arc::new(plain), None);
    let Ok(mut value) = serde_json::from_str::<Value>(body) else { return };
    plant(&mut value, planted);
    let is_known = objects.contains(planted) || body.contains(planted);
    let answer = Answer::from_body(Secret::new(value.to_string()));
    let Some(answer) = answer else { panic!("an answer with the secret is JSON") };
    render_class(&class, &Arc::new(answer), Some(planted).filter(|_| !is_known));
}

fn plant(value: &mut Value, planted: &str) {
    match value {
        Value::String(text) => text.push_str(planted),
        Value::Array(items) => items.iter_mut().for_each(|item| plant(item, planted)),
        Value::Object(members) => members.values_mut().for_each(|member| plant(member, planted)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn render_class(class: &Class, answer: &Arc<Answer>, planted: Option<&str>) {
    let parsed = Parsed::new(answer);
    let _ = answer.grant(true);
    let _ = answer.envelope().login();
    let budget = FilesBudget::new(LIMIT, TemplateSteps::Few);
    let frames = Frames::unstored();
    let context = RenderContext { frames: &frames, budget: &budget, limit: LIMIT };
    for object in &class.objects {
        let answers: Vec<_> = object.source.requests().iter().map(|_| &parsed).collect();
        match render(object, &answers, &context) {
            Ok(files) => {
                assert!(files.len() <= MAX_FILES);
                for file in files {
                    assert!(object.may_make(&file.path), "{:?}", file.path);
                    assert!(file.contents.len() <= LIMIT);
                    assert!(file.hashed().len() <= LIMIT);
                    check_document(&object.source, file.contents.expose());
                }
            }
            Err(error) => {
                let said = format!("{error} {error:?}");
                assert!(planted.is_none_or(|planted| !said.contains(planted)), "{said}");
                assert!(!matches!(error.kind, ErrorKind::Internal), "{said}");
            }
        }
    }
}

fn check_document(source: &Source, contents: &[u8]) {
    use crate::class::DocumentFormat::{Json, Yaml};

    let Source::Answer { output: Output::Document { format: format @ (Json | Yaml), .. }, .. } = source
    else {
        return;
    };
    let text = str::from_utf8(contents);
    match format {
        Json => assert!(text.is_ok_and(|text| Answer::from_body(Secret::from(text)).is_some())),
        _ => assert!(text.is_ok_and(|text| !text.contains('\0') && text.ends_with('\n')), "{text:?}"),
    }
}

/// Parses a policy, and asks it about a class.
///
/// # Panics
/// If a message has several lines.
pub fn policy(text: &str, namespace: &str, lines: &str) {
    let objects = "- objectName: a\n  secretPath: p\n";
    match Policy::parse(text) {
        Ok(policy) => {
            let parameters = parameters(lines, objects);
            let Ok(class) = Class::parse(&parameters, &Settings::default()) else { return };
            let refusals = policy.refusals(namespace, &class);
            assert_eq!(refusals.is_empty(), policy.check(namespace, &class).is_ok());
        }
        Err(bad) => {
            let said = bad.to_string();
            assert!(!said.is_empty() && !said.contains('\n'), "{said}");
        }
    }
}

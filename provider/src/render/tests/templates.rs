//! Files of templates.

use std::sync::Arc;

use coffer_vault::{Answer, Secret};

use super::stored_frames;
use crate::class::Class;
use crate::render::{FilesBudget, Parsed, RenderContext, TemplateSteps, render};
use crate::{Error, ErrorKind, Settings};

/// Returns the file of a template over answers with these bodies.
fn file(fields: &str, bodies: &[&str], steps: TemplateSteps) -> Result<Option<String>, Error> {
    let objects = format!("[{{objectName: f, {fields}}}]");
    let parameters = [("roleName", "r"), ("objects", &objects)].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let class = Class::parse(&parameters.into(), &Settings::default()).expect("a class");
    let answer = |body: &&str| Arc::new(Answer::from_body(Secret::from(*body)).expect("JSON"));
    let answers: Vec<_> = bodies.iter().map(answer).collect();
    let parsed: Vec<_> = answers.iter().map(Parsed::new).collect();
    let budget = FilesBudget::new(1 << 20, steps);
    let frames = stored_frames();
    let context = RenderContext { frames: &frames, budget: &budget, limit: 1 << 20 };
    let files = render(&class.objects[0], &parsed.iter().collect::<Vec<_>>(), &context)?;
    Ok(files.into_iter().next().map(|file| String::from_utf8(file.contents.into_bytes()).expect("UTF-8")))
}

const ONE: &str = r#"{"data":{"data":{"user":"ada"},"metadata":{"version":1}}}"#;
const TWO: &str = r#"{"data":{"host":"db","port":5432}}"#;

#[test]
fn a_template_is_rendered_over_several_answers() {
    let template = r#"template: '{{with secret "secret/data/a"}}{{.Data.data.user}}{{end}}@{{with secret "kv/b"}}{{.Data.host}}:{{.Data.port}}{{end}}'"#;
    let text = file(template, &[ONE, TWO], TemplateSteps::All).expect("a file");
    assert_eq!(text.as_deref(), Some("ada@db:5432"));
}

#[test]
fn a_missing_key_is_an_error_unless_the_object_says_otherwise() {
    let template = r#"template: 'x {{with secret "kv/b"}}{{.Data.gone}}{{end}}'"#;
    let error = file(template, &[TWO], TemplateSteps::All).expect_err("a missing key");
    assert_eq!(error.kind, ErrorKind::NotFound);
    let words = error.to_string();
    assert!(words.contains("template, line 1, column") && words.contains("gone"), "{words}");
    let optional = format!("{template}, optional: true");
    assert_eq!(file(&optional, &[TWO], TemplateSteps::All).expect("no file"), None);
    let allowed = format!("{template}, errorOnMissingKey: false");
    assert_eq!(file(&allowed, &[TWO], TemplateSteps::All).expect("a file").as_deref(), Some("x <no value>"));
}

#[test]
fn a_template_that_takes_too_many_steps_ends_in_an_error() {
    let nested = "{{range $x}}".repeat(10) + "y" + &"{{end}}".repeat(10);
    let template = format!(r#"template: '{{{{$x := split "," "a,b,c,d,e,f,g,h,i,j"}}}}{nested}'"#);
    for steps in [TemplateSteps::Few, TemplateSteps::All] {
        let error = file(&template, &[], steps).expect_err("too much");
        assert_eq!(error.kind, ErrorKind::TooLarge, "{error}");
    }
}

//! Objects that are templates: their requests, and mistakes.

use super::{objects, refusal};
use crate::class::Source;

/// Returns method, path and body of each request of a template.
fn requests(template: &str) -> Vec<(String, String, String)> {
    let class = objects(&format!("- objectName: t\n  template: '{template}'\n")).expect(template);
    let text = |body: &[u8]| String::from_utf8(body.to_vec()).expect("UTF-8");
    let requests = class.objects[0].source.requests().iter().map(|request| {
        let body = request.body.as_ref().map_or_else(String::new, |body| text(body.expose()));
        (request.method.as_str().to_owned(), request.path.clone(), body)
    });
    requests.collect()
}

#[test]
fn the_requests_of_a_template_are_part_of_the_plan() {
    let asked = requests(
        r#"{{with secret "secret/data/a?version=2"}}{{end}}{{with secret "pki/issue/web" "common_name=a" "ttl=1h"}}{{end}}{{with secret "/secret/data/b/"}}{{end}}"#,
    );
    let expected = [
        ("GET", "secret/data/a", ""),
        ("PUT", "pki/issue/web", r#"{"common_name":"a","ttl":"1h"}"#),
        ("GET", "secret/data/b", ""),
    ];
    assert_eq!(asked, expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));
    let class = objects(
        "- {objectName: a, secretPath: secret/data/x, secretKey: k}\n\
         - objectName: b\n  template: '{{with secret \"secret/data/x\"}}{{end}}{{with secret \"kv/y\"}}{{end}}'\n\
         - {objectName: c, template: static}",
    )
    .expect("a class");
    assert_eq!(class.plan.requests_of, [vec![0], vec![0, 1], vec![]]);
    assert!(matches!(class.objects[1].source, Source::Template(_)));
}

#[test]
fn mistakes_name_field_object_and_place() {
    for (fields, message) in [
        ("template: '{{sprig}}'", "line 2, column 3: template line 1, column 3: there is no function sprig"),
        ("template: '{{with secret \"a/../b\"}}{{end}}'", "template asks at line 1, column"),
        ("template: '{{.X'", "template line 1, column"),
        ("template: x\n  secretPath: p", "line 3, column 3: secretPath does not go with template"),
        ("template: x\n  secretArgs: {}", "secretArgs does not go with template"),
        ("template: x\n  format: json", "format does not go with template"),
        ("template: x\n  include: [a]", "include does not go with template"),
        ("template: x\n  errorOnMissingKey: maybe", "errorOnMissingKey \"maybe\" is neither true nor false"),
        ("template: x\n  leftDelimiter: \"a b\"", "leftDelimiter \"a b\" cannot be a delimiter"),
        (
            "template: x\n  rightDelimiter: \"a b\"",
            "line 3, column 3: rightDelimiter \"a b\" cannot be a delimiter",
        ),
        ("secretPath: p\n  leftDelimiter: '<<'", "leftDelimiter goes with template only"),
        (
            "template: '{{with secret \"a/issue\" \"b=c\"}}{{end}}'\n  optional: true",
            "optional goes with GET and LIST only",
        ),
    ] {
        let said = refusal(&[("objects", &format!("- objectName: t\n  {fields}\n"))]);
        assert!(said.contains(message) && said.contains("object \"t\""), "{fields}: {said}");
    }
}

#[test]
fn delimiters_may_be_others() {
    let class = objects(
        "- objectName: t\n  template: '<<with secret \"kv/a\">>{{ .Data.b }}<<end>>'\n  leftDelimiter: <<\n  rightDelimiter: '>>'\n",
    )
    .expect("a class");
    assert_eq!(class.plan.requests[0].request.path, "kv/a");
}

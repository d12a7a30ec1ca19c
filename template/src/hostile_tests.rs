//! Templates that would take all time or memory: each ends by a limit, with its place.

use std::sync::Arc;

use coffer_vault::{Answer, Secret};
use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};

use crate::{Delimiters, Progress, RenderFault, RenderOptions, RenderProblem, Template, TemplateBudget};

/// More steps than any slice may take: those of one value of the maximum size, read and written.
const LONGEST_STEP: usize = 60_000;

fn answer(data: &str) -> Arc<Answer> {
    Arc::new(Answer::from_body(Secret::new(format!(r#"{{"data":{data}}}"#))).expect("JSON"))
}

/// Renders a template with this data, a few steps at a time.
fn render(text: &str, data: &str) -> Result<Vec<u8>, RenderFault> {
    let text = format!("{{{{ with secret \"a\" }}}}{text}{{{{ end }}}}");
    let template = Template::parse(&text, &Delimiters::default()).expect("a template");
    let options = RenderOptions { error_on_missing_key: false, ..RenderOptions::default() };
    let mut rendering = template.begin(vec![answer(data)], options)?;
    let mut slices = 0;
    loop {
        let before = rendering.steps();
        let progress = rendering.run(1)?;
        assert!(rendering.steps() - before <= LONGEST_STEP, "{} steps", rendering.steps() - before);
        slices += 1;
        assert!(slices < 2_000_000, "the budget ends it");
        if progress == Progress::Finished {
            return Ok(rendering.into_output().expose().to_vec());
        }
    }
}

fn problem(text: &str, data: &str) -> RenderProblem {
    let fault = render(text, data).expect_err(text);
    assert!(fault.place.line >= 1 && fault.place.column > 1, "{fault}");
    fault.problem
}

#[test]
fn loops_end_by_the_budget_of_steps() {
    let numbers = format!("[{}0]", "0,".repeat(9_999));
    let data = format!(r#"{{"l":{numbers}}}"#);
    let nested = "{{ range 1000000000 }}".repeat(3) + &"{{ end }}".repeat(3);
    for text in [
        "{{ range 1000000000 }}{{ end }}",
        "{{ range 1000000000 }}{{ continue }}{{ end }}",
        nested.as_str(),
        "{{ $l := .Data.l }}{{ range $l }}{{ range $l }}{{ range $l }}{{ end }}{{ end }}{{ end }}",
        "{{ $d := .Data }}{{ range 1000000000 }}{{ $x := len $d.l }}{{ end }}",
        "{{ $d := .Data }}{{ range 1000000000 }}{{ $x := index $d.l 9999 }}{{ end }}",
        "{{ $d := .Data }}{{ range 1000000000 }}{{ $x := toJSON $d.l }}{{ end }}",
        "{{ $d := .Data }}{{ range 1000000000 }}{{ $x := contains \"a\" $d.l }}{{ end }}",
        "{{ $d := .Data }}{{ range 1000000000 }}{{ $x := print $d }}{{ end }}",
    ] {
        assert!(matches!(problem(text, &data), RenderProblem::Steps(_)), "{text}");
    }
}

#[test]
fn texts_that_grow_end_by_their_size() {
    let double = r#"{{ $x := "aaaaaaaaaaaaaaaa" }}{{ range 40 }}{{ $x = print $x $x }}{{ end }}"#;
    let replaced =
        r#"{{ $x := "aaaaaaaaaaaaaaaa" }}{{ range 40 }}{{ $x = replaceAll "a" "aaaa" $x }}{{ end }}"#;
    let between = r#"{{ $x := "aa" }}{{ range 40 }}{{ $x = replaceAll "" $x $x }}{{ end }}"#;
    let indented = r#"{{ $x := "a\na\na\na" }}{{ range 40 }}{{ $x = indent 10000 $x }}{{ end }}"#;
    let encoded = r#"{{ $x := "aaaaaaaaaaaaaaaa" }}{{ range 100 }}{{ $x = base64Encode $x }}{{ end }}"#;
    let quoted = r#"{{ $x := "\"\\" }}{{ range 40 }}{{ $x = toJSON $x }}{{ end }}"#;
    let joined =
        r#"{{ $x := "a b" }}{{ range 40 }}{{ $x = split " " $x | join (printf "%s %s" $x $x) }}{{ end }}"#;
    let hexadecimal = r#"{{ $x := "aaaa" }}{{ range 40 }}{{ $x = printf "%x%x" $x $x }}{{ end }}"#;
    for text in [double, replaced, between, indented, encoded, quoted, joined, hexadecimal] {
        assert!(matches!(problem(text, "{}"), RenderProblem::ValueSize(_)), "{text}");
    }
    for text in [
        r#"{{ indent 1000000000 "a" }}"#,
        r#"{{ indent 9223372036854775807 "a\nb" }}"#,
        r#"{{ printf "%1000000d%1000000d" 1 2 }}"#,
        r#"{{ printf "%01000000d%.1000000d" 1 2 }}"#,
    ] {
        assert!(matches!(problem(text, "{}"), RenderProblem::ValueSize(_)), "{text}");
    }
    let fault = problem(r#"{{ printf "%.1000000f" 1.5 }}"#, "{}");
    assert!(matches!(fault, RenderProblem::Unsupported(_)), "{fault}");
    let written = r#"{{ range 100 }}{{ printf "%100000d" 1 }}{{ end }}"#;
    assert!(matches!(problem(written, "{}"), RenderProblem::Output(_)));
}

#[test]
fn values_that_are_kept_end_by_the_memory() {
    let made = r#"{{ $a := printf "%1000000d" 1 }}"#;
    let declared: String = (0..20).map(|n| format!("{{{{ $v{n} := printf \"%1000000d\" {n} }}}}")).collect();
    assert!(matches!(problem(&declared, "{}"), RenderProblem::Memory(_)));
    let arguments = format!("{{{{ len (print{}) }}}}", r#" (printf "%400000d" 1)"#.repeat(30));
    assert!(matches!(problem(&arguments, "{}"), RenderProblem::Memory(_)));
    let nested =
        format!("{made}{}{}", r#"{{ with printf "%1000000d" 1 }}"#.repeat(12), "{{ end }}".repeat(12));
    assert!(matches!(problem(&nested, "{}"), RenderProblem::Memory(_)));
    // what is not used any more is given back
    let replaced = format!("{{{{ range 40 }}}}{made}{{{{ end }}}}done");
    assert_eq!(render(&replaced, "{}").expect("a file"), b"done");
}

#[test]
fn many_values_at_once_are_refused() {
    let list = format!("[{}0]", "0,".repeat(50_000));
    let map = format!("{{{}\"z\":0}}", (0..30_000).map(|n| format!("\"{n}\":0,")).collect::<String>());
    for (text, data) in [
        ("{{ toJSON .Data.l }}", &format!(r#"{{"l":{list}}}"#)),
        ("{{ toYAML .Data.l }}", &format!(r#"{{"l":{list}}}"#)),
        ("{{ print .Data.l }}", &format!(r#"{{"l":{list}}}"#)),
        ("{{ .Data.l }}", &format!(r#"{{"l":{list}}}"#)),
        ("{{ range .Data.m }}{{ end }}", &format!(r#"{{"m":{map}}}"#)),
        ("{{ len .Data.m }}", &format!(r#"{{"m":{map}}}"#)),
        ("{{ parseJSON .Data.t }}", &format!(r#"{{"t":"{list}"}}"#)),
        (r#"{{ split "," .Data.t }}"#, &format!(r#"{{"t":"{list}"}}"#)),
        (r#"{{ split "" .Data.t }}"#, &format!(r#"{{"t":"{list}"}}"#)),
    ] {
        assert_eq!(problem(text, data), RenderProblem::TooManyItems, "{text}");
    }
}

#[test]
fn a_fault_has_no_byte_of_a_secret() {
    let data = r#"{"p":"hunter2","l":["hunter2"],"m":{"hunter2":1}}"#;
    for text in [
        "{{ .Data.p.x }}",
        "{{ index .Data.l 7 }}",
        "{{ index .Data.l .Data.p }}",
        "{{ base64Decode .Data.p }}",
        "{{ parseJSON .Data.p }}",
        "{{ eq .Data.p 1 }}",
        "{{ lt .Data.m 1 }}",
        "{{ range .Data.p }}{{ end }}",
        "{{ toUpper .Data.l }}",
        "{{ printf .Data.l }}",
        "{{ len .Renewable }}",
    ] {
        let fault = render(text, data).expect_err(text);
        assert!(!format!("{fault} {fault:?}").contains("hunter2"), "{fault:?}");
    }
}

#[test]
fn a_rendering_may_go_on_in_another_thread() {
    fn is_sent<T: Send>(_: &T) {}

    let template = Template::parse("{{ 1 }}", &Delimiters::default()).expect("a template");
    is_sent(&template.begin(Vec::new(), RenderOptions::default()).expect("a rendering"));
}

#[test]
fn a_smaller_budget_is_kept() {
    let template = Template::parse("{{ range 100 }}ab{{ end }}", &Delimiters::default()).expect("a template");
    let rendered = |budget: TemplateBudget| {
        let options = RenderOptions { budget, ..RenderOptions::default() };
        template.render(Vec::new(), options).map_err(|fault| fault.problem)
    };
    let budget = TemplateBudget::default();
    assert_eq!(rendered(budget).expect("a file").len(), 200);
    assert_eq!(rendered(TemplateBudget { output: 199, ..budget }), Err(RenderProblem::Output(199)));
    assert_eq!(rendered(TemplateBudget { steps: 99, ..budget }), Err(RenderProblem::Steps(99)));
}

#[test]
fn hostile_texts_end_at_once() {
    let long = "x ".repeat(30_000);
    for text in [
        "{{".repeat(32 << 10),
        "{{(".repeat(20_000),
        format!("{{{{{}", "(".repeat(60_000)),
        format!("{{{{ print {} }}}}", "1 ".repeat(30_000)),
        format!("{{{{ .{} }}}}", "a.".repeat(30_000)),
        format!("{{{{ {long} }}}}"),
        "{{/*".repeat(16_000),
        "{{ range 1 }}".repeat(5_000),
        "{{ with . }}{{ else }}".repeat(2_500),
        "`".repeat(65_536),
    ] {
        let fault = Template::parse(&text, &Delimiters::default()).map(|_| ());
        assert!(fault.is_err() || !text.contains("{{"), "{}", &text[..20]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn no_text_makes_a_panic(
        parts in proptest::collection::vec(0_usize..PARTS.len(), 0..24),
        odd in any::<String>(),
        missing in any::<bool>(),
    ) {
        let text: String = parts.iter().map(|n| PARTS[*n]).chain([odd.as_str()]).collect();
        if let Ok(template) = Template::parse(&text, &Delimiters::default()) {
            let budget = TemplateBudget { steps: 20_000, output: 10_000, memory: 100_000 };
            let options = RenderOptions { error_on_missing_key: missing, budget };
            let data = r#"{"k":"v","l":[1,"a",null,{"x":[]}],"m":{"a":1,"b":"\u0000é"},"n":null}"#;
            let answers = template.requests().iter().map(|_| answer(data)).collect();
            let made = template.render(answers, options);
            prop_assert!(made.is_err() || made.is_ok_and(|file| file.len() <= 10_000));
        }
    }
}

const PARTS: [&str; 48] = [
    "{{",
    "}}",
    "{{-",
    "-}}",
    " ",
    "\n",
    "{{ end }}",
    "{{ else }}",
    "{{ if .Data.k }}",
    "{{ with secret \"a\" }}",
    "{{ with .Data }}",
    "{{ range .Data.l }}",
    "{{ range $k, $v := .Data.m }}",
    "{{ break }}",
    "{{ continue }}",
    "{{ $x := ",
    "{{ $x = ",
    "$x",
    " | toJSON",
    " | toYAML",
    " | printf \"%5.3v\"",
    " | printf \"%q\"",
    " | len",
    " | index .Data",
    "(",
    ")",
    ".Data.l",
    ".Data.m",
    ".k",
    ".x",
    "\"a\"",
    "`b`",
    "'c'",
    "1",
    "0x1p",
    "1.5",
    "nil",
    "true",
    "secret",
    "pkiCert \"a\" ",
    "print ",
    "eq ",
    "and ",
    "split \"\" ",
    "join ",
    "indent 3 ",
    "parseJSON ",
    "/* */",
];

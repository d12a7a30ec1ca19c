//! The fuzz target of templates. It is compiled for `cargo fuzz` alone.

use std::sync::Arc;

use coffer_vault::{Answer, Secret};

use crate::{Delimiters, Progress, RenderOptions, Template, TemplateBudget, parse_tree};

/// Limits that small inputs reach.
const BUDGET: TemplateBudget = TemplateBudget { steps: 20_000, output: 64 << 10, memory: 1 << 20 };

/// The most steps of one operation: those of a value of the maximum size, read and written.
const LONGEST_STEP: usize = 60_000;

/// Parses and renders a template. `data` is the data of the answers; each U+FFFD in it becomes the
/// planted secret.
///
/// # Panics
/// If a limit does not hold, the slices of a rendering change what it gives, or a fault repeats a
/// value.
pub fn template(text: &str, data: &str, planted: &str) {
    let is_planted = text.contains(planted);
    let delimiters = match text.strip_prefix("#[[ ") {
        Some(_) => Delimiters::new("[[", "]]").unwrap_or_default(),
        None => Delimiters::default(),
    };
    let tree = parse_tree(text, &delimiters);
    let Ok(template) = Template::parse(text, &delimiters) else { return };
    assert!(tree.is_ok(), "what is parsed as a template has a tree");
    assert!(template.requests().len() <= crate::MAX_REQUESTS);
    let Some(answers) = answers(template.requests().len(), data, planted) else { return };
    for error_on_missing_key in [true, false] {
        let options = RenderOptions { error_on_missing_key, budget: BUDGET };
        let whole = template.render(answers.clone(), options);
        let sliced = in_slices(&template, answers.clone(), options);
        match (&whole, &sliced) {
            (Ok(whole), Ok(sliced)) => {
                assert!(whole.len() <= BUDGET.output);
                assert_eq!(whole.expose(), sliced.expose());
            }
            (Err(whole), Err(sliced)) => {
                assert_eq!(whole, sliced);
                let said = format!("{whole} {whole:?}");
                assert!(is_planted || !said.contains(planted), "{said}");
            }
            _ => panic!("slices change what a template gives"),
        }
    }
}

fn in_slices(
    template: &Template,
    answers: Vec<Arc<Answer>>,
    options: RenderOptions,
) -> Result<Secret, crate::RenderFault> {
    let mut rendering = template.begin(answers, options)?;
    loop {
        let before = rendering.steps();
        let progress = rendering.run(1)?;
        assert!(rendering.steps() - before <= LONGEST_STEP);
        if progress == Progress::Finished {
            return Ok(rendering.into_output());
        }
    }
}

/// Returns an answer for each request. Without data that is JSON, it is that of a KV secret.
fn answers(count: usize, data: &str, planted: &str) -> Option<Vec<Arc<Answer>>> {
    let data = match data {
        "" => {
            format!(
                r#"{{"data":{{"password":"{planted}","list":["a",1,null],"n":1.5}},"metadata":{{"version":3}}}}"#
            )
        }
        data => data.replace('\u{fffd}', planted),
    };
    let body = Secret::new(format!(r#"{{"lease_id":"l/1","lease_duration":60,"data":{data}}}"#));
    let answer = Arc::new(Answer::from_body(body)?);
    Some(vec![answer; count])
}

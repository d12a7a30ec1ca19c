//! Comparisons, by the rules of Go's templates: values of one kind alone are compared.

use std::cmp::Ordering;

use crate::render_fault::RenderProblem;
use crate::value::TemplateValue;

/// The kinds of values that can be compared.
enum Comparable<'v> {
    Bool(bool),
    Whole(i64),
    Float(f64),
    /// A text, or a number of Vault, which Go compares as text.
    Text(&'v [u8]),
}

fn comparable(value: &TemplateValue) -> Option<Comparable<'_>> {
    match value {
        TemplateValue::Bool(truth) => Some(Comparable::Bool(*truth)),
        TemplateValue::Whole(number) => Some(Comparable::Whole(*number)),
        TemplateValue::Float(float) => Some(Comparable::Float(*float)),
        TemplateValue::Text(text) | TemplateValue::Number(text) => Some(Comparable::Text(text.get())),
        _ => None,
    }
}

/// Returns whether the first value equals one of the others.
pub(crate) fn equal(
    function: &'static str,
    one: &TemplateValue,
    others: &[TemplateValue],
) -> Result<bool, RenderProblem> {
    for other in others {
        if equals(function, one, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[expect(clippy::float_cmp, reason = "as Go compares")]
fn equals(function: &'static str, one: &TemplateValue, other: &TemplateValue) -> Result<bool, RenderProblem> {
    let differ = || RenderProblem::Compare { function, one: one.words(), other: other.words() };
    match (comparable(one), comparable(other)) {
        (Some(Comparable::Bool(one)), Some(Comparable::Bool(other))) => Ok(one == other),
        (Some(Comparable::Whole(one)), Some(Comparable::Whole(other))) => Ok(one == other),
        (Some(Comparable::Float(one)), Some(Comparable::Float(other))) => Ok(one == other),
        (Some(Comparable::Text(one)), Some(Comparable::Text(other))) => Ok(one == other),
        _ if is_nothing(one) || is_nothing(other) => Ok(is_nil(one) && is_nil(other)),
        (None, None) if is_same_kind(one, other) && (is_nil(one) || is_nil(other)) => {
            Ok(is_nil(one) && is_nil(other))
        }
        _ => Err(differ()),
    }
}

/// Returns whether the first value is less than the second.
fn less(function: &'static str, one: &TemplateValue, other: &TemplateValue) -> Result<bool, RenderProblem> {
    match (comparable(one), comparable(other)) {
        (Some(Comparable::Whole(one)), Some(Comparable::Whole(other))) => Ok(one < other),
        (Some(Comparable::Float(one)), Some(Comparable::Float(other))) => Ok(one < other),
        (Some(Comparable::Text(one)), Some(Comparable::Text(other))) => Ok(one.cmp(other) == Ordering::Less),
        _ => Err(RenderProblem::Compare { function, one: one.words(), other: other.words() }),
    }
}

/// Returns the result of `lt`, `le`, `gt` or `ge`.
pub(crate) fn ordered(
    function: &'static str,
    one: &TemplateValue,
    other: &TemplateValue,
) -> Result<bool, RenderProblem> {
    let is_less = less(function, one, other)?;
    Ok(match function {
        "lt" => is_less,
        "ge" => !is_less,
        "le" => is_less || equals(function, one, other)?,
        _ => !is_less && !equals(function, one, other)?,
    })
}

fn is_nothing(value: &TemplateValue) -> bool {
    matches!(value, TemplateValue::Missing | TemplateValue::Nil)
}

fn is_nil(value: &TemplateValue) -> bool {
    is_nothing(value) || matches!(value, TemplateValue::NilPointer) || value.is_nil_composite()
}

fn is_same_kind(one: &TemplateValue, other: &TemplateValue) -> bool {
    one.composite().is_some() && one.composite() == other.composite()
}

//! The order of keys: numbers in them count by their value (`sorter.go`).

use std::cmp::Ordering;

use crate::alphabet::is_name_character;
use crate::render_fault::RenderProblem;

/// Sorts members by their keys.
///
/// # Errors
/// [`RenderProblem::Unsupported`], if Go may think differently of what is a letter in a key.
pub(super) fn sort_keys<T>(members: &mut Vec<(String, T)>) -> Result<(), RenderProblem> {
    if members.iter().any(|(key, _)| !key.chars().all(|c| c.is_ascii() || is_name_character(c))) {
        return Err(RenderProblem::Unsupported("a key of this script in YAML"));
    }
    // the rule is no total order for all keys, so the sort must not rely on one
    let all = std::mem::take(members);
    *members = merged(all);
    Ok(())
}

fn merged<T>(mut members: Vec<(String, T)>) -> Vec<(String, T)> {
    if members.len() < 2 {
        return members;
    }
    let second = members.split_off(members.len() / 2);
    let mut first = merged(members).into_iter().peekable();
    let mut second = merged(second).into_iter().peekable();
    let mut sorted = Vec::new();
    loop {
        let takes_second = match (first.peek(), second.peek()) {
            (Some((one, _)), Some((other, _))) => is_less(other, one),
            (None, Some(_)) => true,
            (Some(_), None) => false,
            (None, None) => return sorted,
        };
        sorted.extend(if takes_second { second.next() } else { first.next() });
    }
}

fn is_less(one: &str, other: &str) -> bool {
    let one: Vec<char> = one.chars().collect();
    let other: Vec<char> = other.chars().collect();
    let is_letter = |c: char| c.is_alphabetic();
    for at in 0..one.len().min(other.len()) {
        let (a, b) = (one[at], other[at]);
        if a == b {
            continue;
        }
        if is_letter(a) && is_letter(b) {
            return a < b;
        }
        if is_letter(a) || is_letter(b) {
            return is_letter(b);
        }
        let is_after_number = (a == '0' || b == '0')
            && one[..at].iter().rev().take_while(|c| c.is_ascii_digit()).any(|c| *c != '0');
        let start = i64::from(is_after_number);
        let (a_number, a_end) = number(&one, at, start);
        let (b_number, b_end) = number(&other, at, start);
        return match a_number.cmp(&b_number).then(a_end.cmp(&b_end)) {
            Ordering::Equal => a < b,
            order => order == Ordering::Less,
        };
    }
    one.len() < other.len()
}

/// Returns the number whose digits begin at this place, and where they end.
fn number(text: &[char], at: usize, start: i64) -> (i64, usize) {
    let mut number = start;
    let mut end = at;
    while let Some(digit) = text.get(end).and_then(|c| c.to_digit(10)) {
        number = number.wrapping_mul(10).wrapping_add(i64::from(digit));
        end += 1;
    }
    (number, end)
}

//! Blocks of PEM (RFC 7468) in the values of an answer.

use std::fmt;

use coffer_vault::Secret;
use coffer_vault::json::JsonValue;

use super::{Parsed, missing};
use crate::{Error, ErrorKind};

/// Returns the blocks of a value, or of the values of several keys in this order.
pub(super) fn pem_blocks(
    keys: &[String],
    value: JsonValue<'_>,
    parsed: &Parsed<'_>,
) -> Result<Secret, Error> {
    let mut out = Secret::default();
    if keys.is_empty() {
        write_pem(&mut out, value, "the value")?;
    }
    for key in keys {
        let value = parsed.select(key).filter(|value| !value.is_null()).ok_or_else(|| missing(key))?;
        write_pem(&mut out, value, &format!("key {key:?}"))?;
    }
    if out.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, "there is no PEM block: the list is empty"));
    }
    Ok(out)
}

/// Appends the blocks of a string, or of a list of strings.
fn write_pem(out: &mut Secret, value: JsonValue<'_>, name: &str) -> Result<(), Error> {
    let bad = |problem: &dyn fmt::Display| {
        Error::new(ErrorKind::BadAnswer, format!("{name} {problem}"))
            .with_advice("Check secretKey and format")
    };
    let values = value.items().chain(Some(value).filter(|value| !value.is_array()));
    for text in values {
        let text = text.string().ok_or_else(|| bad(&"is neither a string nor a list of strings"))?;
        write_blocks(out, text.expose_str().unwrap_or_default()).map_err(|problem| bad(&problem))?;
    }
    Ok(())
}

/// Why a text has no PEM blocks that could be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum NoPem {
    #[error("holds no PEM block")]
    NoBlock,
    #[error("holds no PEM block, but \\n where a line should end")]
    EscapedLineBreaks,
    #[error("holds a PEM block without its end")]
    NoEnd,
}

/// Appends the blocks in a text, each with its lines as they are, and with one newline at its end.
/// Text around the blocks is left out.
///
/// # Errors
/// [`NoPem`], if there is no block, or a block has no end.
fn write_blocks(out: &mut Secret, text: &str) -> Result<(), NoPem> {
    let mut label: Option<&str> = None;
    let mut blocks = 0;
    for line in text.trim_start_matches('\u{feff}').lines().map(str::trim_end) {
        match label {
            None => label = between(line, "-----BEGIN "),
            Some(open) if between(line, "-----END ") == Some(open) => {
                push_line(out, line);
                label = None;
                blocks += 1;
                continue;
            }
            Some(_) if between(line, "-----BEGIN ").is_some() => return Err(NoPem::NoEnd),
            Some(_) => {}
        }
        if label.is_some() {
            push_line(out, line);
        }
    }
    match (label, blocks) {
        (Some(_), _) => Err(NoPem::NoEnd),
        (None, 0) if text.contains("-----\\n") => Err(NoPem::EscapedLineBreaks),
        (None, 0) => Err(NoPem::NoBlock),
        (None, _) => Ok(()),
    }
}

/// Returns the label of a line that begins or ends a block.
fn between<'a>(line: &'a str, before: &str) -> Option<&'a str> {
    line.strip_prefix(before)?.strip_suffix("-----").filter(|label| !label.contains("-----"))
}

fn push_line(out: &mut Secret, line: &str) {
    out.push(line.as_bytes());
    out.push(b"\n");
}

#[cfg(test)]
mod tests {
    use super::{NoPem, write_blocks};
    use crate::Secret;

    fn blocks(text: &str) -> Result<String, NoPem> {
        let mut out = Secret::default();
        write_blocks(&mut out, text)?;
        Ok(String::from_utf8(out.into_bytes()).expect("UTF-8"))
    }

    const ONE: &str = "-----BEGIN CERTIFICATE-----\nMIIB\nAA==\n-----END CERTIFICATE-----\n";

    #[test]
    fn blocks_are_taken_out_of_the_text_around_them() {
        let two = ONE.replace("CERTIFICATE", "EC PRIVATE KEY");
        assert_eq!(blocks(ONE.trim_end()).expect("a block"), ONE);
        assert_eq!(blocks(&ONE.replace('\n', "\r\n")).expect("a block"), ONE);
        assert_eq!(
            blocks(&format!("\u{feff}# a\n\n{ONE}\nb\n{two}\n\nc")).expect("blocks"),
            format!("{ONE}{two}")
        );
    }

    #[test]
    fn what_is_no_pem_is_refused() {
        assert_eq!(blocks(""), Err(NoPem::NoBlock));
        assert_eq!(blocks("MIIB"), Err(NoPem::NoBlock));
        for one in [ONE, ONE.trim_end()] {
            assert_eq!(blocks(&one.replace('\n', "\\n")), Err(NoPem::EscapedLineBreaks));
        }
        assert_eq!(blocks(&ONE[..40]), Err(NoPem::NoEnd));
        assert_eq!(blocks(&format!("{}{ONE}", &ONE[..28])), Err(NoPem::NoEnd));
        assert_eq!(blocks(&ONE.replace("END C", "END X")), Err(NoPem::NoEnd));
    }
}

//! `filePermission`: a file mode, read as Go's YAML parser reads integers.

/// Why a text is not a file mode. Each message continues a sentence that begins with the name of
/// the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadMode {
    #[error("is no file mode such as 0644")]
    NotAnInteger,
    #[error("is no mode from 0 to 0777 (a mode without a leading 0 is decimal: 0644, not 644)")]
    OutOfRange,
}

/// Parses a file mode: `0644`, `0o644`, `420`, `0x1a4` or `0b110100100`, with underscores as YAML
/// 1.1 allows them. Returns `None` for 0, which stands for "not set".
///
/// # Errors
/// [`BadMode`], if the text is not an integer or is not from 0 to 0777.
pub(super) fn parse(text: &str) -> Result<Option<u32>, BadMode> {
    let digits = text.replace('_', "");
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits.as_str()),
    };
    // from_str_radix accepts a sign, Go's modes have none
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return Err(BadMode::NotAnInteger);
    }
    match u32::from_str_radix(digits, radix) {
        Ok(mode @ 0..=0o777) => Ok(Some(mode).filter(|mode| *mode != 0)),
        Ok(_) => Err(BadMode::OutOfRange),
        Err(_) => Err(BadMode::NotAnInteger),
    }
}

#[cfg(test)]
mod tests {
    use super::{BadMode, parse};

    #[test]
    fn reads_integers_as_go_does() {
        for text in ["0644", "0o644", "420", "0x1a4", "0b110100100", "0_644"] {
            assert_eq!(parse(text), Ok(Some(0o644)), "{text}");
        }
        assert_eq!(parse("0"), Ok(None));
        assert_eq!(parse("0777"), Ok(Some(0o777)));
    }

    #[test]
    fn refuses_a_text_that_is_not_an_integer() {
        for text in ["", "0888", "-1", "+420", "rw-r--r--", "0o", "4.2e2", "99999999999999999999"] {
            assert_eq!(parse(text), Err(BadMode::NotAnInteger), "{text}");
        }
    }

    #[test]
    fn refuses_a_number_that_is_not_a_mode() {
        for text in ["644", "01000", "0x200"] {
            assert_eq!(parse(text), Err(BadMode::OutOfRange), "{text}");
        }
    }
}

//! `filePermission`, as Go's YAML reads integers.

/// Parses a file mode: `0644`, `0o644`, `420`, `0x1a4`, `0b110100100`, underscores as YAML 1.1 allows.
/// Nothing for 0, which means unset.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn parse(text: &str) -> Result<Option<u32>, &'static str> {
    let digits = text.replace('_', "");
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits.as_str()),
    };
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return Err("is no file mode such as 0644");
    }
    match u32::from_str_radix(digits, radix) {
        Ok(mode @ 0..=0o777) => Ok(Some(mode).filter(|mode| *mode != 0)),
        Ok(_) => Err("is no mode from 0 to 0777 (a mode without a leading 0 is decimal: 0644, not 644)"),
        Err(_) => Err("is no file mode such as 0644"),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_integers_as_go_does() {
        for text in ["0644", "0o644", "420", "0x1a4", "0b110100100", "0_644"] {
            assert_eq!(parse(text), Ok(Some(0o644)), "{text}");
        }
        assert_eq!(parse("0"), Ok(None));
        assert_eq!(parse("0777"), Ok(Some(0o777)));
    }

    #[test]
    fn refuses_what_would_be_guessed() {
        for text in
            ["", "644", "0888", "01000", "-1", "+420", "rw-r--r--", "0o", "4.2e2", "99999999999999999999"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

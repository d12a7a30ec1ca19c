//! Durations in Go's notation: `1m30s`, `1.5h`, `300ms`.

use std::time::Duration;

/// Parses a Go duration (<https://pkg.go.dev/time#ParseDuration>), or a plain number of seconds as
/// Vault's client accepts it (`60`). Returns `None` for any other text, and for a negative
/// duration.
///
/// ```
/// use std::time::Duration;
///
/// use coffer_provider::go_duration;
///
/// assert_eq!(go_duration::parse("1m30s"), Some(Duration::from_secs(90)));
/// assert_eq!(go_duration::parse("60"), Some(Duration::from_secs(60)));
/// assert_eq!(go_duration::parse("soon"), None);
/// ```
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (digits, tail) = rest.split_at(number);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (name, next) = tail.split_at(end);
        let seconds = digits.parse::<f64>().ok()? * unit(name)?;
        total = total.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?;
        rest = next;
    }
    (!text.is_empty()).then_some(total)
}

/// Returns a unit's length in seconds.
fn unit(name: &str) -> Option<f64> {
    Some(match name {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse;

    #[test]
    fn reads_what_go_reads() {
        assert_eq!(parse("60"), Some(Duration::from_secs(60)));
        assert_eq!(parse("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(parse("1.5h"), Some(Duration::from_secs(5400)));
        assert_eq!(parse("300ms"), Some(Duration::from_millis(300)));
        assert_eq!(parse("0"), Some(Duration::ZERO));
    }

    #[test]
    fn refuses_other_texts() {
        for text in ["", "-1s", "5 s", "s", "1d", "1s2", "..s", "1e9h"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}

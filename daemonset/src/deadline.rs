//! The time limit of a call.

use std::time::Duration;

use tonic::metadata::MetadataMap;

/// Longest time of a mount, whatever the driver allows. Drivers up to 1.5 rotate without a deadline
/// and with one worker, so a mount that hangs would stop rotation on the node.
const MAX_TIME: Duration = Duration::from_secs(60);

/// Time between the end of a call and the driver's deadline. The driver then gets an answer and not
/// a cancellation, which kubelet takes for a mount in progress.
const RESERVE: Duration = Duration::from_secs(5);

/// Returns the time limit of a call with this metadata: `grpc-timeout` less 5 seconds, at least
/// half of it and at most 60 seconds.
pub(crate) fn time_limit(metadata: &MetadataMap) -> Duration {
    let asked = metadata.get("grpc-timeout").and_then(|value| grpc_timeout(value.to_str().ok()?));
    asked.map_or(MAX_TIME, |asked| MAX_TIME.min((asked.saturating_sub(RESERVE)).max(asked / 2)))
}

/// Parses `grpc-timeout`: at most 8 digits and a unit
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests>).
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let value: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(value * 3600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use tonic::metadata::MetadataMap;

    use super::time_limit;

    #[test]
    fn a_call_ends_before_the_drivers_deadline() {
        for (timeout, millis) in [
            ("2M", 60_000),
            ("30S", 25_000),
            ("8S", 4_000),
            ("2000m", 1_000),
            ("99999999H", 60_000),
            ("soon", 60_000),
            ("", 60_000),
        ] {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", timeout.parse().expect("ASCII"));
            assert_eq!(time_limit(&metadata).as_millis(), millis, "{timeout}");
        }
        assert_eq!(time_limit(&MetadataMap::new()).as_secs(), 60);
    }
}

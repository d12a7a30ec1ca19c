//! How long a call may take.

use std::time::Duration;

use tonic::metadata::MetadataMap;

/// No mount takes longer, whatever the driver allows: drivers up to 1.5 rotate with no deadline and one worker, so a
/// mount that hangs would stop rotation on the node.
const LONGEST: Duration = Duration::from_secs(60);

/// What is kept of the driver's time, so that it gets an answer rather than a cancellation, which kubelet takes
/// for a mount in progress.
const RESERVE: Duration = Duration::from_secs(5);

/// The time for a call with this metadata: 60 seconds, or what `grpc-timeout` leaves with 5 in hand (of a short
/// one, half).
pub(crate) fn time_for(metadata: &MetadataMap) -> Duration {
    let asked = metadata.get("grpc-timeout").and_then(|value| grpc_timeout(value.to_str().ok()?));
    asked.map_or(LONGEST, |asked| LONGEST.min((asked.saturating_sub(RESERVE)).max(asked / 2)))
}

/// `grpc-timeout` as gRPC over HTTP/2 defines it: at most 8 digits and a unit.
/// <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests>
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

    use super::time_for;

    #[test]
    fn a_call_ends_before_the_drivers_patience() {
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
            assert_eq!(time_for(&metadata).as_millis(), millis, "{timeout}");
        }
        assert_eq!(time_for(&MetadataMap::new()).as_secs(), 60);
    }
}

//! Ages of objects, written as kubectl prints them.

/// Writes an age in the one or two largest units, as `HumanDuration` of k8s.io/apimachinery does.
pub(crate) fn age(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let years = days / 365;
    let with = |large: i64, unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit}{small}{small_unit}"),
    };
    match seconds {
        ..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        _ if minutes < 10 => with(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => with(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if days < 8 => with(days, "d", hours % 24, "h"),
        _ if days < 365 * 2 => format!("{days}d"),
        _ if years < 8 => with(years, "y", days % 365, "d"),
        _ => format!("{years}y"),
    }
}

#[cfg(test)]
mod tests {
    use super::age;

    #[test]
    fn as_kubectl_prints_them() {
        const DAY: i64 = 86_400;
        for (seconds, text) in [
            (-5, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (3 * 3600, "3h"),
            (3 * 3600 + 61, "3h1m"),
            (9 * 3600, "9h"),
            (2 * DAY, "2d"),
            (2 * DAY + 3600, "2d1h"),
            (30 * DAY, "30d"),
            (3 * 365 * DAY, "3y"),
            (3 * 365 * DAY + DAY, "3y1d"),
            (9 * 365 * DAY, "9y"),
        ] {
            assert_eq!(age(seconds), text);
        }
    }
}

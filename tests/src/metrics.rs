//! Reads `/metrics`.

/// The Prometheus text of one scrape.
#[derive(Clone, Debug)]
pub struct ScrapedMetrics(pub String);

impl ScrapedMetrics {
    /// Sums all samples of that name whose labels contain each of these (`outcome="ok"`).
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let samples = self.0.lines().filter_map(sample);
        let wanted =
            samples.filter(|s| s.name == name && labels.iter().all(|label| s.labels.contains(label)));
        wanted.map(|s| s.value).sum()
    }

    /// Returns whether any sample's name starts with `prefix`.
    pub fn has(&self, prefix: &str) -> bool {
        self.0.lines().filter_map(sample).any(|s| s.name.starts_with(prefix))
    }
}

struct Sample<'a> {
    name: &'a str,
    labels: &'a str,
    value: f64,
}

/// Parses `name{label="value"} 1` or `name 1`; returns nothing for a comment.
fn sample(line: &str) -> Option<Sample<'_>> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    Some(Sample { name, labels: labels.trim_end_matches('}'), value: value.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_by_name_and_labels() {
        let text = "# TYPE a counter\na{x=\"1\",y=\"2\"} 3\na{x=\"1\",y=\"3\"} 4\na{x=\"2\"} 5\nb 6\n";
        let metrics = ScrapedMetrics(text.to_owned());
        assert!((metrics.sum("a", &["x=\"1\""]) - 7.0).abs() < f64::EPSILON);
        assert!((metrics.sum("a", &[]) - 12.0).abs() < f64::EPSILON);
        assert!((metrics.sum("b", &[]) - 6.0).abs() < f64::EPSILON);
        assert!(metrics.has("b") && !metrics.has("c"));
    }
}

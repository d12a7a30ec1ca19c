//! A real Prometheus.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binaries::workspace;
use crate::http::http_client;
use crate::monitoring::rules::AlertRules;
use crate::ports::free_port;
use crate::process::Process;
use crate::wait::until_true;

/// How often metrics are read.
const SCRAPES: &str = "1s";

/// How often rules are evaluated.
const EVALUATIONS: &str = "500ms";

/// A running Prometheus with rules, on a loopback port.
pub struct Prometheus {
    process: Process,
    http: reqwest::Client,
    address: String,
    _dir: TempDir,
}

/// A job of Prometheus: the programs to read metrics from, and how.
pub struct ScrapeJob {
    /// The fields of Prometheus' `scrape_config`, but for the targets.
    pub settings: Value,
    /// Each program's address, `HOST:PORT`, and the labels that Kubernetes' service discovery would
    /// give it.
    pub targets: Vec<(String, Value)>,
}

/// An alert that fires.
#[derive(Clone, Debug, Deserialize)]
pub struct FiringAlert {
    /// All labels, among them `alertname`.
    pub labels: BTreeMap<String, String>,
    /// The annotations, with their templates filled in.
    pub annotations: BTreeMap<String, String>,
    state: String,
}

/// The samples of a series in a span of time.
#[derive(Clone, Debug)]
pub struct TimeSeries {
    /// The series' labels.
    pub labels: BTreeMap<String, String>,
    /// Seconds since 1970, and the value.
    pub samples: Vec<(f64, f64)>,
}

impl Prometheus {
    /// Starts Prometheus, and waits until it has read the metrics of every target.
    ///
    /// # Panics
    /// If a target cannot be read.
    pub async fn start(jobs: &[ScrapeJob], rules: &AlertRules) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let write = |name: &str, value: &Value| {
            let path = dir.path().join(name);
            // JSON is also YAML.
            std::fs::write(&path, value.to_string()).expect("write a file");
            path
        };
        let rules = write("rules.yaml", rules.document());
        let jobs: Vec<Value> = jobs.iter().map(ScrapeJob::configuration).collect();
        let global = json!({ "scrape_interval": SCRAPES, "scrape_timeout": SCRAPES, "evaluation_interval": EVALUATIONS });
        let configuration = json!({ "global": global, "rule_files": [rules], "scrape_configs": jobs });
        let configuration = write("prometheus.yaml", &configuration);
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(program("prometheus"));
        command
            .env_clear()
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn");
        let process = Process::start("Prometheus", &mut command, dir.path().join("prometheus.log"));
        let address = format!("http://{address}");
        let mut prometheus = Self { process, http: http_client(), address, _dir: dir };
        until_true("Prometheus to read every target", async || {
            assert!(prometheus.process.is_running(), "Prometheus ended while starting");
            let up = prometheus.try_query("min(up)").await;
            up.is_some_and(|up| {
                up.first().is_some_and(|series| series.samples == [(series.samples[0].0, 1.0)])
            })
        })
        .await;
        prometheus
    }

    /// Returns the result of a query at this moment: one sample of each series.
    ///
    /// # Panics
    /// If Prometheus refuses the query.
    pub async fn query(&self, expression: &str) -> Vec<TimeSeries> {
        self.try_query(expression).await.unwrap_or_else(|| panic!("Prometheus refuses {expression}"))
    }

    /// Returns the result of a query for a span of time, in seconds since 1970, with a sample for
    /// each step of that many seconds.
    ///
    /// # Panics
    /// If Prometheus refuses the query.
    pub async fn query_range(&self, expression: &str, from: f64, to: f64, step: f64) -> Vec<TimeSeries> {
        let (from, to, step) = (from.to_string(), to.to_string(), step.to_string());
        let query = [("query", expression), ("start", &from), ("end", &to), ("step", &step)];
        let result = self.get::<QueryData>("query_range", &query).await;
        result
            .unwrap_or_else(|| panic!("Prometheus refuses {expression}"))
            .result
            .into_iter()
            .map(series)
            .collect()
    }

    /// Returns the alerts that fire now.
    ///
    /// # Panics
    /// If Prometheus does not answer.
    pub async fn firing(&self) -> Vec<FiringAlert> {
        #[derive(Deserialize)]
        struct Alerts {
            alerts: Vec<FiringAlert>,
        }
        let alerts: Alerts = self.get("alerts", &[]).await.expect("the alerts");
        alerts.alerts.into_iter().filter(|alert| alert.state == "firing").collect()
    }

    /// Returns the names of all alerts that have fired since the start.
    pub async fn ever_fired(&self) -> Vec<String> {
        let fired = "group by (alertname) (count_over_time(ALERTS{alertstate=\"firing\"}[1h]))";
        self.query(fired)
            .await
            .into_iter()
            .filter_map(|mut series| series.labels.remove("alertname"))
            .collect()
    }

    /// Returns the process, for its log.
    pub fn process(&self) -> &Process {
        &self.process
    }

    async fn try_query(&self, expression: &str) -> Option<Vec<TimeSeries>> {
        let result: QueryData = self.get("query", &[("query", expression)]).await?;
        Some(result.result.into_iter().map(series).collect())
    }

    /// Makes a request to Prometheus' API; returns nothing unless it succeeds.
    async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Option<T> {
        #[derive(Deserialize)]
        struct Answer<T> {
            data: T,
        }
        let url = Url::parse_with_params(&format!("{}/api/v1/{path}", self.address), query).expect("a URL");
        let answer = self.http.get(url).send().await.ok()?.error_for_status().ok()?;
        let answer: Answer<T> = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
        Some(answer.data)
    }
}

impl ScrapeJob {
    fn configuration(&self) -> Value {
        let mut job = self.settings.clone();
        let targets = self.targets.iter();
        job["static_configs"] =
            targets.map(|(target, labels)| json!({ "targets": [target], "labels": labels })).collect();
        job
    }
}

/// Returns the path of promtool.
///
/// # Panics
/// If there is none.
pub fn promtool() -> PathBuf {
    program("promtool")
}

/// Returns the path of a program of Prometheus: in `target/servers/prometheus`, else on the `PATH`.
fn program(name: &str) -> PathBuf {
    let unpacked = workspace().join("target/servers/prometheus/usr/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let found = [unpacked].into_iter().chain(env::split_paths(&path)).map(|folder| folder.join(name));
    let found = found.into_iter().find(|path: &PathBuf| Path::is_file(path));
    found.unwrap_or_else(|| panic!("{name} is not there: run `cargo xtask test`"))
}

#[derive(Deserialize)]
struct QueryData {
    result: Vec<QueryResult>,
}

/// A series of an answer: one `value` of a query for a moment, `values` of one for a span.
#[derive(Deserialize)]
struct QueryResult {
    metric: BTreeMap<String, String>,
    value: Option<(f64, String)>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

fn series(result: QueryResult) -> TimeSeries {
    let QueryResult { metric, value, values } = result;
    let number = |(time, value): (f64, String)| (time, value.parse().unwrap_or(f64::NAN));
    TimeSeries { labels: metric, samples: values.into_iter().chain(value).map(number).collect() }
}

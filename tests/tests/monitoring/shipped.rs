//! The shipped rules and dashboard, without servers.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use coffer_tests::kubernetes::{Helm, objects};
use coffer_tests::monitoring::{AlertRules, Dashboard, promtool};
use coffer_tests::{MarkdownDocument, Suite, workspace};
use serde_json::{Value, json};

const JOBS: [&str; 2] = ["coffer-csi", "coffer-api-server"];

pub(crate) fn tests(suite: Suite<()>) -> Suite<()> {
    suite
        .function("promtool_accepts_the_rules", promtool_accepts_the_rules)
        .function("each_alert_fires_after_its_time", each_alert_fires_after_its_time)
        .function("each_alert_has_a_section_in_the_documents", each_alert_has_a_section_in_the_documents)
        .function("the_documents_configure_prometheus", the_documents_configure_prometheus)
        .function("the_chart_ships_the_files", the_chart_ships_the_files)
        .function("alerts_can_be_changed_and_left_out", alerts_can_be_changed_and_left_out)
        .function("the_dashboard_is_one_that_grafana_takes", the_dashboard_is_one_that_grafana_takes)
}

fn promtool_accepts_the_rules() {
    promtool_run(&["check", "rules", "--lint-fatal"], &AlertRules::file());
}

/// `rules_test.yaml` has the times of the shipped rules, and cases in which they do not fire.
fn each_alert_fires_after_its_time() {
    let tests = workspace().join("tests/tests/monitoring/rules_test.yaml");
    promtool_run(&["test", "rules"], &tests);

    let text = std::fs::read_to_string(&tests).unwrap();
    let cases = objects(&text).remove(0);
    let cases = cases["tests"].as_array().unwrap().iter().flat_map(|test| test["alert_rule_test"].as_array());
    let (mut fires, mut stays_quiet) = (BTreeSet::new(), BTreeSet::new());
    for case in cases.flatten() {
        let name = case["alertname"].as_str().unwrap().to_owned();
        let expects = case["exp_alerts"].as_array().is_some_and(|alerts| !alerts.is_empty());
        if expects { &mut fires } else { &mut stays_quiet }.insert(name);
    }
    assert_eq!(fires, alerts());
    assert_eq!(stays_quiet, alerts());
}

fn each_alert_has_a_section_in_the_documents() {
    let text = MarkdownDocument::read("docs/operating.md");
    for rule in AlertRules::shipped().rules() {
        let name = rule["alert"].as_str().unwrap();
        let heading = format!("### {name}");
        assert!(text.lines().any(|line| line == heading), "docs/operating.md lacks {heading:?}");
        let anchor = format!("docs/operating.md#{}", name.to_lowercase());
        assert_eq!(rule["annotations"]["runbook_url"], *anchor);
        assert!(rule["labels"]["severity"].is_string(), "{name}");
    }
}

/// The configuration for those without Prometheus Operator keeps the same labels.
fn the_documents_configure_prometheus() {
    let blocks = MarkdownDocument::all().iter().flat_map(MarkdownDocument::blocks).collect::<Vec<_>>();
    let block = blocks.iter().find(|block| block.text.starts_with("scrape_configs:")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("prometheus.yaml");
    // Debian builds Prometheus without service discovery by Kubernetes.
    let known = block.text.lines().filter(|line| !line.contains("kubernetes_sd_configs"));
    std::fs::write(&file, known.collect::<Vec<_>>().join("\n")).unwrap();
    promtool_run(&["check", "config", "--syntax-only"], &file);
    let configuration = objects(&block.text).remove(0);
    for (job, name) in configuration["scrape_configs"].as_array().unwrap().iter().zip(JOBS) {
        assert_eq!(job["job_name"], name);
        assert_eq!(job["honor_labels"], true);
    }
}

fn the_chart_ships_the_files() {
    for helm in Helm::ALL {
        let objects = rendered(helm, &[]);
        let rule = find(&objects, "PrometheusRule");
        assert_eq!(rule["spec"], *AlertRules::shipped().document(), "Helm {helm}");
        let dashboard = find(&objects, "ConfigMap");
        assert_eq!(dashboard["metadata"]["labels"]["grafana_dashboard"], "1");
        let text = dashboard["data"]["coffer.json"].as_str().unwrap();
        let shipped: Value = serde_json::from_str(text).unwrap();
        assert_eq!(shipped, *Dashboard::shipped().document(), "Helm {helm}");

        let alone = rendered(helm, &["--set=apiServer.enabled=false"]);
        let groups = find(&alone, "PrometheusRule")["spec"]["groups"].clone();
        let names: Vec<&str> =
            groups.as_array().unwrap().iter().map(|g| g["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["coffer", "coffer-csi"], "Helm {helm}");
    }
}

fn alerts_can_be_changed_and_left_out() {
    for helm in Helm::ALL {
        let objects = rendered(
            helm,
            &[
                "--set=prometheusRule.disabled={CofferPolicyStale}",
                "--set=prometheusRule.overrides.CofferVolumeStale.expr=up == 2",
                "--set=prometheusRule.overrides.CofferVolumeStale.labels.team=a",
                "--set=prometheusRule.runbookBase=https://git.example.com/",
                "--set=prometheusRule.labels.release=prometheus",
            ],
        );
        let rule = find(&objects, "PrometheusRule");
        assert_eq!(rule["metadata"]["labels"]["release"], "prometheus");
        let groups = rule["spec"]["groups"].as_array().unwrap();
        let rules: Vec<&Value> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
        assert!(rules.iter().all(|rule| rule["alert"] != "CofferPolicyStale"));
        assert_eq!(rules.len(), alerts().len() - 1);
        let stale = rules.iter().find(|rule| rule["alert"] == "CofferVolumeStale").unwrap();
        assert_eq!(stale["expr"], "up == 2");
        assert_eq!(stale["labels"], json!({ "severity": "warning", "team": "a" }));
        let link = "https://git.example.com/docs/operating.md#coffervolumestale";
        assert_eq!(stale["annotations"]["runbook_url"], link);
    }
}

/// Ids are unique, panels do not overlap, and every query uses the data source that is chosen.
fn the_dashboard_is_one_that_grafana_takes() {
    let dashboard = Dashboard::shipped();
    let document = dashboard.document();
    let panels = document["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let mut taken = BTreeSet::new();
    for panel in panels {
        let place = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{panel}");
        for y in place("y")..place("y") + place("h") {
            for x in place("x")..place("x") + place("w") {
                assert!(taken.insert((x, y)), "{panel} overlaps another panel");
            }
        }
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{panel}");
        }
    }
    let variables = document["templating"]["list"].as_array().unwrap();
    let names: Vec<&str> = variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["datasource", "namespace", "class"]);
}

fn alerts() -> BTreeSet<String> {
    let rules = AlertRules::shipped().rules();
    rules.iter().map(|rule| rule["alert"].as_str().unwrap().to_owned()).collect()
}

fn rendered(helm: Helm, values: &[&str]) -> Vec<Value> {
    let parts = ["--set=prometheusRule.enabled=true", "--set=grafanaDashboard.enabled=true"];
    objects(&helm.template(&[&parts, values].concat()).unwrap())
}

fn find<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    objects.iter().find(|object| object["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"))
}

fn promtool_run(arguments: &[&str], file: &Path) {
    let output = Command::new(promtool()).args(arguments).arg(file).output().unwrap();
    assert!(output.status.success(), "promtool {arguments:?}: {output:?}");
}

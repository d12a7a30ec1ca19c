//! Each alert fires in its fault and not before, and each panel of the dashboard shows something.

use std::collections::BTreeSet;
use std::sync::Arc;

use coffer_tests::monitoring::{AlertRules, Dashboard, Fault, FaultRun, FiringAlert};
use coffer_tests::{Servers, Suite};
use tokio::sync::Mutex;

/// A range that has samples at the interval of the test's Prometheus.
const RATE_INTERVAL: &str = "4s";

/// A run that the tests share.
pub(crate) struct SharedRun(Mutex<FaultRun>);

impl SharedRun {
    pub(crate) async fn start() -> Self {
        Self(Mutex::new(FaultRun::start().await))
    }
}

impl Servers for SharedRun {
    fn show_logs(&self) {
        if let Ok(run) = self.0.try_lock() {
            run.show_logs();
        }
    }
}

pub(crate) fn tests(suite: Suite<SharedRun>) -> Suite<SharedRun> {
    suite.test(
        "each_alert_fires_in_its_fault_and_each_panel_shows_it",
        each_alert_fires_in_its_fault_and_each_panel_shows_it,
    )
}

async fn each_alert_fires_in_its_fault_and_each_panel_shows_it(shared: Arc<SharedRun>) {
    let mut run = shared.0.lock().await;
    for fault in Fault::ALL {
        let before = run.prometheus.ever_fired().await;
        assert!(!before.iter().any(|alert| alert == fault.alert()), "{fault:?}: {before:?} fired before");
        let alert = run.alert(fault).await;
        names_who_suffers(&run, fault, &alert);
    }
    let fired: BTreeSet<String> = run.prometheus.ever_fired().await.into_iter().collect();
    let rules = AlertRules::shipped().rules();
    let shipped = rules.iter().map(|rule| rule["alert"].as_str().unwrap().to_owned()).collect();
    assert_eq!(fired, shipped, "each alert has its fault");
    kube_apiserver_tells_of_the_api(&run).await;
    every_query_of_the_dashboard_has_an_answer(&run).await;
}

/// The labels are those of the metric, not those of the pod that Prometheus reads.
fn names_who_suffers(run: &FaultRun, fault: Fault, alert: &FiringAlert) {
    let texts: Vec<&String> = alert.annotations.values().collect();
    let says = |word: &str| texts.iter().any(|text| text.contains(word));
    assert!(!says("<error") && !says("<no value>"), "{alert:?}");
    if let Some(class) = fault.class() {
        assert_eq!(alert.labels["namespace"], run.tenant(), "{alert:?}");
        assert!(says(class) && says(run.tenant()), "{alert:?}");
    }
    // This alert is about a program, and its text about who asked for so much.
    assert!(fault != Fault::SecretsTooLarge || says(&format!("{}/large", run.tenant())), "{alert:?}");
    let node = match fault {
        Fault::CredentialNotRenewed
        | Fault::RevocationRefused
        | Fault::SecretMissing
        | Fault::SecretDeleted => "node-1",
        Fault::AgentEnded => "node-2",
        _ => return,
    };
    assert!(says(node), "{alert:?}");
}

/// The test does not wait until kube-apiserver looks at the API again, but its metric has the name
/// that the rule asks for.
async fn kube_apiserver_tells_of_the_api(run: &FaultRun) {
    let metric = "aggregator_unavailable_apiservice{name=\"v1alpha1.custom.secrets.k8s.io\"}";
    assert!(!run.query(metric).await.is_empty());
}

async fn every_query_of_the_dashboard_has_an_answer(run: &FaultRun) {
    let mut silent = Vec::new();
    for panel in Dashboard::shipped().panels() {
        for query in &panel.queries {
            let expression = query.expanded(RATE_INTERVAL);
            let answer = run.query(&expression).await;
            let has_number =
                answer.iter().flat_map(|series| &series.samples).any(|(_, value)| value.is_finite());
            if !has_number {
                silent.push(format!("{}: {expression}", panel.title));
            }
        }
    }
    assert!(silent.is_empty(), "panels without data:\n{}", silent.join("\n"));
}

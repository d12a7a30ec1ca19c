//! Many pods on one node: a load that would delay the renewals of other tests.

use std::sync::Arc;

use coffer_tests::kubernetes::LeaseSetup;
use coffer_tests::{Suite, TestPod, until_true};
use futures_util::{StreamExt, stream};

use crate::LONG;

pub(crate) fn tests(suite: Suite<LeaseSetup>) -> Suite<LeaseSetup> {
    suite.test("five_hundred_pods_are_deleted_at_once", five_hundred_pods)
}

async fn five_hundred_pods(setup: Arc<LeaseSetup>) {
    let tenant = setup.tenant("many", LONG, "1h").await;
    let node = setup.node("many").await;
    let pods: Vec<TestPod> =
        stream::iter(0..500).map(|_| tenant.pod(&node)).buffer_unordered(10).collect().await;
    stream::iter(&pods)
        .for_each_concurrent(10, async |pod| {
            node.mount(&tenant.call(pod)).await;
        })
        .await;
    assert_eq!(setup.postgres.users(tenant.namespace.name()).len(), 500);
    stream::iter(&pods).for_each_concurrent(10, |pod| tenant.namespace.delete_pod(pod)).await;
    setup.nobody_left(&tenant).await;
    assert_eq!(node.revoked().await, 500);
    until_true("the state directory to be empty", async || node.records().is_empty()).await;
}

//! A member is asked how its network is.

use jaco_api::model::{Check, FindingOutcome};
use jaco_net::testing::FakeFirewall;

use super::*;

#[tokio::test]
async fn what_the_agents_keep_is_what_the_doctor_looks_for() {
    let dir = tempfile::tempdir().unwrap();
    let (runtime, firewall) = (Arc::new(FakeRuntime::new()), Arc::new(FakeFirewall::default()));
    let node = Node::builder(config(dir.path()))
        .shared_runtime(runtime)
        .shared_firewall(firewall.clone())
        .start()
        .await
        .unwrap();
    node.init(&"admin".parse().unwrap()).await.unwrap();
    let rules = async |repair| {
        let reports = node.client().diagnose(None, repair).await.unwrap();
        let [report] = reports.as_slice() else { panic!("{reports:#?}") };
        let found = report.findings.iter().find(|f| f.check == Check::Rules);
        found.map(|finding| finding.outcome.clone())
    };
    eventually(&node.client(), "the rules are proved", |_| async {
        rules(false).await.filter(|outcome| *outcome == FindingOutcome::Ok)
    })
    .await;
    // What cannot be loaded again is not sound; what can, is repaired.
    firewall.refuse(true);
    firewall.tamper(|loaded| *loaded = None);
    let told = rules(false).await;
    assert!(matches!(told, Some(FindingOutcome::Failed { .. })), "{told:?}");
    firewall.refuse(false);
    let told = rules(true).await;
    assert!(matches!(told, Some(FindingOutcome::Repaired { .. } | FindingOutcome::Ok)), "{told:?}");
    node.shutdown().await.unwrap();
}

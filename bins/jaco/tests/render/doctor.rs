//! What `jaco doctor` prints.

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{Check, DoctorReport, Finding, FindingOutcome, Timestamp},
};
use jaco_client::testing::FakeCluster;

use super::said;

/// `node-a` is sound, `node-b` is not, nobody hears of `node-c`.
fn three() -> FakeCluster {
    let mut repaired = Finding::ok(Check::Rules, "");
    repaired.outcome = FindingOutcome::Repaired { cause: "chain forward is missing".into() };
    let sound = vec![Finding::ok(Check::Node, ""), Finding::ok(Check::Bridge, "shop/default")];
    let sick = vec![
        Finding::ok(Check::Node, ""),
        repaired,
        Finding::failed(
            Check::PathMtu,
            "node-a",
            "packets of 1420 bytes are lost on the way to node-a; 1340 get through in both directions",
            "let ICMP \"fragmentation needed\" pass",
        ),
        Finding::failed(Check::Names, "shop/default", "nobody\nlistens", "look who has the port"),
        Finding::skipped(Check::Route, "shop/back", "its bridge jaco-b is missing"),
    ];
    let silent = vec![Finding::failed(Check::Node, "", "it does not answer", "start it")];
    let fake = FakeCluster::default();
    let reports = [("node-c", silent), ("node-b", sick), ("node-a", sound)];
    fake.edit(|t| {
        t.reports = reports
            .map(|(node, found)| DoctorReport::new(node.parse().unwrap(), Timestamp(7000), found))
            .map(Into::into)
            .into();
        t.nodes = vec![super::members::node_b()];
    });
    fake
}

#[tokio::test]
async fn what_is_broken_is_named_with_cause_and_fix() {
    let fake = three();
    insta::assert_snapshot!("doctor", said(&fake, &["doctor"]).await);
    insta::assert_snapshot!("doctor_json", said(&fake, &["doctor", "node-b", "-o", "json"]).await);
    assert_eq!(fake.calls(), ["diagnose  true", "diagnose node-b true"]);
}

#[tokio::test]
async fn a_sound_cluster_is_success() {
    let fake = three();
    fake.edit(|t| t.reports.retain(|report| report.node == "node-a"));
    let told = said(&fake, &["doctor", "--no-repair"]).await;
    insta::assert_snapshot!("doctor_sound", told);
    assert_eq!(fake.calls(), ["diagnose  false"]);
}

#[tokio::test]
async fn who_cannot_be_asked_is_an_error() {
    let fake = three();
    insta::assert_snapshot!("doctor_unknown", said(&fake, &["doctor", "node-x"]).await);
    let hint = "`jaco doctor --no-repair` looks and changes nothing";
    let refusal =
        ApiError::new(ErrorCode::PermissionDenied, "eve has role viewer and this needs admin");
    fake.refuse(refusal.with("hint", hint));
    insta::assert_snapshot!("doctor_refused", said(&fake, &["doctor"]).await);
}

use jaco_api::{
    error::ErrorCode,
    model::{Check, DoctorReport, FindingOutcome},
};

use super::{super::code, *};

fn failed(report: &DoctorReport) -> Vec<Check> {
    let failed = report.findings.iter().filter(|finding| finding.is_failed());
    failed.map(|finding| finding.check).collect()
}

#[tokio::test]
async fn every_node_looks_at_itself() {
    let pair = Pair::new().await;
    pair.engines["node-b"].disconnect();
    let reports = soon("the reports", pair.client.diagnose(None, true)).await.unwrap();
    let [a, b] = reports.as_slice() else { panic!("{reports:#?}") };
    assert_eq!((a.node.as_str(), failed(a)), ("node-a", vec![]));
    assert_eq!((b.node.as_str(), failed(b)), ("node-b", vec![Check::Engine]));
    assert!(a.findings.iter().any(|f| f.check == Check::Node && f.outcome == FindingOutcome::Ok));
    // Neither has a firewall or a mesh, and says so.
    for check in [Check::Rules, Check::Mesh] {
        let found = a.findings.iter().find(|finding| finding.check == check).unwrap();
        assert!(matches!(found.outcome, FindingOutcome::Skipped { .. }), "{found:?}");
    }
}

#[tokio::test]
async fn one_node_is_asked_for_by_its_name() {
    let pair = Pair::new().await;
    let reports =
        soon("the report", pair.client.diagnose(Some(&name("node-b")), false)).await.unwrap();
    let [b] = reports.as_slice() else { panic!("{reports:#?}") };
    assert_eq!((b.node.as_str(), failed(b)), ("node-b", vec![]));
    let nobody = pair.client.diagnose(Some(&name("node-x")), false).await;
    assert_eq!(code(nobody), ErrorCode::UnknownNode);
}

#[tokio::test]
async fn a_node_that_does_not_answer_is_a_failed_finding() {
    let mut pair = Pair::new().await;
    pair.pull();
    let reports = soon("the reports", pair.client.diagnose(None, false)).await.unwrap();
    let [a, b] = reports.as_slice() else { panic!("{reports:#?}") };
    assert_eq!(failed(a), []);
    let [finding] = b.findings.as_slice() else { panic!("{b:#?}") };
    let FindingOutcome::Failed { cause, fix } = &finding.outcome else { panic!("{finding:?}") };
    assert_eq!(finding.check, Check::Node);
    assert!(cause.contains("node_unreachable") && fix.contains("jacod"), "{finding:?}");
}

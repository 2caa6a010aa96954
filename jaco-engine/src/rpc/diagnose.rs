//! `Nodes.Diagnose`: a node, or every node, proves its data plane.
//!
//! Each node looks at itself. One that does not answer in time is a report whose only finding says so.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{Check, DoctorReport, Finding, Node},
    pb::{self, relay_client::RelayClient},
};
use tonic::Response;

use super::{
    Api, Membership,
    relay::relayed,
    stream::{Answers, Gone, answers},
};

/// What a node may take to look at itself, and to look again after a repair.
const LOOKING: Duration = Duration::from_secs(6);
const REPAIRING: Duration = Duration::from_secs(20);

fn patience(repair: bool) -> Duration {
    if repair { REPAIRING } else { LOOKING }
}

/// What this node finds.
pub(super) async fn of_this_node(api: &Api, repair: bool) -> DoctorReport {
    let findings = api.doctor.diagnose(repair);
    let mut findings = match tokio::time::timeout(patience(repair), findings).await {
        Ok(findings) => findings,
        Err(_) => {
            let cause =
                format!("it has not looked at itself within {} s", patience(repair).as_secs());
            let fix = "look into the log of jacod on the node: something there is stuck";
            vec![Finding::failed(Check::Node, "", cause, fix)]
        }
    };
    if findings.iter().all(|finding| finding.check != Check::Node) {
        findings.push(Finding::ok(Check::Node, ""));
    }
    DoctorReport::new(api.node.clone(), api.clock.now(), findings)
}

/// What each of these nodes finds, as soon as it has.
pub(super) fn of_nodes(
    api: &Arc<Api>,
    membership: Arc<Membership>,
    nodes: Vec<Arc<Node>>,
    repair: bool,
) -> Response<Answers<pb::DoctorReport>> {
    let here = Arc::clone(api);
    answers(api, move |reader| {
        Box::pin(async move {
            let mut asking: FuturesUnordered<_> =
                nodes.iter().map(|node| report(&here, &membership, node, repair)).collect();
            loop {
                tokio::select! {
                    report = asking.next() => match report {
                        Some(report) => reader.send(report).await?,
                        None => return Ok(()),
                    },
                    () = reader.gone() => return Err(Gone),
                }
            }
        })
    })
}

/// The report of one node, wherever it is.
async fn report(api: &Api, membership: &Membership, node: &Node, repair: bool) -> pb::DoctorReport {
    if node.id == membership.id {
        return of_this_node(api, repair).await.into();
    }
    // It gives up before we do, and then says at what.
    let limit = patience(repair) + Duration::from_secs(2);
    let error = match tokio::time::timeout(limit, ask(api, node, repair)).await {
        Ok(Ok(report)) => return report,
        Ok(Err(error)) => error,
        Err(_) => {
            let message =
                format!("node {} has not answered within {} s", node.name, limit.as_secs());
            ApiError::new(ErrorCode::NodeUnreachable, message)
        }
    };
    let unasked = Finding::failed(Check::Node, "", error.to_string(), fix(node, error.code));
    DoctorReport::new(node.name.clone(), api.clock.now(), vec![unasked]).into()
}

/// What to do about a node that did not say what it finds.
fn fix(node: &Node, code: ErrorCode) -> String {
    match code {
        ErrorCode::VersionMismatch => format!("upgrade jacod on {}", node.name),
        _ => format!(
            "look whether jacod runs there (`systemctl status jaco`), and whether {} is open for the other members",
            node.facts.api_addr
        ),
    }
}

async fn ask(api: &Api, node: &Node, repair: bool) -> Result<pb::DoctorReport, ApiError> {
    let mut client = RelayClient::new(api.peers.channel(node)?);
    let answer = client.diagnose(pb::RelayDiagnose { repair }).await;
    answer.map(Response::into_inner).map_err(|status| relayed(&node.name, status))
}

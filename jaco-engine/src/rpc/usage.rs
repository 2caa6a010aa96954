//! `Watch.Usage`: what every node and its replicas use.
//!
//! Each node measures itself when it is asked, for one interval. A node that does not answer in time
//! has a report that says so.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{Node, NodeId},
    pb::{self, relay_client::RelayClient},
};
use tokio::sync::mpsc;
use tonic::Response;

use super::{
    Api, Measurement, Membership,
    relay::relayed,
    stream::{Answers, Gone, answers},
};

/// How long a measurement takes, unless said otherwise.
const INTERVAL: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// What another node may take longer than its measurement.
const PATIENCE: Duration = Duration::from_secs(3);
/// Replicas in one message.
const ROWS: usize = 256;
/// Reports that wait for the reader.
const WAITING: usize = 16;

/// How long a measurement is to take.
pub(super) fn interval(request: &pb::UsageRequest) -> Duration {
    match request.interval {
        0 => INTERVAL,
        millis => Duration::from_millis(millis.into()).clamp(SHORTEST, LONGEST),
    }
}

/// The report of this node alone.
pub(super) fn of_this_node(
    api: &Arc<Api>,
    membership: Arc<Membership>,
    interval: Duration,
) -> Response<Answers<pb::UsageReport>> {
    let here = Arc::clone(api);
    answers(api, move |reader| {
        Box::pin(async move {
            for report in measure(&here, &membership, interval).await {
                reader.send(report).await?;
            }
            Ok(())
        })
    })
}

/// The reports of all nodes, each as soon as it is there.
pub(super) fn of_every_node(
    api: &Arc<Api>,
    membership: Arc<Membership>,
    interval: Duration,
) -> Response<Answers<pb::UsageReport>> {
    let here = Arc::clone(api);
    answers(api, move |reader| {
        Box::pin(async move {
            let nodes: Vec<_> = membership.state.newest().nodes().cloned().collect();
            let (sender, mut reports) = mpsc::channel(WAITING);
            let mut asking: FuturesUnordered<_> = nodes
                .iter()
                .map(|node| report(&here, &membership, node, interval, sender.clone()))
                .collect();
            drop(sender);
            let asked = async { while asking.next().await.is_some() {} };
            let told = async {
                while let Some(report) = reports.recv().await {
                    reader.send(report).await?;
                }
                Ok(())
            };
            tokio::select! {
                (told, ()) = async { tokio::join!(told, asked) } => told,
                () = reader.gone() => Err(Gone),
            }
        })
    })
}

/// The reports of one node, wherever it is.
async fn report(
    api: &Api,
    membership: &Membership,
    node: &Node,
    interval: Duration,
    sender: mpsc::Sender<pb::UsageReport>,
) {
    if node.id == membership.id {
        for report in measure(api, membership, interval).await {
            // The reader has gone: nobody wants the rest.
            let _ = sender.send(report).await;
        }
        return;
    }
    let limit = interval + PATIENCE;
    let asked = tokio::time::timeout(limit, ask(api, node, interval, &sender)).await;
    let late = || {
        let message = format!("node {} has not answered within {} s", node.name, limit.as_secs());
        Err(ApiError::new(ErrorCode::NodeUnreachable, message))
    };
    if let Err(error) = asked.unwrap_or_else(|_| late()) {
        let _ = sender.send(failed(membership, node, &error)).await;
    }
}

async fn ask(
    api: &Api,
    node: &Node,
    interval: Duration,
    sender: &mpsc::Sender<pb::UsageReport>,
) -> Result<(), ApiError> {
    let mut client = RelayClient::new(api.peers.channel(node)?);
    let interval = u32::try_from(interval.as_millis()).unwrap_or(0);
    let answer = client.usage(pb::UsageRequest { interval }).await;
    let mut reports = answer.map_err(|s| relayed(&node.name, s))?.into_inner();
    while let Some(report) = reports.message().await.map_err(|s| relayed(&node.name, s))? {
        let _ = sender.send(report).await;
    }
    Ok(())
}

fn failed(membership: &Membership, node: &Node, error: &ApiError) -> pb::UsageReport {
    pb::UsageReport {
        node: node.name.to_string(),
        assigned: membership.state.newest().load(node.id),
        error: Some(error.to_string()),
        ..pb::UsageReport::default()
    }
}

/// Measures this node and the replicas that have a container here.
async fn measure(api: &Api, membership: &Membership, interval: Duration) -> Vec<pb::UsageReport> {
    let state = membership.state.newest();
    let here: NodeId = membership.id;
    let assigned = state.load(here);
    let containers = state
        .replicas_on(here)
        .filter_map(|r| Some((r.id.clone(), r.observed.container.clone()?)))
        .collect();
    match api.containers.measure(interval, containers).await {
        Ok(measured) => pages(api, assigned, measured),
        Err(error) => vec![pb::UsageReport {
            node: api.node.to_string(),
            assigned,
            error: Some(error.to_string()),
            ..pb::UsageReport::default()
        }],
    }
}

/// No message grows with the number of replicas.
fn pages(api: &Api, assigned: u32, measured: Measurement) -> Vec<pb::UsageReport> {
    let rows: Vec<_> = measured
        .replicas
        .into_iter()
        .map(|(replica, usage)| {
            let (usage, error) = match usage {
                Ok(usage) => (Some(usage.into()), None),
                Err(error) => (None, Some(error.to_string())),
            };
            pb::ReplicaMeasurement { replica: replica.to_string(), usage, error }
        })
        .collect();
    let page = |replicas: &[pb::ReplicaMeasurement], more| pb::UsageReport {
        node: api.node.to_string(),
        assigned,
        usage: Some(measured.node.into()),
        error: None,
        replicas: replicas.to_vec(),
        more,
    };
    let count = rows.chunks(ROWS).len().max(1);
    let mut pages: Vec<_> =
        rows.chunks(ROWS).enumerate().map(|(i, rows)| page(rows, i + 1 < count)).collect();
    if pages.is_empty() {
        pages.push(page(&[], false));
    }
    pages
}

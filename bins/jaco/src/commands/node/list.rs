//! `jaco node list`: the members, their part in raft and what they have.

use std::{collections::BTreeMap, time::Duration};

use jaco_api::model::{Node, NodeCondition};
use jaco_client::{Client, NodeLoad, NodeSummary};

use crate::{
    error::Error,
    output::{
        Output,
        style::{bytes, span, upper},
        table::{Field, Table},
    },
};

/// Asks and prints.
///
/// # Errors
/// `cluster_uninitialized`.
pub async fn run(client: &Client, out: &mut Output) -> Result<(), Error> {
    let nodes = client.nodes().await?;
    out.result(&nodes, |out| {
        let table = table(&nodes).render(out);
        out.text(&table)
    })
}

fn table(nodes: &[NodeSummary]) -> Table {
    let mut table = Table::new(&[
        "NAME", "STATUS", "ROLE", "ADDRESS", "HEARD", "VERSION", "ENGINE", "MESH", "CPU", "MEMORY",
        "LOAD", "REPLICAS", "LABELS", "REASON",
    ]);
    for summary in nodes {
        let node = &summary.node;
        let facts = &node.facts;
        table.row([
            node.name.as_str().into(),
            Field::state(upper(&node.status)),
            Field::state(upper(&summary.role)),
            facts.api_addr.to_string().into(),
            heard(summary).into(),
            facts.version.as_str().into(),
            facts.engine.clone().unwrap_or_default().into(),
            mesh(node).into(),
            cpus(facts.cpu_millis).into(),
            bytes(facts.memory_bytes).into(),
            load(summary).into(),
            summary.replicas.to_string().into(),
            pairs(&node.labels).into(),
            node.reason.clone().unwrap_or_default().into(),
        ]);
    }
    table
}

/// How a node makes its tunnels. One that is joining may not have said so yet.
pub(super) fn mesh(node: &Node) -> &'static str {
    match &node.facts.mesh {
        Some(facts) => facts.device.as_str(),
        None if node.condition == NodeCondition::Joining => "-",
        None => "off",
    }
}

/// How long ago the leader heard of a node, as it said when asked.
pub(super) fn heard(summary: &NodeSummary) -> String {
    let ago = |ms| format!("{} ago", span(Duration::from_millis(ms)));
    summary.heard_ms.map(ago).unwrap_or_default()
}

/// Processors and memory in use.
fn load(summary: &NodeSummary) -> String {
    let load = |l: NodeLoad| format!("{}/{}", share(l.cpu_permille), share(l.memory_permille));
    summary.load.map(load).unwrap_or_default()
}

/// Thousandths as a percentage.
pub(super) fn share(permille: u32) -> String {
    format!("{}%", (permille + 5) / 10)
}

/// Labels on one line.
pub(super) fn pairs(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
}

/// Thousandths of a processor as processors.
pub(super) fn cpus(millis: u64) -> String {
    match millis % 1000 {
        0 => (millis / 1000).to_string(),
        rest => format!("{}.{}", millis / 1000, rest / 100),
    }
}

//! `jaco node list`: the members, their part in raft and what they have.

use jaco_client::{Client, NodeSummary};

use crate::{
    error::Error,
    output::{
        Output,
        style::{bytes, upper},
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
        "NAME", "STATUS", "ROLE", "ADDRESS", "VERSION", "ENGINE", "CPU", "MEMORY", "REPLICAS",
        "LABELS", "REASON",
    ]);
    for NodeSummary { node, role, replicas } in nodes {
        let facts = &node.facts;
        let labels: Vec<_> = node.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        table.row([
            node.name.as_str().into(),
            Field::state(upper(&node.status)),
            Field::state(upper(role)),
            facts.api_addr.to_string().into(),
            facts.version.as_str().into(),
            facts.engine.clone().unwrap_or_default().into(),
            cpus(facts.cpu_millis).into(),
            bytes(facts.memory_bytes).into(),
            replicas.to_string().into(),
            labels.join(",").into(),
            node.reason.clone().unwrap_or_default().into(),
        ]);
    }
    table
}

fn cpus(millis: u64) -> String {
    match millis % 1000 {
        0 => (millis / 1000).to_string(),
        rest => format!("{}.{}", millis / 1000, rest / 100),
    }
}

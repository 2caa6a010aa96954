//! `jaco node inspect`: one member in full.

use std::time::Duration;

use clap::Args;
use jaco_api::model::{MeshStatus, NodeName};
use jaco_client::{Client, NodeDetail, TaskState};

use super::list::{cpus, heard, mesh, pairs, share};
use crate::{
    commands::complete,
    error::Error,
    output::{
        Output,
        style::{age, bytes, span, upper},
        table::Table,
    },
};

/// Arguments of `jaco node inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The node.
    #[arg(value_name = "NODE", add = complete::nodes())]
    pub node: NodeName,
}

/// Asks and prints.
///
/// # Errors
/// `unknown_node`.
pub async fn run(args: &InspectArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let detail = client.node(&args.node).await?;
    out.result(&detail, |out| print(&detail, out))
}

fn print(detail: &NodeDetail, out: &mut Output) -> Result<(), Error> {
    let (summary, node) = (&detail.summary, &detail.summary.node);
    let now = out.now();
    let mut pair = |name: &str, value: &str| match value {
        "" => Ok(()),
        _ => out.line(&format!("{:<16}{value}", format!("{name}:"))),
    };
    pair("Name", node.name.as_str())?;
    pair("Status", &upper(&node.status))?;
    pair("Reason", node.reason.as_deref().unwrap_or_default())?;
    pair(
        "Condition",
        &format!("{} for {}", upper(&node.condition), age(now, node.condition_since)),
    )?;
    pair("Availability", &upper(&node.availability))?;
    pair("Raft role", &upper(&summary.role))?;
    pair("Raft lag", &detail.lag.map(|n| n.to_string()).unwrap_or_default())?;
    pair("Heard of", &heard(summary))?;
    pair("API address", &node.facts.api_addr.to_string())?;
    pair("Raft address", &node.facts.raft_addr.to_string())?;
    pair("Version", &node.facts.version)?;
    pair("Engine", node.facts.engine.as_deref().unwrap_or_default())?;
    pair("Platform", &node.facts.platform)?;
    pair("CPU", &with_load(&cpus(node.facts.cpu_millis), summary.load.map(|l| l.cpu_permille)))?;
    pair(
        "Memory",
        &with_load(&bytes(node.facts.memory_bytes), summary.load.map(|l| l.memory_permille)),
    )?;
    pair("Stalled", &summary.load.and_then(|l| l.stalled_permille).map(share).unwrap_or_default())?;
    mesh_of(detail).iter().try_for_each(|(name, value)| pair(name, value))?;
    listeners_of(detail).iter().try_for_each(|(name, value)| pair(name, value))?;
    pair("Labels", &pairs(&node.labels))?;
    pair("Joined", &format!("{} ago", age(now, node.joined_at)))?;
    pair("Replicas", &detail.replica_ids.len().to_string())?;
    for id in &detail.replica_ids {
        out.line(&format!("  {id}"))?;
    }
    if !detail.obstacles.is_empty() {
        out.line("Cannot move:")?;
        detail.obstacles.iter().try_for_each(|why| out.line(&format!("  {why}")))?;
    }
    if let Some(mesh) = &detail.mesh_now {
        out.line("")?;
        let table = peers(mesh, out);
        out.text(&table)?;
    }
    if !detail.tasks.is_empty() {
        out.line("")?;
        let table = tasks(&detail.tasks, out);
        out.text(&table)?;
    }
    Ok(())
}

/// Its end of the mesh: what the members were told, and what it says itself where it answers.
fn mesh_of(detail: &NodeDetail) -> Vec<(&'static str, String)> {
    let node = &detail.summary.node;
    let address = node.mesh_address.map(|address| address.to_string()).unwrap_or_default();
    let Some(facts) = &node.facts.mesh else {
        return vec![("Mesh", mesh(node).to_owned()), ("Mesh address", address)];
    };
    let device = match &facts.reason {
        Some(reason) => format!("{} ({reason})", facts.device),
        None => facts.device.to_string(),
    };
    let port = detail.mesh_now.as_ref().map_or(facts.endpoint.port(), |now| now.listen_port);
    vec![
        ("Mesh", device),
        ("Mesh address", address),
        ("Mesh key", facts.public_key.to_string()),
        ("Mesh port", port.to_string()),
        ("Mesh peers", detail.mesh_unknown.iter().map(|why| format!("unknown: {why}")).collect()),
    ]
}

/// Where it serves visitors, and why not.
fn listeners_of(detail: &NodeDetail) -> Vec<(&'static str, String)> {
    if let Some(why) = &detail.listeners_unknown {
        return vec![("Listens on", format!("unknown: {why}"))];
    }
    let all = detail.listeners.iter().flatten();
    let open = all.clone().filter(|listener| listener.closed.is_none());
    let open: Vec<_> = open.map(|listener| listener.name.as_str()).collect();
    let closed = all.filter_map(|listener| {
        Some(("Not open", format!("{}: {}", listener.name, listener.closed.as_ref()?)))
    });
    std::iter::once(("Listens on", open.join(", "))).chain(closed).collect()
}

/// The tunnels of a node.
fn peers(mesh: &MeshStatus, out: &Output) -> String {
    let mut table = Table::new(&["PEER", "ENDPOINT", "HANDSHAKE", "RECEIVED", "SENT"]);
    for peer in &mesh.peers {
        let handshake = peer.handshake_ms.map(Duration::from_millis);
        table.row([
            peer.node.as_str().into(),
            peer.endpoint.map(|endpoint| endpoint.to_string()).unwrap_or_default().into(),
            handshake.map_or("never".to_owned(), |age| format!("{} ago", span(age))).into(),
            bytes(peer.received).into(),
            bytes(peer.sent).into(),
        ]);
    }
    table.render(out)
}

fn with_load(what: &str, permille: Option<u32>) -> String {
    permille.map_or_else(|| what.to_owned(), |used| format!("{what}, {} in use", share(used)))
}

fn tasks(tasks: &[TaskState], out: &Output) -> String {
    let mut table = Table::new(&["TASK", "PASSES", "LAST", "FAILURES", "ERROR"]);
    for task in tasks {
        let last = task.last_pass.map(|at| format!("{} ago", age(out.now(), at)));
        table.row([
            task.name.as_str().into(),
            task.passes.to_string().into(),
            last.unwrap_or_default().into(),
            task.failures.to_string().into(),
            task.error.clone().unwrap_or_default().into(),
        ]);
    }
    table.render(out)
}

//! `jaco cluster status`: what the answering node knows, before and after init.

use jaco_api::model::ClusterStatus;
use jaco_client::Client;

use crate::{
    error::Error,
    output::{
        Output,
        style::{span, upper},
        table::{Field, Table},
    },
};

/// Asks and prints.
///
/// # Errors
/// When no node answers. A node without a cluster is no error.
pub async fn run(client: &Client, out: &mut Output) -> Result<(), Error> {
    let status = client.cluster_status().await?;
    out.result(&status, |out| print(&status, out))
}

fn print(status: &ClusterStatus, out: &mut Output) -> Result<(), Error> {
    let mut pair = |name: &str, value: &str| out.line(&format!("{name:<16}{value}"));
    pair("Initialized:", if status.initialized { "true" } else { "false" })?;
    pair("Node:", &status.node)?;
    pair("Version:", &status.version)?;
    if !status.initialized {
        out.say("`jaco cluster init` creates a cluster here");
        return Ok(());
    }
    if let Some(id) = &status.cluster_id {
        pair("Cluster:", &id.to_string())?;
    }
    if let Some(fingerprint) = &status.ca_fingerprint {
        pair("CA fingerprint:", fingerprint)?;
    }
    pair("Leader:", status.leader.as_ref().map_or("none", |l| l.as_str()))?;
    pair("Term:", &status.term.to_string())?;
    pair("Commit index:", &status.commit_index.to_string())?;
    pair("Applied index:", &status.applied_index.to_string())?;
    out.line("")?;
    let table = members(status).render(out);
    out.text(&table)?;
    if status.address_pools.is_empty() && status.service_pool.is_none() {
        return Ok(());
    }
    out.line("")?;
    let table = pools(status).render(out);
    out.text(&table)
}

/// Where addresses come from, and how many are left: blocks for networks, single ones for services.
fn pools(status: &ClusterStatus) -> Table {
    let mut table = Table::new(&["POOL", "FOR", "USED", "QUARANTINED", "FREE"]);
    let networks = status.address_pools.iter().map(|pool| ("networks", pool));
    for (whom, pool) in networks.chain(status.service_pool.iter().map(|pool| ("services", pool))) {
        table.row([
            pool.pool.as_str().into(),
            whom.into(),
            pool.used.to_string().into(),
            pool.quarantined.to_string().into(),
            pool.free.to_string().into(),
        ]);
    }
    table
}

fn members(status: &ClusterStatus) -> Table {
    let headers = ["NAME", "ADDRESS", "STATUS", "ROLE", "LAG", "LAST CONTACT", "VERSION", "REASON"];
    let mut table = Table::new(&headers);
    for m in &status.members {
        let contact = m.last_contact_ms.map(std::time::Duration::from_millis);
        table.row([
            m.name.as_str().into(),
            m.address.to_string().into(),
            Field::state(upper(&m.status)),
            Field::state(upper(&m.role)),
            m.lag.map(|n| n.to_string()).unwrap_or_default().into(),
            contact.map(|c| format!("{} ago", span(c))).unwrap_or_default().into(),
            m.version.as_str().into(),
            m.reason.clone().unwrap_or_default().into(),
        ]);
    }
    table
}

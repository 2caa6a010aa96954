//! `jaco audit`: who changed what.

use clap::Args;
use futures::TryStreamExt as _;
use jaco_api::model::{AuditEvent, AuditKind, Identity};
use jaco_client::{AuditFilter, Client};

use super::time::point;
use crate::{
    error::Error,
    output::{Output, table::Table},
};

/// Arguments of `jaco audit`.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Not before this: 5m ago, or an RFC 3339 time.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Not after this.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only these types, separated by commas.
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub types: Vec<String>,
    /// Only what this identity caused.
    #[arg(long, value_name = "IDENTITY")]
    pub identity: Option<Identity>,
    /// Go on with what is still to come.
    #[arg(short, long)]
    pub follow: bool,
}

/// Streams and prints.
///
/// # Errors
/// When a type does not exist: all of them are listed.
pub async fn run(args: &AuditArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let time = |text: &Option<String>| text.as_deref().map(|t| point(t, out.now())).transpose();
    let filter = AuditFilter {
        since: time(&args.since)?,
        until: time(&args.until)?,
        kinds: kinds(&args.types)?,
        identity: args.identity.clone(),
        follow: args.follow,
    };
    let mut events = client.audit(&filter).await?;
    if !args.follow {
        let all: Vec<AuditEvent> = events.try_collect().await?;
        return out.result(&all, |out| {
            let table = table(&all).render(out);
            out.text(&table)
        });
    }
    while let Some(event) = events.try_next().await? {
        out.item(&event, |out| {
            let kind = event.kind.as_str();
            out.line(&format!(
                "{}  {kind:<22} {:<12} {:<12} {}",
                event.at,
                event.actor.identity,
                node(&event),
                payload(&event)
            ))
        })?;
    }
    Ok(())
}

fn kinds(names: &[String]) -> Result<Vec<AuditKind>, Error> {
    names
        .iter()
        .map(|name| name.parse().map_err(|_| Error::AuditType { name: name.clone() }))
        .collect()
}

fn node(event: &AuditEvent) -> &str {
    event.actor.node.as_ref().map_or("-", |n| n.as_str())
}

fn payload(event: &AuditEvent) -> String {
    let fields: Vec<_> = event.payload.iter().map(|(k, v)| format!("{k}={v}")).collect();
    fields.join(" ")
}

fn table(events: &[AuditEvent]) -> Table {
    let mut table = Table::new(&["TIME", "TYPE", "IDENTITY", "NODE", "PAYLOAD"]);
    for event in events {
        table.row([
            event.at.to_string().into(),
            event.kind.as_str().into(),
            event.actor.identity.as_str().into(),
            node(event).into(),
            payload(event).into(),
        ]);
    }
    table
}

//! `jaco events`: state transitions of replicas, with reasons.

use clap::Args;
use futures::TryStreamExt as _;
use jaco_api::model::{DeploymentName, ReplicaEvent};
use jaco_client::{Client, EventQuery};

use crate::{
    commands::complete,
    error::Error,
    output::{
        Output,
        style::upper,
        table::{Field, Table},
    },
};

/// Arguments of `jaco events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Only this deployment's.
    #[arg(add = complete::deployments())]
    pub deployment: Option<DeploymentName>,
    /// Go on with what is still to come.
    #[arg(short, long)]
    pub follow: bool,
}

/// Streams and prints.
///
/// # Errors
/// When no node answers.
pub async fn run(args: &EventsArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let query = EventQuery { deployment: args.deployment.clone(), follow: args.follow };
    let mut events = client.events(&query).await?;
    if !args.follow {
        let all: Vec<ReplicaEvent> = events.try_collect().await?;
        return out.result(&all, |out| {
            let table = table(&all).render(out);
            out.text(&table)
        });
    }
    while let Some(event) = events.try_next().await? {
        out.item(&event, |out| {
            let (id, state) = (event.replica.to_string(), upper(&event.state));
            out.line(&format!(
                "{}  {id:<28} {:<12} {state:<10} {}",
                event.at,
                event.node,
                why(&event)
            ))
        })?;
    }
    Ok(())
}

fn why(event: &ReplicaEvent) -> String {
    match (&event.reason, event.exit_code) {
        (Some(reason), _) => reason.to_string(),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => String::new(),
    }
}

fn table(events: &[ReplicaEvent]) -> Table {
    let mut table = Table::new(&["TIME", "REPLICA", "NODE", "GENERATION", "STATE", "REASON"]);
    for event in events {
        table.row([
            event.at.to_string().into(),
            event.replica.to_string().into(),
            event.node.as_str().into(),
            event.generation.to_string().into(),
            Field::state(upper(&event.state)),
            why(event).into(),
        ]);
    }
    table
}

//! `jaco history`: the revisions that are kept, newest first.

use clap::Args;
use jaco_api::model::DeploymentName;
use jaco_client::{Client, RevisionSummary};

use crate::{
    commands::complete,
    error::Error,
    output::{Output, table::Table},
};

/// Arguments of `jaco history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// The deployment.
    #[arg(add = complete::deployments())]
    pub deployment: DeploymentName,
}

/// Asks and prints.
///
/// # Errors
/// `deployment_not_found`.
pub async fn run(args: &HistoryArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let revisions = client.history(&args.deployment).await?;
    out.result(&revisions, |out| {
        let table = table(&revisions).render(out);
        out.text(&table)
    })
}

fn table(revisions: &[RevisionSummary]) -> Table {
    let mut table = Table::new(&["REVISION", "IN FORCE", "CAUSE", "BY", "AT", "IMAGES"]);
    for r in revisions {
        let images: Vec<_> = r.images.iter().map(|(s, image)| format!("{s}={image}")).collect();
        table.row([
            r.number.to_string().into(),
            if r.in_force { "yes".into() } else { "".into() },
            r.origin.as_str().into(),
            r.actor.identity.as_str().into(),
            r.at.to_string().into(),
            images.join(" ").into(),
        ]);
    }
    table
}

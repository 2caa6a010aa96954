//! `jaco get …`: one kind of thing, or one thing in full.

use clap::{Args, Subcommand};
use jaco_api::model::{DeploymentName, ReplicaId, ReplicaStatus};
use jaco_client::{Client, StatusQuery};

use super::{
    certs, routes, rows,
    runs::{self, RunsArgs},
};
use crate::{
    cli::Unbuilt,
    commands::{complete, deploy::history},
    error::Error,
    output::{Output, style::upper},
};

/// What can be looked at.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Every deployment.
    Deployments,
    /// One deployment: its state and the stored specification.
    Deployment(DeploymentArgs),
    /// Every replica, or those of one deployment.
    Replicas {
        /// Only this deployment's.
        #[arg(add = complete::deployments())]
        deployment: Option<DeploymentName>,
    },
    /// One replica, with the last lines of a failed container.
    Replica {
        /// Its id, DEPLOYMENT.SERVICE.INDEX.
        #[arg(add = complete::replicas())]
        id: ReplicaId,
    },
    /// Every route.
    Routes,
    /// The routes of one domain: what is stored, and what each node really serves.
    Route {
        /// The domain; `*` for the routes of every name.
        #[arg(add = complete::domains())]
        domain: String,
    },
    /// Services that run at times, and when next.
    Schedules(RunsArgs),
    /// What became of their ticks: the runs that are kept, the newest first.
    Runs(RunsArgs),
    /// The revisions of a deployment that are kept.
    Revisions(history::HistoryArgs),
    /// The certificate of every domain, or why there is none.
    Certs,
    /// Subnets (not built yet).
    #[command(hide = true)]
    Subnets(Unbuilt),
    /// Volumes (not built yet).
    #[command(hide = true)]
    Volumes(Unbuilt),
}

/// Arguments of `jaco get deployment`.
#[derive(Debug, Args)]
pub struct DeploymentArgs {
    /// Its name.
    #[arg(add = complete::deployments())]
    pub name: DeploymentName,
    /// The specification of this revision, not of the one in force.
    #[arg(long, value_name = "N")]
    pub revision: Option<u64>,
    /// Print secret values.
    #[arg(long)]
    pub show_secrets: bool,
}

/// Runs one of them.
///
/// # Errors
/// `…_not_found`.
pub async fn run(command: Command, client: &Client, out: &mut Output) -> Result<(), Error> {
    match command {
        Command::Deployments => deployments(client, out).await,
        Command::Deployment(args) => deployment(&args, client, out).await,
        Command::Replicas { deployment } => replicas(deployment, client, out).await,
        Command::Replica { id } => replica(&id, client, out).await,
        Command::Routes => routes::all(client, out).await,
        Command::Route { domain } => routes::one(&domain, client, out).await,
        Command::Schedules(args) => runs::schedules(&args, client, out).await,
        Command::Runs(args) => runs::runs(&args, client, out).await,
        Command::Revisions(args) => history::run(&args, client, out).await,
        Command::Certs => certs::run(client, out).await,
        Command::Subnets(_) => Err(Error::NotBuilt { what: "subnets" }),
        Command::Volumes(_) => Err(Error::NotBuilt { what: "volumes" }),
    }
}

async fn deployments(client: &Client, out: &mut Output) -> Result<(), Error> {
    let view = client.status(&StatusQuery::default()).await?;
    let all: Vec<_> = view.deployments().collect();
    out.result(&all, |out| {
        let table = rows::deployment_table(view.deployments(), out.now()).render(out);
        out.text(&table)
    })
}

async fn deployment(args: &DeploymentArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let got = client.deployment(&args.name, args.revision, args.show_secrets).await?;
    out.result(&got, |out| {
        let table = rows::deployment_table([&got.status], out.now()).render(out);
        out.text(&table)?;
        out.line("")?;
        let table = rows::service_table(&got.status.services).render(out);
        out.text(&table)?;
        out.line("")?;
        out.line(&format!("# specification of revision {}", got.revision))?;
        out.yaml(&got.document)
    })
}

async fn replicas(
    deployment: Option<DeploymentName>,
    client: &Client,
    out: &mut Output,
) -> Result<(), Error> {
    let query = StatusQuery { deployment, ..StatusQuery::default() };
    let view = client.status(&query).await?;
    let all: Vec<_> = view.replicas().collect();
    out.result(&all, |out| {
        let table = rows::replica_table(view.replicas(), out.now()).render(out);
        out.text(&table)
    })
}

async fn replica(id: &ReplicaId, client: &Client, out: &mut Output) -> Result<(), Error> {
    let replica = client.replica(id).await?;
    out.result(&replica, |out| print_replica(&replica, out))
}

fn print_replica(r: &ReplicaStatus, out: &mut Output) -> Result<(), Error> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let pairs = [
        ("Replica:", r.id.to_string()),
        ("Node:", r.node.to_string()),
        ("State:", upper(&r.state)),
        ("Health:", upper(&r.health)),
        ("Reason:", or_dash(Some(rows::reason(r)).filter(|t| !t.is_empty()))),
        ("Image:", r.image.clone()),
        ("Revision:", r.revision.to_string()),
        ("Generation:", r.generation.to_string()),
        ("Container:", or_dash(r.container.clone())),
        ("Restarts:", r.restarts.to_string()),
        ("Exit code:", or_dash(r.exit_code.map(|c| c.to_string()))),
        ("Started:", or_dash(r.started_at.map(|t| t.to_string()))),
        ("Since:", r.since.to_string()),
    ];
    for (name, value) in pairs {
        out.line(&format!("{name:<12}{value}"))?;
    }
    if !r.log_tail.is_empty() {
        out.line("\nLast output:")?;
        for line in &r.log_tail {
            out.line(&format!("  {line}"))?;
        }
    }
    Ok(())
}

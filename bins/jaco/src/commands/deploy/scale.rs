//! `jaco scale`: how many replicas services have.

use std::{collections::BTreeMap, str::FromStr};

use clap::Args;
use jaco_api::model::{DeploymentName, ServiceName};
use jaco_client::{Client, Goal};

use super::change::{self, WaitFlag};
use crate::{
    commands::{complete, target::Target},
    error::Error,
    output::Output,
};

/// Arguments of `jaco scale`.
#[derive(Debug, Args)]
pub struct ScaleArgs {
    /// What to change; several services of one deployment at a time.
    #[arg(required = true, value_name = "DEPLOYMENT/SERVICE=N", add = complete::targets())]
    pub to: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub wait: WaitFlag,
}

/// Asks, prints, and waits when told to.
///
/// # Errors
/// `deployment_not_found`, `service_not_found`.
pub async fn run(args: &ScaleArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let (deployment, replicas) = parse(&args.to)?;
    let changed = client.scale(&deployment, &replicas).await?;
    let sizes: Vec<_> = replicas.iter().map(|(s, n)| format!("{s} to {n}")).collect();
    let done = format!("Scaled {deployment}: {}", sizes.join(", "));
    change::report(&deployment, changed, &done, out)?;
    match args.wait.limit() {
        None => Ok(()),
        Some(limit) => {
            let goal = change::reach(&deployment, Goal::Running, Some(changed.revision), limit);
            change::wait(&goal, client, out).await
        }
    }
}

fn parse(args: &[String]) -> Result<(DeploymentName, BTreeMap<ServiceName, u32>), Error> {
    let mut replicas = BTreeMap::new();
    let mut deployment: Option<DeploymentName> = None;
    for arg in args {
        let bad = || Error::ScaleTarget(arg.clone());
        let (target, count) = arg.rsplit_once('=').ok_or_else(bad)?;
        let Target { deployment: of, service } = Target::from_str(target)?;
        replicas.insert(service.ok_or_else(bad)?, count.parse().map_err(|_| bad())?);
        match &deployment {
            Some(first) if *first != of => {
                return Err(Error::TwoDeployments(first.to_string(), of.to_string()));
            }
            _ => deployment = Some(of),
        }
    }
    // Clap asks for at least one.
    let deployment = deployment.ok_or_else(|| Error::ScaleTarget(String::new()))?;
    Ok((deployment, replicas))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_services_of_one_deployment() {
        let args = ["shop/web=3".to_owned(), "shop/api=0".to_owned()];
        let (deployment, replicas) = parse(&args).unwrap();
        assert_eq!(deployment, "shop");
        let sizes: Vec<_> = replicas.into_iter().map(|(s, n)| (s.to_string(), n)).collect();
        assert_eq!(sizes, [("api".to_owned(), 0), ("web".to_owned(), 3)]);
        for bad in [&["shop=3"][..], &["shop/web"], &["shop/web=-1"], &["a/b=1", "c/d=1"]] {
            let args: Vec<_> = bad.iter().map(ToString::to_string).collect();
            assert!(parse(&args).is_err(), "{bad:?}");
        }
    }
}

//! A program that deploys: reads a manifest, shows what would change, applies it and waits.
//!
//! ```text
//! cargo run -p example-deploy-from-rust                        # to a throw-away node in memory
//! cargo run -p example-deploy-from-rust -- stack/ --socket /var/run/jaco/jaco.sock
//! ```

use std::{env, error::Error, fs, path::Path, time::Duration};

use jaco_api::manifest::{self, FileProblem, Files, Source};
use jaco_client::{Apply, Client, Goal, Wait, WaitResult};
use jaco_engine::{Node, NodeConfig};
use jaco_runtime::testing::FakeRuntime;

/// The files beside a manifest.
struct Beside<'a>(&'a Path);

impl Files for Beside<'_> {
    fn read(&self, path: &str) -> Result<String, FileProblem> {
        fs::read_to_string(self.0.join(path)).map_err(|_| FileProblem::NotFound)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let hello = concat!(env!("CARGO_MANIFEST_DIR"), "/../stacks/hello");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => on_a_throw_away_node(Path::new(hello)).await,
        [stack, "--socket", socket] => {
            let client = Client::builder().socket(socket).connect().await?;
            deploy(&client, Path::new(stack)).await
        }
        _ => Err("usage: deploy-from-rust [<stack directory> --socket <path>]".into()),
    }
}

async fn on_a_throw_away_node(stack: &Path) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let config = NodeConfig::new(directory.path().join("data")).named("throw-away".parse()?);
    let node = Node::builder(config).runtime(FakeRuntime::new()).start().await?;
    node.init(&"me".parse()?).await?;
    deploy(&node.client(), stack).await?;
    node.shutdown().await?;
    Ok(())
}

async fn deploy(client: &Client, stack: &Path) -> Result<(), Box<dyn Error>> {
    let source = |name: &str| -> Result<Source, std::io::Error> {
        Ok(Source { name: name.to_owned(), text: fs::read_to_string(stack.join(name))? })
    };
    let (jaco, compose) = (source("jaco.yaml")?, source("compose.yml")?);
    // Variables are filled and env files are read here, once: the cluster never sees the files.
    let resolved = manifest::resolve(&jaco, &compose, &Beside(stack))
        .map_err(|problems| manifest::render(&problems, false))?;
    let request = Apply {
        jaco: resolved.jaco,
        compose: resolved.compose,
        jaco_name: jaco.name,
        compose_name: compose.name,
        dry_run: true,
        show_secrets: false,
    };

    let plan = client.apply(request.clone()).await?;
    for difference in &plan.differences {
        println!("{:?}: {}", difference.change, difference.subject);
    }
    let applied = client.apply(Apply { dry_run: false, ..request }).await?;
    println!("{} is at revision {}", applied.deployment, applied.revision);

    let goal = Wait {
        deployment: applied.deployment,
        service: None,
        goal: Goal::Running,
        revision: Some(applied.revision),
        timeout: Duration::from_secs(60),
    };
    let outcome = client
        .wait(&goal, |view| {
            for service in view.deployments().flat_map(|deployment| &deployment.services) {
                println!("{}: {} of {} run", service.name, service.running, service.desired);
            }
        })
        .await?;
    match outcome {
        WaitResult::Reached => Ok(()),
        WaitResult::Failed(reasons) | WaitResult::TimedOut(reasons) => {
            Err(reasons.join("\n").into())
        }
    }
}

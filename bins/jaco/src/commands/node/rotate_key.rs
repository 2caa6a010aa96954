//! `jaco node rotate-key`: a new private key for a node's end of the mesh.

use clap::Args;
use jaco_api::model::NodeName;
use jaco_client::Client;

use crate::{commands::complete, error::Error, output::Output};

/// Arguments of `jaco node rotate-key`.
#[derive(Debug, Args)]
#[command(
    after_help = "The node makes the key itself; it leaves it for nobody. Traffic goes on by itself, within \
                        moments. The cluster's key for secrets is another one: `jaco cluster set rotate-key`."
)]
pub struct RotateKeyArgs {
    /// The node.
    #[arg(value_name = "NODE", add = complete::nodes())]
    pub node: NodeName,
}

/// Rotates it and prints the public half of the new one.
///
/// # Errors
/// `unknown_node`, `validation_failed` when it has no mesh, `node_unreachable`.
pub async fn run(args: &RotateKeyArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let rotation = client.rotate_mesh_key(&args.node).await?;
    out.result(&rotation, |out| {
        out.line(&format!("{} has a new mesh key: {}", rotation.node, rotation.public_key))
    })
}

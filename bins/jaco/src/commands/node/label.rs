//! `jaco node label`: labels that placement can ask for.

use std::collections::BTreeMap;

use clap::Args;
use jaco_api::model::NodeName;
use jaco_client::Client;

use crate::{commands::complete, error::Error, output::Output};

/// Arguments of `jaco node label`.
#[derive(Debug, Args)]
pub struct LabelArgs {
    /// The node.
    #[arg(value_name = "NODE", add = complete::nodes())]
    pub node: NodeName,
    /// KEY=VALUE sets a label, KEY- removes it.
    #[arg(required = true, value_name = "KEY=VALUE|KEY-")]
    pub labels: Vec<String>,
}

/// Changes them and prints what the node has then.
///
/// # Errors
/// `unknown_node`, or `validation_failed` for a key or value that is none.
pub async fn run(args: &LabelArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    let (set, remove) = parse(&args.labels)?;
    let now = client.label_node(&args.node, set, remove).await?;
    let labels = &now.node.labels;
    out.result(labels, |out| labels.iter().try_for_each(|(k, v)| out.line(&format!("{k}={v}"))))
}

fn parse(args: &[String]) -> Result<(BTreeMap<String, String>, Vec<String>), Error> {
    let (mut set, mut remove) = (BTreeMap::new(), Vec::new());
    for arg in args {
        match (arg.split_once('='), arg.strip_suffix('-')) {
            (Some((key, value)), _) => {
                set.insert(key.to_owned(), value.to_owned());
            }
            (None, Some(key)) => remove.push(key.to_owned()),
            (None, None) => return Err(Error::Label(arg.clone())),
        }
    }
    Ok((set, remove))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_set_and_removed() {
        let args = ["zone=eu-1", "gpu-", "note=a=b-"].map(str::to_owned);
        let (set, remove) = parse(&args).unwrap();
        let set: Vec<_> = set.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(set, [("note", "a=b-"), ("zone", "eu-1")]);
        assert_eq!(remove, ["gpu"]);
        assert!(parse(&["zone".to_owned()]).is_err());
    }
}

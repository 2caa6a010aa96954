//! `package`: what would be published, packed and built from the packed form.

use clap::Args;

use crate::{
    error::Result,
    machine::{cargo, run},
};

/// The published crates; everything else is only for this repository.
const PUBLISHED: &[&str] =
    &["jaco-api", "jaco-client", "jaco-runtime", "jaco-net", "jaco-ingress", "jaco-engine"];

#[derive(Args)]
pub(crate) struct Package {
    /// Packs without building what was packed
    #[arg(long)]
    no_verify: bool,
}

impl Package {
    pub(crate) fn run(&self) -> Result<()> {
        let mut arguments = vec!["package"];
        arguments.extend(PUBLISHED.iter().flat_map(|name| ["-p", name]));
        if self.no_verify {
            arguments.push("--no-verify");
        }
        run(&mut cargo(&arguments))
    }
}

//! `docs`: pages that are made from the code.

use clap::Args;

use crate::{
    error::Result,
    machine::{cargo, run},
};

#[derive(Args)]
pub(crate) struct Docs {
    /// Only compares
    #[arg(long)]
    check: bool,
}

impl Docs {
    pub(crate) fn run(&self) -> Result<()> {
        let mut command = cargo(&["test", "-q", "-p", "jaco-e2e", "--test", "documentation"]);
        if !self.check {
            command.env("JACO_WRITE_DOCS", "1");
        }
        run(&mut command)
    }
}

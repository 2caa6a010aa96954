//! `docs`: pages that are made from the code.

use clap::Args;

use crate::{error::Result, machine::run, programs::tests};

#[derive(Args)]
pub(crate) struct Docs {
    /// Only compares
    #[arg(long)]
    check: bool,
}

impl Docs {
    pub(crate) fn run(&self) -> Result<()> {
        for mut command in tests("tests/e2e", &["documentation"])? {
            if !self.check {
                command.env("JACO_WRITE_DOCS", "1");
            }
            run(&mut command)?;
        }
        Ok(())
    }
}

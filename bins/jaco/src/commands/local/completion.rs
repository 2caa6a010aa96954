//! `jaco completion`: a script that asks the program itself, so it completes names of the cluster.

use clap::Args;
use clap_complete::env::Shells;

use crate::{error::Error, output::Output};

/// Arguments of `jaco completion`.
#[derive(Debug, Args)]
#[command(after_help = "For bash: echo 'source <(jaco completion bash)' >> ~/.bashrc")]
pub struct CompletionArgs {
    /// bash, zsh, fish, elvish or powershell.
    #[arg(value_parser = ["bash", "zsh", "fish", "elvish", "powershell"])]
    pub shell: String,
}

/// Prints the script.
///
/// # Errors
/// When there is none for this shell.
pub fn run(args: &CompletionArgs, out: &mut Output) -> Result<(), Error> {
    let shells = Shells::builtins();
    let shell = shells.completer(&args.shell).ok_or_else(|| Error::Shell(args.shell.clone()))?;
    let mut script = Vec::new();
    shell
        .write_registration("COMPLETE", "jaco", "jaco", "jaco", &mut script)
        .map_err(Error::Output)?;
    out.text(&String::from_utf8_lossy(&script))
}

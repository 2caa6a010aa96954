//! `jaco man`: the manual page of the program or of one command.

use clap::{Args, CommandFactory as _};

use crate::{cli::Cli, error::Error, output::Output};

/// Arguments of `jaco man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The command, such as `cluster init`; the whole program when not given.
    pub command: Vec<String>,
}

/// Prints it in roff.
///
/// # Errors
/// When there is no such command.
pub fn run(args: &ManArgs, out: &mut Output) -> Result<(), Error> {
    let mut root = Cli::command();
    root.build();
    let mut command = &root;
    for name in &args.command {
        command = command
            .find_subcommand(name)
            .filter(|c| !c.is_hide_set())
            .ok_or_else(|| Error::NoCommand(args.command.join(" ")))?;
    }
    let name = std::iter::once("jaco").chain(args.command.iter().map(String::as_str));
    let name: Vec<_> = name.collect();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone().name(name.join("-")).bin_name(name.join(" ")))
        .render(&mut page)
        .map_err(Error::Output)?;
    out.text(&String::from_utf8_lossy(&page))
}

//! The reference of every command as Markdown, made from what clap knows: `docs/cli/reference.md`.

use std::fmt::Write as _;

use clap::{Command, CommandFactory as _};

use crate::{cli::Cli, error::Error, output::Output};

/// Prints it.
///
/// # Errors
/// When standard output is gone.
pub fn run(out: &mut Output) -> Result<(), Error> {
    out.text(&reference())
}

/// The whole page.
#[must_use]
pub fn reference() -> String {
    let mut root = Cli::command();
    root.build();
    let mut text = String::from(
        "# Command reference\n\nMade by `jaco help-markdown`; do not edit by hand. \
         How commands find their cluster, exit codes and formats: [README](README.md).\n",
    );
    let _ = writeln!(text, "\n## Options of every command\n");
    options(&root, true, &mut text);
    commands(&root, "jaco", &mut text);
    text
}

fn commands(parent: &Command, path: &str, text: &mut String) {
    for command in parent.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        let path = format!("{path} {}", command.get_name());
        if command.has_subcommands() {
            commands(command, &path, text);
            continue;
        }
        let _ = writeln!(text, "\n## {path}\n");
        if let Some(about) = command.get_about() {
            let _ = writeln!(text, "{about}\n");
        }
        let _ = writeln!(text, "```text\n{}\n```\n", usage(command, &path));
        options(command, false, text);
        if let Some(after) = command.get_after_help() {
            let _ = writeln!(text, "\n{after}");
        }
    }
}

fn usage(command: &Command, path: &str) -> String {
    let mut usage = path.to_owned();
    for arg in command.get_arguments().filter(|a| a.is_positional() && !a.is_hide_set()) {
        let name = value_name(arg);
        let dots = if matches!(arg.get_action(), clap::ArgAction::Append) { "..." } else { "" };
        let _ = match arg.is_required_set() {
            true => write!(usage, " <{name}>{dots}"),
            false => write!(usage, " [{name}]{dots}"),
        };
    }
    usage.push_str(" [options]");
    usage
}

fn value_name(arg: &clap::Arg) -> String {
    match arg.get_value_names() {
        Some([name, ..]) => name.to_string(),
        _ => arg.get_id().to_string().to_uppercase(),
    }
}

fn options(command: &Command, global: bool, text: &mut String) {
    let shown: Vec<_> = command
        .get_arguments()
        .filter(|a| !a.is_hide_set() && a.is_global_set() == global)
        .filter(|a| !matches!(a.get_id().as_str(), "help" | "version"))
        .collect();
    if shown.is_empty() {
        return;
    }
    let _ = writeln!(text, "| option | meaning |\n|---|---|");
    for arg in shown {
        let mut name = String::new();
        if arg.is_positional() {
            let _ = write!(name, "`<{}>`", value_name(arg));
        } else {
            if let Some(short) = arg.get_short() {
                let _ = write!(name, "`-{short}`, ");
            }
            let long = arg.get_long().unwrap_or_default();
            let value = match arg.get_action().takes_values() {
                true => format!(" <{}>", value_name(arg)),
                false => String::new(),
            };
            let _ = write!(name, "`--{long}{value}`");
        }
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let choices: Vec<_> = arg
            .get_possible_values()
            .into_iter()
            .filter(|_| arg.get_action().takes_values())
            .map(|v| format!("`{}`", v.get_name()))
            .collect();
        let choices =
            if choices.is_empty() { String::new() } else { format!(" ({})", choices.join(", ")) };
        let _ = writeln!(
            text,
            "| {} | {}{choices} |",
            name.replace('|', "\\|"),
            help.replace('|', "\\|").replace('<', "\\<")
        );
    }
}

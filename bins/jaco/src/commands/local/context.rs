//! `jaco context …`: named clusters of this user.

use std::path::Path;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    cli::GlobalArgs,
    dial::{
        Environment,
        context::{Context, Contexts},
    },
    error::Error,
    output::{Output, table::Table},
};

/// What can be done with contexts.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add or replace one, from --server, --token and --ca-cert or --ca-fingerprint.
    Add(AddArgs),
    /// Make one the current context.
    Use {
        /// Its name.
        name: String,
    },
    /// Show all of them, without their tokens.
    List,
    /// Remove one.
    Remove {
        /// Its name.
        name: String,
    },
    /// Show one, without its token; the current one when none is named.
    Show {
        /// Its name.
        name: Option<String>,
    },
}

/// Arguments of `jaco context add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Its name.
    pub name: String,
    /// Make it the current context; the first one always is.
    #[arg(long = "use")]
    pub use_it: bool,
}

/// A context as it is shown: everything but the token.
#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    current: bool,
    servers: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_cert: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_fingerprint: Option<&'a str>,
}

/// Runs one of them.
///
/// # Errors
/// When the file cannot be used or there is no such context.
pub fn run(
    command: Command,
    flags: &GlobalArgs,
    env: &Environment,
    out: &mut Output,
) -> Result<(), Error> {
    let mut all = Contexts::load(env)?;
    match command {
        Command::Add(args) => add(args, all, flags, env, out),
        Command::Use { name } => {
            known(&all, &name)?;
            all.current = Some(name.clone());
            store(&all, &name, env, out, "Current context")
        }
        Command::List => list(&all, out),
        Command::Remove { name } => {
            all.take(&name)?;
            if all.current.as_ref() == Some(&name) {
                all.current = None;
            }
            all.store(env)?;
            out.line(&format!("Removed context: {name}"))
        }
        Command::Show { name } => {
            let name = name
                .or_else(|| all.current.clone())
                .ok_or_else(|| Error::UnknownContext { name: "(current)".to_owned() })?;
            known(&all, &name)?;
            let rows = rows(&all);
            match rows.iter().find(|row| row.name == name) {
                Some(row) => out.result(row, |out| out.yaml(row)),
                None => Err(Error::UnknownContext { name }),
            }
        }
    }
}

fn known(all: &Contexts, name: &str) -> Result<(), Error> {
    match all.contexts.contains_key(name) {
        true => Ok(()),
        false => Err(Error::UnknownContext { name: name.to_owned() }),
    }
}

fn store(
    all: &Contexts,
    name: &str,
    env: &Environment,
    out: &mut Output,
    done: &str,
) -> Result<(), Error> {
    all.store(env)?;
    let rows = rows(all);
    match rows.iter().find(|row| row.name == name) {
        Some(row) => out.result(row, |out| out.line(&format!("{done}: {name}"))),
        None => Ok(()),
    }
}

fn add(
    args: AddArgs,
    mut all: Contexts,
    flags: &GlobalArgs,
    env: &Environment,
    out: &mut Output,
) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if args.name.is_empty() || !args.name.chars().all(allowed) {
        return Err(Error::ContextName(args.name));
    }
    let token = flags.token.clone().or_else(|| env.var("JACO_TOKEN"));
    let (Some(token), false) = (token, flags.server.is_empty()) else {
        return Err(Error::IncompleteContext);
    };
    let ca_cert = flags
        .ca_cert
        .as_deref()
        .map(|path| {
            std::path::absolute(path)
                .and_then(|path| std::fs::metadata(&path).map(|_| path))
                .map_err(|source| Error::CaMissing { path: path.to_owned(), source })
        })
        .transpose()?;
    if ca_cert.is_none() && flags.ca_fingerprint.is_none() {
        out.warn("without --ca-cert or --ca-fingerprint the servers are not verified");
    }
    let context = Context {
        servers: flags.server.clone(),
        token,
        ca_cert,
        ca_fingerprint: flags.ca_fingerprint.clone(),
    };
    all.contexts.insert(args.name.clone(), context);
    if args.use_it || all.current.is_none() {
        all.current = Some(args.name.clone());
    }
    store(&all, &args.name, env, out, "Added context")
}

fn rows(all: &Contexts) -> Vec<Row<'_>> {
    all.contexts
        .iter()
        .map(|(name, context)| Row {
            name,
            current: all.current.as_ref() == Some(name),
            servers: &context.servers,
            ca_cert: context.ca_cert.as_deref(),
            ca_fingerprint: context.ca_fingerprint.as_deref(),
        })
        .collect()
}

fn list(all: &Contexts, out: &mut Output) -> Result<(), Error> {
    let rows = rows(all);
    out.result(&rows, |out| {
        let mut table = Table::new(&["NAME", "CURRENT", "SERVERS", "CA"]);
        for row in &rows {
            let ca = row
                .ca_cert
                .map(|p| p.display().to_string())
                .or_else(|| row.ca_fingerprint.map(str::to_owned))
                .unwrap_or_else(|| "not verified".to_owned());
            table.row([
                row.name.into(),
                if row.current { "yes".into() } else { "".into() },
                row.servers.join(",").into(),
                ca.into(),
            ]);
        }
        let table = table.render(out);
        out.text(&table)
    })
}

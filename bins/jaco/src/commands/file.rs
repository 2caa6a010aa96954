//! `jaco secret …` and `jaco config …`

use std::{
    io::{IsTerminal as _, Read as _, stdin},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use jaco_api::model::{FileKind, FileName, FileSummary, MOST_FILE_BYTES};
use jaco_client::{Client, SetFile};
use serde::Serialize;

use crate::{
    error::{Error, FileError},
    output::{Output, table::Table},
};

/// What can be done with secrets, and likewise with configs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set one; the services that use it get new containers, a few at a time.
    Set(SetArgs),
    /// Show every one, without its content.
    List,
    /// Delete one that no deployment uses.
    Delete {
        /// Which.
        name: FileName,
    },
}

/// Arguments of `jaco secret set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// Its name.
    pub name: FileName,
    /// File with the content; standard input when not given. The content is never an argument: those
    /// can be seen by everybody on this machine.
    #[arg(long, value_name = "FILE")]
    pub from_file: Option<PathBuf>,
    /// Globs of the deployments that may use it, separated by commas; every one when not given.
    #[arg(long, value_name = "GLOB", value_delimiter = ',')]
    pub deployments: Vec<String>,
}

#[derive(Serialize)]
struct Deleted<'a> {
    name: &'a FileName,
    deleted: bool,
}

/// Runs one of them.
///
/// # Errors
/// Whatever made it fail.
pub async fn run(
    kind: FileKind,
    command: Command,
    client: &Client,
    out: &mut Output,
) -> Result<(), Error> {
    match command {
        Command::Set(args) => set(kind, args, client, out).await,
        Command::List => list(kind, client, out).await,
        Command::Delete { name } => {
            client.delete_file(kind, &name).await?;
            let done = Deleted { name: &name, deleted: true };
            out.result(&done, |out| out.line(&format!("Deleted {kind} {name}")))
        }
    }
}

async fn set(
    kind: FileKind,
    args: SetArgs,
    client: &Client,
    out: &mut Output,
) -> Result<(), Error> {
    if args.from_file.is_none() && stdin().is_terminal() {
        out.say(&format!("Type the content of {kind} {}, then Ctrl-D:", args.name));
    }
    let content = content(args.from_file.as_deref())?;
    let file = SetFile { kind, name: args.name, content, deployments: args.deployments };
    let set = client.set_file(&file).await?;
    out.result(&set, |out| {
        let FileSummary { name, version, used_by, .. } = &set.file;
        if !set.changed {
            return out.line(&format!("{kind} {name} is unchanged (version {version})"));
        }
        out.line(&format!("Set {kind} {name} (version {version})"))?;
        match used_by.as_slice() {
            [] => Ok(()),
            users => out.line(&format!("Used by {}", users.join(", "))),
        }
    })
}

/// One byte more than is allowed is read, so that the limit is the cluster's to state.
fn content(from: Option<&Path>) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    let most = MOST_FILE_BYTES as u64 + 1;
    let (path, read) = match from {
        Some(path) => {
            let file = std::fs::File::open(path);
            (path, file.and_then(|f| f.take(most).read_to_end(&mut content)))
        }
        None => (Path::new("standard input"), stdin().take(most).read_to_end(&mut content)),
    };
    read.map_err(|source| Error::File {
        path: path.to_owned(),
        source: FileError::Read { source },
    })?;
    Ok(content)
}

async fn list(kind: FileKind, client: &Client, out: &mut Output) -> Result<(), Error> {
    let files = client.files(kind).await?;
    out.result(&files, |out| {
        let mut table =
            Table::new(&["NAME", "VERSION", "BYTES", "DEPLOYMENTS", "USED BY", "UPDATED"]);
        for file in &files {
            table.row([
                file.name.as_str().into(),
                file.version.to_string().into(),
                file.size.to_string().into(),
                match file.deployments.as_slice() {
                    [] => "*".into(),
                    globs => globs.join(",").into(),
                },
                file.used_by.join(",").into(),
                file.updated_at.to_string().into(),
            ]);
        }
        let table = table.render(out);
        out.text(&table)
    })
}

//! `jaco cp`: files between a container and this machine, as `docker cp` copies them.
//!
//! A directory is copied into one that is there, and becomes one that is not; `<directory>/.`
//! means what is in it. `-` is a tar archive on standard input or output.

use std::{
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use clap::Args;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jaco_api::model::{PathInfo, PathKind, ReplicaId};
use jaco_client::{Client, ErrorCode};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    pieces::{Incoming, Outgoing, PIECE, Progress, pieces_of},
    tree::{self, Outcome},
};
use crate::{
    commands::complete,
    error::Error,
    output::{Output, style},
};

/// Pieces of an archive that wait.
const WAITING: usize = 8;

/// Arguments of `jaco cp`.
#[derive(Debug, Args)]
pub struct CpArgs {
    /// What is copied: REPLICA:PATH, a path here, or - for a tar archive.
    #[arg(value_name = "SOURCE", add = complete::copied())]
    pub source: String,
    /// Where it goes.
    #[arg(value_name = "DESTINATION", add = complete::copied())]
    pub destination: String,
    /// Copy what a link leads to instead of the link.
    #[arg(short = 'L', long)]
    pub follow_link: bool,
}

/// One side of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Side {
    /// A path in a container: absolute, as it was written otherwise.
    There(ReplicaId, String),
    Here(PathBuf),
    /// Standard input or output.
    Pipe,
}

impl Side {
    /// A path here is taken for one when it says so: by a slash or dot at its beginning.
    fn parse(text: &str) -> Self {
        if text == "-" {
            return Self::Pipe;
        }
        let there = text.split_once(':').filter(|(name, _)| !name.starts_with(['/', '.']));
        match there.map(|(name, path)| (name.parse(), path)) {
            Some((Ok(replica), path)) => {
                let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
                Self::There(replica, path)
            }
            _ => Self::Here(text.into()),
        }
    }
}

/// Copies.
///
/// # Errors
/// `path_not_found`, `replica_not_found`, or what is wrong with a path here.
pub async fn run(args: &CpArgs, client: &Client, out: &mut Output) -> Result<(), Error> {
    match (Side::parse(&args.source), Side::parse(&args.destination)) {
        (Side::There(replica, path), Side::Here(to)) => {
            let from = Remote::find(client, replica, &path, args.follow_link).await?;
            let outcome = fetch(client, &from, &to, out).await?;
            tell(&outcome, out)
        }
        (Side::There(replica, path), Side::Pipe) => {
            if out.terminal.is_some() {
                let problem = "an archive is not written to a terminal";
                return Err(Error::Copy { path: "-".into(), problem });
            }
            let from = Remote::find(client, replica, &path, args.follow_link).await?;
            let mut pieces = client.copy_out(&from.replica, &from.path).await?;
            while let Some(piece) = pieces.try_next().await? {
                out.bytes(&piece)?;
            }
            Ok(())
        }
        (Side::Here(from), Side::There(replica, path)) => {
            let to = (&replica, path.as_str());
            let outcome = send(client, &from, to, args.follow_link, out).await?;
            tell(&outcome, out)
        }
        (Side::Pipe, Side::There(replica, path)) => {
            let pieces = pieces_of(tokio::io::stdin());
            client.copy_in(&replica, &path, pieces).await.map_err(Error::from)
        }
        (Side::There(..), Side::There(..))
        | (Side::Here(_) | Side::Pipe, Side::Here(_) | Side::Pipe) => Err(Error::CopySides),
    }
}

/// What is copied out of a container.
struct Remote {
    replica: ReplicaId,
    path: String,
    name: String,
    directory: bool,
    /// What is in the directory rather than the directory.
    contents: bool,
}

/// A path without its end `/.`, and whether it had one.
fn contents_of(path: &str) -> (&str, bool) {
    match path.strip_suffix("/.") {
        Some(bare) => (if bare.is_empty() { "/" } else { bare }, true),
        None if path == "." => (path, true),
        None => (path, false),
    }
}

/// The last part of a path in a container, and the directory it is in.
fn split(path: &str) -> (&str, &str) {
    let bare = path.trim_end_matches('/');
    match bare.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((parent, name)) => (parent, name),
        None => ("/", bare),
    }
}

impl Remote {
    async fn find(
        client: &Client,
        replica: ReplicaId,
        path: &str,
        follow: bool,
    ) -> Result<Self, Error> {
        let (path, contents) = contents_of(path);
        let mut path = path.to_owned();
        let mut info = client.path(&replica, &path).await?;
        let name = info.name.clone();
        if let (PathKind::Link(target), true) = (&info.kind, follow || contents) {
            path = target.clone();
            info = client.path(&replica, &path).await?;
        }
        let directory = info.kind == PathKind::Directory;
        if contents && !directory {
            return Err(Error::Copy { path: path.into(), problem: "is no directory" });
        }
        Ok(Self { replica, path, name, directory, contents })
    }
}

/// Where something goes on this machine. Decides from what is there.
fn destination(to: &Path, name: &str, directory: bool, contents: bool) -> Result<PathBuf, Error> {
    let refused = |problem| Err(Error::Copy { path: to.to_owned(), problem });
    let slashed = to.as_os_str().as_encoded_bytes().ends_with(b"/");
    if to.is_dir() {
        return Ok(if contents { to.to_owned() } else { to.join(name) });
    }
    if to.exists() && directory {
        return refused("is no directory");
    }
    if slashed && !directory {
        return refused("is no directory that exists");
    }
    match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            refused("is in no directory that exists")
        }
        _ => Ok(to.to_owned()),
    }
}

async fn fetch(client: &Client, from: &Remote, to: &Path, out: &Output) -> Result<Outcome, Error> {
    let to = destination(to, &from.name, from.directory, from.contents)?;
    let mut pieces = client.copy_out(&from.replica, &from.path).await?;
    let (sender, receiver) = mpsc::channel(WAITING);
    let has_top = from.path != "/";
    let unpacking = tokio::task::spawn_blocking(move || {
        let incoming = Incoming { receiver, rest: Bytes::new() };
        if !has_top && !to.is_dir() {
            let failed = |source| Error::Local { operation: "create", path: to.clone(), source };
            std::fs::create_dir(&to).map_err(failed)?;
        }
        tree::unpack(incoming, &to, has_top)
    });
    let progress = Progress::new(out);
    let received = async {
        while let Some(piece) = pieces.try_next().await? {
            progress.add(piece.len());
            // Who unpacks may have given up, and says why.
            if sender.send(Ok(piece)).await.is_err() {
                break;
            }
        }
        Ok(())
    };
    let received: Result<(), jaco_client::Error> = received.await;
    if received.is_err() {
        // An archive that just ends would be taken for whole.
        let _ = sender.send(Err(io::ErrorKind::ConnectionReset.into())).await;
    }
    drop(sender);
    let unpacked = finished(unpacking).await;
    received?;
    unpacked
}

/// Where something goes in a container: the directory the archive is unpacked in, and the name of
/// its top entry. Decides from what is there.
fn placed(
    there: Option<&PathInfo>,
    path: &str,
    name: &str,
    directory: bool,
    contents: bool,
) -> Result<(String, String), Error> {
    let refused = |problem| Err(Error::Copy { path: path.into(), problem });
    let (parent, last) = split(path);
    let beside = || Ok((parent.to_owned(), last.to_owned()));
    match there.map(|info| &info.kind) {
        Some(PathKind::Directory) => {
            let top = if contents { "" } else { name };
            Ok((path.to_owned(), top.to_owned()))
        }
        Some(_) if directory => refused("is no directory"),
        Some(_) => beside(),
        None if path.ends_with('/') && !directory => refused("is no directory that exists"),
        None => beside(),
    }
}

/// What is at a path of a container, links followed; nothing where there is nothing.
async fn found(
    client: &Client,
    replica: &ReplicaId,
    path: &str,
) -> Result<Option<PathInfo>, Error> {
    let look = async |path: &str| match client.path(replica, path).await {
        Ok(info) => Ok(Some(info)),
        Err(error) if error.code() == Some(ErrorCode::PathNotFound) => Ok(None),
        Err(error) => Err(Error::from(error)),
    };
    match look(path).await? {
        Some(PathInfo { kind: PathKind::Link(target), .. }) => look(&target).await,
        other => Ok(other),
    }
}

async fn send(
    client: &Client,
    from: &Path,
    (replica, path): (&ReplicaId, &str),
    follow: bool,
    out: &Output,
) -> Result<Outcome, Error> {
    let text = from.to_string_lossy();
    let (bare, contents) = contents_of(&text);
    let failed = |source| Error::Local { operation: "read", path: from.to_owned(), source };
    let mut source = PathBuf::from(bare);
    if follow || contents || source.file_name().is_none() {
        source = source.canonicalize().map_err(failed)?;
    }
    let directory = source.symlink_metadata().map_err(failed)?.is_dir();
    if contents && !directory {
        return Err(Error::Copy { path: source, problem: "is no directory" });
    }
    let name = Path::new(bare).file_name().or(source.file_name()).unwrap_or_default();
    let there = found(client, replica, path).await?;
    let (into, top) = placed(there.as_ref(), path, &name.to_string_lossy(), directory, contents)?;
    let (sender, receiver) = mpsc::channel(WAITING);
    let packing = tokio::task::spawn_blocking(move || {
        let outgoing = io::BufWriter::with_capacity(PIECE, Outgoing { sender: sender.clone() });
        let packed = tree::pack(&source, &top, outgoing);
        if let Err(error) = &packed {
            // An archive that just ends would be taken for whole.
            let _ = sender.blocking_send(Err(io::Error::other(error.to_string())));
        }
        packed
    });
    let progress = Progress::new(out);
    let pieces =
        stream::unfold(
            receiver,
            |mut receiver| async move { Some((receiver.recv().await?, receiver)) },
        );
    let counted = progress.counter();
    let pieces = pieces.inspect(move |piece: &io::Result<Bytes>| {
        counted.inc(piece.as_ref().map_or(0, |bytes| bytes.len() as u64));
    });
    let sent = client.copy_in(replica, &into, pieces).await;
    let packed = finished(packing).await;
    match sent {
        Err(jaco_client::Error::Archive { .. }) if packed.is_err() => packed,
        Err(error) => Err(error.into()),
        Ok(()) => packed,
    }
}

async fn finished(work: JoinHandle<Result<Outcome, Error>>) -> Result<Outcome, Error> {
    let stopped = |e| Error::Local {
        operation: "go on with",
        path: "the archive".into(),
        source: io::Error::other(e),
    };
    work.await.map_err(stopped)?
}

fn tell(outcome: &Outcome, out: &mut Output) -> Result<(), Error> {
    for path in &outcome.skipped {
        out.warn(&format!("{} is no file and was left out", path.display()));
    }
    let copied = outcome.copied;
    out.result(&copied, |out| {
        let entries = if copied.entries == 1 { "entry" } else { "entries" };
        let size = style::bytes(copied.bytes);
        out.say(&format!("copied {} {entries}, {size}", copied.entries));
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_a_replica_and_a_path_or_a_path_here() {
        let there = |path: &str| Side::There("shop.web.1".parse().unwrap(), path.to_owned());
        for (text, side) in [
            ("shop.web.1:/etc/x", there("/etc/x")),
            ("shop.web.1:etc/x", there("/etc/x")),
            ("shop.web.1:", there("/")),
            ("-", Side::Pipe),
            ("./shop.web.1:x", Side::Here("./shop.web.1:x".into())),
            ("/tmp/a:b", Side::Here("/tmp/a:b".into())),
            ("notes:today", Side::Here("notes:today".into())),
            ("site", Side::Here("site".into())),
        ] {
            assert_eq!(Side::parse(text), side, "{text}");
        }
    }

    #[test]
    fn what_is_in_a_container_decides_where_a_copy_goes() {
        let info = |kind| PathInfo { name: String::new(), kind, size: 0, mode: 0, modified: None };
        let (file, dir) = (info(PathKind::File), info(PathKind::Directory));
        let place = |there: Option<&PathInfo>, path: &str, directory, contents| {
            placed(there, path, "src", directory, contents)
                .map(|(into, top)| format!("{into} + {top}"))
                .unwrap_or_else(|e| e.to_string())
        };
        for (there, path, directory, contents, expected) in [
            (Some(&dir), "/srv", false, false, "/srv + src"),
            (Some(&dir), "/srv", true, false, "/srv + src"),
            (Some(&dir), "/srv", true, true, "/srv + "),
            (Some(&file), "/srv/x", false, false, "/srv + x"),
            (Some(&file), "/srv/x", true, false, "/srv/x: is no directory"),
            (None, "/srv/new", false, false, "/srv + new"),
            (None, "/srv/new/", true, false, "/srv + new"),
            (None, "/srv/new", true, true, "/srv + new"),
            (None, "/new", false, false, "/ + new"),
            (None, "/srv/new/", false, false, "/srv/new/: is no directory that exists"),
        ] {
            assert_eq!(place(there, path, directory, contents), expected, "{path} {directory}");
        }
    }

    #[test]
    fn what_is_here_decides_where_a_copy_goes() {
        let here = tempfile::tempdir().unwrap();
        let dir = here.path();
        std::fs::write(dir.join("file"), "x").unwrap();
        let place = |to: &str, directory, contents| {
            destination(&dir.join(to), "src", directory, contents)
                .map(|path| path.strip_prefix(dir).unwrap().display().to_string())
                .map_err(|_| ())
        };
        assert_eq!(place("", false, false), Ok("src".to_owned()));
        assert_eq!(place("", true, true), Ok(String::new()));
        assert_eq!(place("new", true, false), Ok("new".to_owned()));
        assert_eq!(place("file", false, false), Ok("file".to_owned()));
        assert_eq!(place("file", true, false), Err(()));
        assert_eq!(place("new/", false, false), Err(()));
        assert_eq!(place("no/such/new", false, false), Err(()));
    }
}

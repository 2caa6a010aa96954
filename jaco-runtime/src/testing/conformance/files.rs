//! Files of containers, and connections to their ports.

use std::{io::Read as _, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use jaco_api::model::{AssignedFile, ContainerSpec, FileContent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Bench, PATIENCE};
use crate::container::{
    ContainerRequest, ContainerRuntime, NetworkJoin, PathKind, RuntimeError, TarSource,
};

pub(super) async fn all(engine: &dyn ContainerRuntime, image: &str) {
    let bench = |case| Bench { engine, image, case };
    files_go_in_and_come_out_as_they_were(bench("files")).await;
    what_is_not_there_is_told_apart(bench("no-files")).await;
    an_archive_that_breaks_off_is_an_error(bench("broken")).await;
    secrets_and_configs_are_found_as_they_were_given(bench("secrets")).await;
    a_port_is_reached_over_the_containers_network(bench("ports")).await;
}

/// `app/`, `app/run` (executable), `app/sub/long` and the link `app/link`.
fn archive(long: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |kind, path: &str, mode, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, path, content).expect("memory");
    };
    add(tar::EntryType::Directory, "app/", 0o755, b"");
    add(tar::EntryType::Regular, "app/run", 0o750, b"#!/bin/sh\n");
    add(tar::EntryType::Directory, "app/sub/", 0o700, b"");
    add(tar::EntryType::Regular, "app/sub/long", 0o644, long);
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_mode(0o777);
    link.set_size(0);
    tar.append_link(&mut link, "app/link", "sub/long").expect("memory");
    tar.into_inner().expect("memory")
}

fn pieces(tar: Vec<u8>) -> TarSource {
    let pieces: Vec<_> = tar.chunks(30_000).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
    stream::iter(pieces).boxed()
}

/// Path, mode and content of every entry, in order of the paths.
fn listing(tar: &[u8]) -> Vec<(String, u32, usize)> {
    let mut archive = tar::Archive::new(tar);
    let mut all: Vec<_> = archive
        .entries()
        .expect("an archive")
        .map(|entry| {
            let mut entry = entry.expect("an entry");
            let path = entry.path().expect("a path").to_string_lossy().into_owned();
            let mode = entry.header().mode().expect("a mode") & 0o777;
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("content");
            (path, mode, content.len())
        })
        .collect();
    all.sort();
    all
}

impl Bench<'_> {
    async fn copied_out(&self, id: &str, path: &str) -> Vec<u8> {
        let pieces = self.engine.copy_out(id, path).await.expect("copy out");
        let pieces: Vec<Bytes> = pieces.try_collect().await.expect("pieces");
        pieces.concat()
    }
}

async fn files_go_in_and_come_out_as_they_were(b: Bench<'_>) {
    let request = b.request("c", "sleep 1000");
    let id = b.engine.create(&request).await.expect("create");
    let long = b"0123456789".repeat(50_000);
    // Once before it runs, once while it runs.
    for running in [false, true] {
        if running {
            b.engine.start(&id).await.expect("start");
        }
        b.engine.copy_in(&id, "/", pieces(archive(&long))).await.expect("copy in");
        let whole = listing(&b.copied_out(&id, "/app").await);
        let expected = [
            ("app/", 0o755, 0),
            ("app/link", 0o777, 0),
            ("app/run", 0o750, 10),
            ("app/sub/", 0o700, 0),
            ("app/sub/long", 0o644, long.len()),
        ];
        let whole: Vec<_> = whole.iter().map(|(p, m, n)| (p.as_str(), *m, *n)).collect();
        let without_mode_of_links = |(path, mode, size): (&'static str, u32, usize)| {
            (path, if path == "app/link" { 0 } else { mode }, size)
        };
        let seen: Vec<_> =
            whole.iter().map(|(p, m, n)| (*p, if *p == "app/link" { 0 } else { *m }, *n)).collect();
        assert_eq!(seen, expected.map(without_mode_of_links));
        let one = b.copied_out(&id, "/app/run").await;
        assert_eq!(listing(&one), [("run".to_owned(), 0o750, 10)]);
    }
    let info = async |path: &str| b.engine.path(&id, path).await.expect("path");
    let run = info("/app/run").await;
    assert_eq!((run.name.as_str(), run.size, run.mode), ("run", 10, 0o750));
    assert_eq!((run.kind, info("/app/sub").await.kind), (PathKind::File, PathKind::Directory));
    assert_eq!(info("/app/link").await.kind, PathKind::Link("/app/sub/long".to_owned()));
    assert_eq!(info("/").await.kind, PathKind::Directory);
    b.engine.remove(&id).await.expect("remove");
}

async fn secrets_and_configs_are_found_as_they_were_given(b: Bench<'_>) {
    let file = |target: &str, content: &[u8], uid, gid, mode| AssignedFile {
        target: target.to_owned(),
        content: FileContent(content.into()),
        uid,
        gid,
        mode,
    };
    let request = ContainerRequest {
        files: vec![
            file("/etc/app.toml", b"", 0, 0, 0o444),
            file("/run/secrets/key", &[0xff, 0, b'\n'], 101, 102, 0o440),
        ],
        ..b.request("c", "sleep 1000")
    };
    let id = b.engine.create(&request).await.expect("create");
    for round in ["made", "stopped"] {
        b.engine.restore_files(&id, &request.files).await.expect("restore");
        b.engine.start(&id).await.expect("start");
        for given in &request.files {
            let tar = b.copied_out(&id, &given.target).await;
            let mut archive = tar::Archive::new(tar.as_slice());
            let mut entry =
                archive.entries().expect("an archive").next().expect("one").expect("it");
            let header = entry.header();
            let owner = (header.uid().expect("a user"), header.gid().expect("a group"));
            assert_eq!(owner, (given.uid.into(), given.gid.into()), "{round}: {}", given.target);
            let mode = header.mode().expect("a mode") & 0o777;
            assert_eq!(mode, given.mode, "{round}: {}", given.target);
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("content");
            assert_eq!(content, &*given.content.0, "{round}: {}", given.target);
        }
        b.engine.stop(&id).await.expect("stop");
    }
    b.engine.remove(&id).await.expect("remove");
}

async fn what_is_not_there_is_told_apart(b: Bench<'_>) {
    let id = b.run(&b.request("c", "sleep 1000")).await;
    b.engine.copy_in(&id, "/", pieces(archive(b"x"))).await.expect("copy in");
    let nothing = "/no/such/path";
    let out = b.engine.copy_out(&id, nothing).await.err();
    let into = b.engine.copy_in(&id, nothing, pieces(archive(b"x"))).await.err();
    for error in [b.engine.path(&id, nothing).await.err(), out, into] {
        assert!(matches!(error, Some(RuntimeError::NoSuchPath { .. })), "{error:?}");
    }
    let error = b.engine.copy_in(&id, "/app/run", pieces(archive(b"x"))).await.err();
    assert!(matches!(error, Some(RuntimeError::Refused { status: 400, .. })), "{error:?}");
    b.engine.remove(&id).await.expect("remove");
    let error = b.engine.path(&id, "/").await.err();
    assert!(error.as_ref().is_some_and(RuntimeError::is_not_found), "{error:?}");
}

async fn an_archive_that_breaks_off_is_an_error(b: Bench<'_>) {
    let id = b.run(&b.request("c", "sleep 1000")).await;
    let whole = archive(&b"x".repeat(100_000));
    let half = Bytes::copy_from_slice(&whole[..whole.len() / 2]);
    let lost = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let broken = stream::iter([Ok(half), Err(lost())]).boxed();
    let error = b.engine.copy_in(&id, "/", broken).await.err();
    assert!(matches!(error, Some(RuntimeError::BrokenOff { .. })), "{error:?}");
    b.engine.ping().await.expect("the engine is fine");
    b.engine.remove(&id).await.expect("remove");
}

async fn a_port_is_reached_over_the_containers_network(b: Bench<'_>) {
    let network = b.network("net").await;
    let mut request = b.request("c", "nc -ll -p 7070 -e cat");
    request.networks = vec![NetworkJoin { network, ..NetworkJoin::default() }];
    let id = b.engine.create(&request).await.expect("create");
    let error = b.engine.connect(&id, 7070).await.err();
    assert!(matches!(error, Some(RuntimeError::NotRunning { .. })), "{error:?}");
    b.engine.start(&id).await.expect("start");
    let dialled = async {
        // The program needs a moment before it listens.
        loop {
            match b.engine.connect(&id, 7070).await {
                Ok(connection) => return connection.0,
                Err(RuntimeError::PortUnreachable { .. }) => {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    let mut connection = tokio::time::timeout(PATIENCE, dialled)
        .await
        .expect("it listens; the suite must run in the network of the engine");
    connection.write_all(b"ping").await.expect("it reads");
    let mut answer = [0; 4];
    let read = tokio::time::timeout(PATIENCE, connection.read_exact(&mut answer)).await;
    read.expect("in time").expect("it answers");
    assert_eq!(&answer, b"ping");
    let error = b.engine.connect(&id, 7071).await.err();
    assert!(matches!(error, Some(RuntimeError::PortUnreachable { port: 7071, .. })), "{error:?}");
    b.engine.remove(&id).await.expect("remove");
    b.remove_networks().await;

    let mut alone = b.request("alone", "sleep 1000");
    let spec: &mut ContainerSpec = Arc::make_mut(&mut alone.spec);
    spec.network_mode = Some("none".to_owned());
    let id = b.run(&alone).await;
    let error = b.engine.connect(&id, 7070).await.err();
    assert!(matches!(error, Some(RuntimeError::NoNetwork { .. })), "{error:?}");
    b.engine.remove(&id).await.expect("remove");
}

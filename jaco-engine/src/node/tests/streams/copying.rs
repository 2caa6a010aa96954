use bytes::Bytes;
use futures::{TryStreamExt as _, stream};
use jaco_api::{error::ErrorCode, model::PathKind};
use jaco_client::Error;

use super::*;

/// A file and the archive of it.
fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    // A tar archive by hand: one header, the content, two empty blocks.
    let mut header = [0_u8; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..107].copy_from_slice(b"0000640");
    header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    header[136..147].copy_from_slice(b"00000000000");
    header[156] = b'0';
    header[257..263].copy_from_slice(b"ustar\0");
    header[263..265].copy_from_slice(b"00");
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let padding = vec![0; content.len().next_multiple_of(512) - content.len() + 1024];
    [&header[..], content, &padding].concat()
}

fn pieces(tar: Vec<u8>) -> impl futures::Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let pieces: Vec<_> = tar.chunks(50_000).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
    stream::iter(pieces)
}

const REPLICAS: [&str; 2] = ["shop.web.1", "shop.web.2"];

#[tokio::test]
async fn files_are_copied_in_and_out_on_both_nodes() {
    let pair = Pair::new().await;
    let long = b"0123456789".repeat(100_000);
    for replica in REPLICAS {
        let client = pair.client.clone();
        let (id, tar) = (id(replica), pieces(archive("long", &long)));
        // A task of its own, as programs have: the call can be sent between threads.
        let copied = tokio::spawn(async move { client.copy_in(&id, "/tmp", tar).await });
        soon("the copy", copied).await.unwrap().unwrap();
        let there = pair.engine_of(replica).file(&pair.container_of(replica), "/tmp/long");
        assert!(there.is_some_and(|there| there == long), "{replica}");
        let info = pair.client.path(&super::id(replica), "/tmp/long").await.unwrap();
        assert_eq!((info.kind, info.size, info.mode), (PathKind::File, 1_000_000, 0o640));
        let out = pair.client.copy_out(&super::id(replica), "/tmp/long").await.unwrap();
        let out: Vec<Bytes> = soon("the copy", out.try_collect()).await.unwrap();
        assert!(out.concat().windows(20).any(|w| w == b"01234567890123456789"));
        assert!(out.concat().len() > long.len());
    }
    let actions: Vec<_> = pair.noted().into_iter().map(|(.., p)| p["action"].clone()).collect();
    assert_eq!(actions, ["copy_in", "copy_out", "copy_in", "copy_out"]);
}

#[tokio::test]
async fn an_archive_that_breaks_off_is_never_taken_for_whole() {
    let pair = Pair::new().await;
    for replica in REPLICAS {
        // Up to the end of a file: only who sends it knows that more was to come.
        let whole = archive("half", &b"x".repeat(200_000));
        let half = whole[..whole.len() - 1024].to_vec();
        let lost = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        let broken = stream::iter([Ok(Bytes::from(half)), Err(lost)]);
        let error = soon("the refusal", pair.client.copy_in(&id(replica), "/tmp", broken)).await;
        assert!(matches!(error, Err(Error::Archive { .. })), "{error:?}");
        let there = pair.engine_of(replica).file(&pair.container_of(replica), "/tmp/half");
        assert_eq!(there, None, "{replica}");
    }
}

#[tokio::test]
async fn what_is_not_there_has_a_code_of_its_own() {
    let mut pair = Pair::new().await;
    for replica in REPLICAS {
        let replica = id(replica);
        let nothing = "/no/such/path";
        let not_found = ErrorCode::PathNotFound;
        assert_eq!(super::super::code(pair.client.path(&replica, nothing).await), not_found);
        assert_eq!(
            super::super::code(pair.client.copy_out(&replica, nothing).await.map(drop)),
            not_found
        );
        let tar = pieces(archive("x", b"x"));
        assert_eq!(
            super::super::code(pair.client.copy_in(&replica, nothing, tar).await),
            not_found
        );
        let relative = pair.client.path(&replica, "tmp").await;
        assert_eq!(super::super::code(relative), ErrorCode::ValidationFailed);
    }
    pair.pull();
    let tar = pieces(archive("x", &b"x".repeat(1_000_000)));
    let error = soon("the refusal", pair.client.copy_in(&id("shop.web.2"), "/tmp", tar)).await;
    assert_eq!(super::super::code(error), ErrorCode::NodeUnreachable);
}

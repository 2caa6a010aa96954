use jaco_api::{error::ErrorCode, model::ReplicaState};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// Sends some bytes over a connection and reads them back.
async fn echo(pair: &Pair, target: &ReplicaTarget) -> String {
    let forwarded = pair.client.forward(target, 8080).await.unwrap();
    let replica = forwarded.place.replica.to_string();
    let (near, far) = tokio::io::duplex(1024);
    let carried = tokio::spawn(forwarded.carry(far));
    let (mut from, mut to) = tokio::io::split(near);
    let sent = b"0123456789".repeat(20_000);
    let sending = async {
        to.write_all(&sent).await.unwrap();
        to.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    let exchange = async { tokio::join!(sending, from.read_to_end(&mut received)) };
    soon("the echo", exchange).await.1.unwrap();
    assert!(received == sent, "{} of {} bytes", received.len(), sent.len());
    soon("the end", carried).await.unwrap().unwrap();
    replica
}

#[tokio::test]
async fn a_port_is_reached_on_both_nodes_until_both_ends_have_closed() {
    let pair = Pair::new().await;
    for replica in ["shop.web.1", "shop.web.2"] {
        pair.engine_of(replica).listen(&pair.container_of(replica), 8080);
        assert_eq!(echo(&pair, &target(replica)).await, replica);
        let refused = pair.client.forward(&target(replica), 8081).await.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::PortUnreachable), "{refused}");
    }
}

#[tokio::test]
async fn a_service_is_reached_as_long_as_one_replica_answers() {
    let mut pair = Pair::new().await;
    for replica in ["shop.web.1", "shop.web.2"] {
        pair.engine_of(replica).listen(&pair.container_of(replica), 8080);
    }
    assert_eq!(echo(&pair, &web()).await, "shop.web.1");
    // Gone, and nobody has told yet.
    let container = pair.container_of("shop.web.1");
    pair.engine_of("shop.web.1").exit(&container, 1);
    assert_eq!(echo(&pair, &web()).await, "shop.web.2");
    pair.observe("shop.web.1", ReplicaState::Failed, None, 3);
    assert_eq!(echo(&pair, &web()).await, "shop.web.2");
    pair.pull();
    let refused = pair.client.forward(&web(), 8080).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::NodeUnreachable), "{refused}");
}

#[tokio::test]
async fn a_connection_ends_with_its_container() {
    let pair = Pair::new().await;
    for replica in ["shop.web.1", "shop.web.2"] {
        let (engine, container) = (pair.engine_of(replica), pair.container_of(replica));
        engine.listen(&container, 8080);
        let forwarded = pair.client.forward(&target(replica), 8080).await.unwrap();
        let (mut near, far) = tokio::io::duplex(1024);
        let carried = tokio::spawn(forwarded.carry(far));
        near.write_all(b"ping").await.unwrap();
        let mut answer = [0; 4];
        soon("the answer", near.read_exact(&mut answer)).await.unwrap();
        engine.exit(&container, 1);
        let mut rest = Vec::new();
        soon("the end", near.read_to_end(&mut rest)).await.unwrap();
        assert!(rest.is_empty());
        drop(near);
        let _ = soon("the end of carrying", carried).await.unwrap();
    }
}

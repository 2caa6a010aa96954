//! Streams over a cluster of real nodes: mutual TLS between them, engines in memory.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use jaco_api::model::ExecCommand;
use jaco_client::{Goal, LogQuery};

use super::{
    super::{
        cluster::{Host, cluster},
        deploying::{reach, stack},
        eventually,
    },
    *,
};

/// A cluster of three with a replica of `shop/web` on each node.
async fn deployed() -> Vec<Host> {
    let hosts = cluster(&["a", "b", "c"]).await;
    let client = hosts[0].client();
    client.apply(stack("hello", 3)).await.unwrap();
    reach(&client, Goal::Running, Some(1)).await;
    for host in &hosts {
        eventually(&host.client(), "every node to know the replicas", |c| async move {
            let view = c.status(&jaco_client::StatusQuery::default()).await.ok()?;
            let running = view.replicas().filter(|r| r.state == ReplicaState::Running).count();
            (running == 4).then_some(())
        })
        .await;
    }
    hosts
}

/// Replica and container of `shop/web` on a node.
async fn web_on(host: &Host) -> (ReplicaId, String) {
    let view = host.client().status(&jaco_client::StatusQuery::default()).await.unwrap();
    let here = view.replicas().find(|r| r.node == *host.node.name() && r.id.service == "web");
    let here = here.unwrap_or_else(|| panic!("{view:#?}"));
    (here.id.clone(), here.container.clone().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_reaches_every_replica_over_tls() {
    let hosts = deployed().await;
    for asked in &hosts {
        for (n, host) in hosts.iter().enumerate() {
            let (replica, container) = web_on(host).await;
            let target = ReplicaTarget::Replica(replica.clone());
            let command = ExecCommand {
                command: ["sh", "-c", "cat > /tmp/typed; exit 5"].map(str::to_owned).to_vec(),
                stdin: true,
                ..ExecCommand::default()
            };
            let exec = asked.client().exec(&target, &command).await.unwrap();
            assert_eq!(exec.place.node, *host.node.name());
            let text = Bytes::from(format!("from {} to {n}", asked.node.name()));
            exec.input.write(text.clone()).await.unwrap();
            exec.input.end().await.unwrap();
            assert_eq!(to_the_end(exec.output).await.1.unwrap(), 5);
            assert_eq!(host.runtime.file(&container, "/tmp/typed").unwrap(), text);
            let tar = asked.client().copy_out(&replica, "/tmp/typed").await.unwrap();
            let tar: Vec<Bytes> = tar.try_collect().await.unwrap();
            assert!(tar.concat().windows(text.len()).any(|part| part == text));
        }
        let top = asked.client().top(Duration::from_millis(200)).await.unwrap();
        assert_eq!(top.nodes.iter().filter(|n| n.usage.is_some()).count(), 3, "{top:?}");
        assert_eq!(top.replicas.iter().filter(|r| r.usage.is_some()).count(), 4, "{top:?}");
    }
    for host in hosts {
        host.node.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_outlive_a_node_that_ends() {
    let mut hosts = deployed().await;
    let query = LogQuery {
        deployment: Some("shop".parse().unwrap()),
        service: Some("web".parse().unwrap()),
        follow: true,
        ..LogQuery::default()
    };
    let mut batches = hosts[0].client().logs(&query).await.unwrap();
    for host in &hosts {
        let (replica, container) = web_on(host).await;
        host.runtime.write_line(&container, &format!("from {}", host.node.name()));
        let read = async {
            loop {
                let batch = batches.next().await.unwrap().unwrap();
                if batch.lines.iter().any(|l| l.replica == replica && l.node == *host.node.name()) {
                    return;
                }
            }
        };
        soon("the line", read).await;
    }
    let gone = hosts.pop().unwrap();
    let name = gone.node.name().clone();
    gone.node.shutdown().await.unwrap();
    let told = async {
        loop {
            let batch = batches.next().await.unwrap().unwrap();
            if let Some(gap) = batch.gaps.first() {
                return gap.node.clone();
            }
        }
    };
    assert_eq!(soon("the gap", told).await, name);
    let (_, container) = web_on(&hosts[1]).await;
    hosts[1].runtime.write_line(&container, "still here");
    let read = async {
        loop {
            let batch = batches.next().await.unwrap().unwrap();
            if batch.lines.iter().any(|l| l.text == "still here") {
                return;
            }
        }
    };
    soon("a line after the gap", read).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_stall_never_hold_up_the_log() {
    let hosts = deployed().await;
    let leader = hosts[0].client().cluster_status().await.unwrap().leader.unwrap();
    let (leads, follows): (Vec<_>, Vec<_>) = hosts.iter().partition(|h| *h.node.name() == leader);
    let (leader, follower) = (leads[0], follows[0]);
    let (replica, container) = web_on(leader).await;
    leader.runtime.put_file(&container, "/srv/large", &vec![7; 4 << 20]);
    // More than any window holds, from the leader through a follower, and nobody reads.
    let mut stalled = Vec::new();
    for _ in 0..40 {
        let client = follower.client();
        let mut tar = client.copy_out(&replica, "/srv/large").await.unwrap();
        soon("the first piece", tar.next()).await.unwrap().unwrap();
        stalled.push(tar);
    }
    for n in 5..10 {
        let client = follower.client();
        let written = async { client.set_setting("revision_retention", &n.to_string()).await };
        soon("a write through the same node", written).await.unwrap();
    }
    assert_eq!(stalled.len(), 40);
}

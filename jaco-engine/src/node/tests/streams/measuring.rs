use std::time::Duration;

use jaco_runtime::testing::Usage;

use super::*;

const INTERVAL: Duration = Duration::from_millis(500);

#[tokio::test]
async fn every_node_measures_itself_and_its_replicas() {
    let pair = Pair::new().await;
    let usage =
        Usage { cpu_permille: 1500, memory_bytes: 64 << 20, received: 4_000_000, sent: 2_000_000 };
    pair.engine_of("shop.web.2").uses(&pair.container_of("shop.web.2"), usage);
    let top = soon("the measurement", pair.client.top(INTERVAL)).await.unwrap();
    let nodes: Vec<_> = top.nodes.iter().map(|n| (n.node.as_str(), n.replicas)).collect();
    assert_eq!(nodes, [("node-a", 1), ("node-b", 1)]);
    for node in &top.nodes {
        let usage = node.usage.unwrap();
        assert!(usage.memory_total_bytes > 0 && usage.cpu_permille <= 1000, "{node:?}");
    }
    let [_, two] = top.replicas.as_slice() else { panic!("{top:?}") };
    assert_eq!((two.replica.to_string().as_str(), two.node.as_str()), ("shop.web.2", "node-b"));
    let used = two.usage.unwrap();
    assert_eq!(used.memory_bytes, 64 << 20);
    // The engine counts in whole milliseconds, and this machine may be busy.
    assert!((1_200..=1_800).contains(&used.cpu_millis), "{used:?}");
    assert!((3_200_000..=4_800_000).contains(&used.received_per_second), "{used:?}");
    assert!((1_600_000..=2_400_000).contains(&used.sent_per_second), "{used:?}");
}

#[tokio::test]
async fn a_dead_node_is_a_row_that_says_so() {
    let mut pair = Pair::new().await;
    pair.pull();
    let top = soon("the measurement", pair.client.top(INTERVAL)).await.unwrap();
    let [a, b] = top.nodes.as_slice() else { panic!("{top:?}") };
    assert!(a.usage.is_some() && a.error.is_none(), "{a:?}");
    assert_eq!((b.usage, b.replicas), (None, 1));
    assert!(b.error.as_deref().is_some_and(|e| e.contains("node_unreachable")), "{b:?}");
    assert_eq!(top.replicas.len(), 1);
}

#[tokio::test]
async fn a_replica_whose_container_is_gone_says_so() {
    let pair = Pair::new().await;
    pair.engine_of("shop.web.2").remove_behind(&pair.container_of("shop.web.2"));
    let top = soon("the measurement", pair.client.top(INTERVAL)).await.unwrap();
    let gone = top.replicas.iter().find(|r| r.replica == id("shop.web.2")).unwrap();
    assert!(gone.usage.is_none() && gone.error.is_some(), "{gone:?}");
}

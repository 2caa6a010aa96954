use std::collections::BTreeMap;

use futures::{StreamExt as _, stream::BoxStream};
use jaco_api::model::ReplicaState;
use jaco_client::{Error, LogBatch, LogGap, LogQuery};
use jaco_runtime::testing::Op;

use super::*;

fn query(follow: bool) -> LogQuery {
    LogQuery { deployment: Some("shop".parse().unwrap()), follow, ..LogQuery::default() }
}

/// A reader of logs, and what it has read.
struct Follower {
    batches: BoxStream<'static, Result<LogBatch, Error>>,
    lines: BTreeMap<String, Vec<String>>,
    gaps: Vec<LogGap>,
}

impl Follower {
    async fn open(pair: &Pair, query: &LogQuery) -> Self {
        let batches = pair.client.logs(query).await.unwrap().boxed();
        Self { batches, lines: BTreeMap::new(), gaps: Vec::new() }
    }

    async fn read(&mut self) -> bool {
        let Some(batch) = self.batches.next().await else { return false };
        let batch = batch.unwrap();
        for line in batch.lines {
            assert_eq!(
                line.node.as_str(),
                if line.replica == id("shop.web.1") { "node-a" } else { "node-b" }
            );
            self.lines.entry(line.replica.to_string()).or_default().push(line.text);
        }
        self.gaps.extend(batch.gaps);
        true
    }

    async fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let reading = async {
            while !holds(self) {
                assert!(self.read().await, "the stream ended");
            }
        };
        let in_time = tokio::time::timeout(super::super::BOUND, reading).await.is_ok();
        assert!(in_time, "not {what}: {:?}, {:?}", self.lines, self.gaps);
    }

    async fn read_all(&mut self) {
        soon("the end of the stream", async { while self.read().await {} }).await;
    }

    fn of(&self, replica: &str) -> &[String] {
        self.lines.get(replica).map_or(&[], Vec::as_slice)
    }
}

fn write(pair: &Pair, replica: &str, lines: std::ops::Range<u32>) {
    for n in lines {
        pair.engine_of(replica).write_line(&pair.container_of(replica), &n.to_string());
    }
}

fn numbers(lines: std::ops::Range<u32>) -> Vec<String> {
    lines.map(|n| n.to_string()).collect()
}

#[tokio::test]
async fn the_lines_of_every_node_are_merged_each_replicas_in_its_order() {
    let pair = Pair::new().await;
    write(&pair, "shop.web.1", 0..700);
    write(&pair, "shop.web.2", 0..700);
    let mut all = Follower::open(&pair, &query(false)).await;
    all.read_all().await;
    assert_eq!(all.of("shop.web.1"), numbers(0..700));
    assert_eq!(all.of("shop.web.2"), numbers(0..700));
    assert!(all.gaps.is_empty(), "{:?}", all.gaps);
    let mut tail = Follower::open(&pair, &LogQuery { tail: Some(3), ..query(false) }).await;
    tail.read_all().await;
    assert_eq!(tail.of("shop.web.2"), numbers(697..700));
}

#[tokio::test]
async fn a_dead_node_is_a_gap_with_its_name_and_never_the_end() {
    let mut pair = Pair::new().await;
    write(&pair, "shop.web.1", 0..3);
    pair.pull();
    let mut once = Follower::open(&pair, &query(false)).await;
    once.read_all().await;
    assert_eq!(once.of("shop.web.1"), numbers(0..3));
    let [gap] = once.gaps.as_slice() else { panic!("{:?}", once.gaps) };
    assert_eq!((gap.node.as_str(), &gap.replica), ("node-b", &None));

    let mut follower = Follower::open(&pair, &query(true)).await;
    follower.until("told of the gap", |f| !f.gaps.is_empty()).await;
    write(&pair, "shop.web.1", 3..6);
    follower.until("read on", |f| f.of("shop.web.1").len() == 6).await;
    write(&pair, "shop.web.2", 0..4);
    pair.plug();
    follower.until("read the other", |f| f.of("shop.web.2").len() == 4).await;
    assert_eq!(follower.of("shop.web.2"), numbers(0..4));
    assert_eq!(follower.gaps.len(), 1, "told once: {:?}", follower.gaps);
}

#[tokio::test]
async fn a_node_that_comes_back_goes_on_without_repeating_anything() {
    let mut pair = Pair::new().await;
    let mut follower = Follower::open(&pair, &query(true)).await;
    let mut expected = 0;
    for outage in 1..=3 {
        // Many lines of one millisecond, so that time alone does not tell what was read.
        write(&pair, "shop.web.2", expected..expected + 50);
        expected += 50;
        follower.until("read", |f| f.of("shop.web.2").len() == expected as usize).await;
        pair.pull();
        follower.until("told", |f| f.gaps.len() == outage).await;
        write(&pair, "shop.web.2", expected..expected + 5);
        expected += 5;
        pair.plug();
        follower.until("read on", |f| f.of("shop.web.2").len() >= expected as usize).await;
        assert_eq!(follower.of("shop.web.2"), numbers(0..expected));
    }
}

#[tokio::test]
async fn containers_that_run_again_or_are_new_are_followed_on_the_other_node() {
    let mut pair = Pair::new().await;
    let mut follower = Follower::open(&pair, &query(true)).await;
    write(&pair, "shop.web.2", 0..2);
    follower.until("read", |f| f.of("shop.web.2").len() == 2).await;
    let (engine, container) =
        (pair.engine_of("shop.web.2").clone(), pair.container_of("shop.web.2"));
    engine.exit(&container, 1);
    engine.start(&container).await.unwrap();
    write(&pair, "shop.web.2", 2..4);
    pair.observe("shop.web.2", ReplicaState::Running, Some(container.clone()), 1);
    follower.until("read after the restart", |f| f.of("shop.web.2").len() == 4).await;
    engine.remove(&container).await.unwrap();
    pair.run_container("shop.web.2", "sleep infinity").await;
    write(&pair, "shop.web.2", 4..6);
    follower.until("read the new one", |f| f.of("shop.web.2").len() == 6).await;
    assert_eq!(follower.of("shop.web.2"), numbers(0..6));
}

#[tokio::test]
async fn a_container_that_cannot_be_read_is_told_once_and_tried_again() {
    let mut pair = Pair::new().await;
    write(&pair, "shop.web.2", 0..2);
    let container = pair.container_of("shop.web.2");
    // Somebody has removed it, and nobody has told yet.
    pair.engine_of("shop.web.2").remove_behind(&container);
    let mut follower = Follower::open(&pair, &query(true)).await;
    follower.until("told", |f| !f.gaps.is_empty()).await;
    assert_eq!(follower.gaps[0].replica, Some(id("shop.web.2")));
    let engine = pair.engine_of("shop.web.2");
    let asked = engine.count(Op::Inspect);
    soon("another try", async {
        while engine.count(Op::Inspect) == asked {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    pair.run_container("shop.web.2", "sleep infinity").await;
    write(&pair, "shop.web.2", 0..2);
    follower.until("read the new one", |f| f.of("shop.web.2").len() == 2).await;
    assert_eq!(follower.gaps.len(), 1, "{:?}", follower.gaps);
}

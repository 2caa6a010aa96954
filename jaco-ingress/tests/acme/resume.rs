//! An issuer that is lost at any step, and another one that goes on.

use std::time::Duration;

use async_trait::async_trait;
use jaco_ingress::acme::{
    Cause, OrderRequest, PlacedOrder, Publisher,
    challenge::{Challenge, ChallengeKind},
};
use tokio::sync::Notify;

use crate::lab::{Lab, Node, Options, domain};

/// Where an issuer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    BeforeKeeping,
    AfterKeeping,
    BeforePublishing,
    AfterPublishing,
    BeforeWithdrawing,
    AfterWithdrawing,
}

/// A publisher that never returns from one of its calls.
struct Doomed<'a> {
    node: &'a Node,
    lost: Lost,
    reached: Notify,
}

impl Doomed<'_> {
    async fn at(&self, here: Lost) {
        if self.lost == here {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Publisher for Doomed<'_> {
    async fn keep(&self, order: &PlacedOrder) -> Result<(), Cause> {
        self.at(Lost::BeforeKeeping).await;
        self.node.keep(order).await?;
        self.at(Lost::AfterKeeping).await;
        Ok(())
    }

    async fn publish(&self, challenge: &Challenge) -> Result<(), Cause> {
        self.at(Lost::BeforePublishing).await;
        self.node.publish(challenge).await?;
        self.at(Lost::AfterPublishing).await;
        Ok(())
    }

    async fn withdraw(&self, challenge: &Challenge) {
        self.at(Lost::BeforeWithdrawing).await;
        self.node.withdraw(challenge).await;
        self.at(Lost::AfterWithdrawing).await;
    }
}

#[tokio::test]
async fn another_issuer_goes_on_wherever_the_first_was_lost() {
    let Some(lab) = Lab::start(Options::default()).await else { return };
    let account = lab.account().await;
    let steps = [
        Lost::BeforeKeeping,
        Lost::AfterKeeping,
        Lost::BeforePublishing,
        Lost::AfterPublishing,
        Lost::BeforeWithdrawing,
        Lost::AfterWithdrawing,
    ];
    for (number, lost) in steps.into_iter().enumerate() {
        for kind in [ChallengeKind::Http01, ChallengeKind::Dns01] {
            let domain = domain(&format!("{}{number}.example", kind.as_str()));
            let asked =
                || OrderRequest { domain: &domain, challenge: kind, replaces: None, resume: None };
            lab.node.orders.lock().unwrap().clear();
            let doomed = Doomed { node: &lab.node, lost, reached: Notify::new() };
            let first = lab.client();
            tokio::select! {
                done = first.obtain(&account, asked(), &doomed) => panic!("{lost:?}: {:?}", done.map(drop)),
                () = doomed.reached.notified() => {}
            }
            drop(first);
            let resume = lab.node.last_order();
            let again = OrderRequest { resume, ..asked() };
            lab.client().obtain(&account, again, &*lab.node).await.unwrap();
            assert_eq!(lab.node.orders.lock().unwrap().len(), 1, "{lost:?}: one order is finished");
            assert_eq!(
                *lab.node.published.lock().unwrap(),
                [],
                "{lost:?}: nothing stays published"
            );
            let left = lab.node.dns.lookup(&format!("_acme-challenge.{domain}"));
            assert!(left.is_empty(), "{lost:?}: {left:?}");
        }
    }
}

#[tokio::test]
async fn a_certificate_that_was_made_and_lost_is_fetched_and_not_made_again() {
    let Some(lab) = Lab::start(Options::default()).await else { return };
    let account = lab.account().await;
    let domain = domain("made.example");
    let asked = OrderRequest {
        domain: &domain,
        challenge: ChallengeKind::Http01,
        replaces: None,
        resume: None,
    };
    let lost = lab.client().obtain(&account, asked.clone(), &*lab.node).await.unwrap();
    let again = OrderRequest { resume: lab.node.last_order(), ..asked };
    let found = lab.client().obtain(&account, again, &*lab.node).await.unwrap();
    assert_eq!(found.certificate, lost.certificate, "the same, and not another one");
}

#[tokio::test]
async fn an_issuer_is_cut_off_at_any_moment_and_the_ca_is_moody() {
    let chaos = Options { rejected_nonces: 25, slow: true, ..Options::default() };
    let Some(lab) = Lab::start(chaos).await else { return };
    let account = lab.account().await;
    let domain = domain("chaos.example");
    let cut_off = async {
        let mut pause = Duration::from_millis(15);
        loop {
            let resume = lab.node.last_order();
            let challenge = ChallengeKind::Http01;
            let asked = OrderRequest { domain: &domain, challenge, replaces: None, resume };
            let client = lab.client();
            let done =
                tokio::time::timeout(pause, client.obtain(&account, asked, &*lab.node)).await;
            match done {
                Ok(obtained) => return obtained.unwrap(),
                Err(_) => pause = pause.mul_f32(1.3),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), cut_off).await.unwrap();
    let orders = lab.node.orders.lock().unwrap();
    assert_eq!(orders.len(), 1, "one order was finished");
}

//! Tells the runtime agent on which bridges containers may be started.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use jaco_runtime::reconcile::Underlay;
use tokio::sync::watch;

use super::{Answering, Isolation};

/// What is known of the parts of the data plane; a part that this node does not have is absent.
pub(crate) struct Parts {
    /// Whether the firewall enforces anything.
    pub(crate) policed: bool,
    pub(crate) isolation: watch::Receiver<Isolation>,
    pub(crate) answering: Option<watch::Receiver<Answering>>,
    pub(crate) mtu: Option<watch::Receiver<Option<u32>>>,
}

/// Tells whenever something changes, until the node stops.
pub(crate) async fn keep_underlay(
    mut parts: Parts,
    underlays: watch::Sender<Option<Arc<Underlay>>>,
) {
    loop {
        let next = parts.look();
        underlays.send_if_modified(|present| {
            let differs = present.as_deref() != next.as_ref();
            if differs {
                *present = next.map(Arc::new);
            }
            differs
        });
        tokio::select! {
            Ok(()) = parts.isolation.changed() => {}
            Ok(()) = changed(&mut parts.answering) => {}
            Ok(()) = changed(&mut parts.mtu) => {}
            else => return,
        }
    }
}

async fn changed<T>(watch: &mut Option<watch::Receiver<T>>) -> Result<(), watch::error::RecvError> {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

impl Parts {
    fn look(&mut self) -> Option<Underlay> {
        let isolation = self.isolation.borrow_and_update().clone();
        let answering = self.answering.as_mut().map(|a| a.borrow_and_update().clone());
        let mtu = self.mtu.as_mut().map(|mtu| *mtu.borrow_and_update());
        underlay(self.policed, &isolation, answering.as_ref(), mtu)
    }
}

/// Nothing before the size of packets is known: networks are made with it. Pure.
fn underlay(
    policed: bool,
    isolation: &Isolation,
    answering: Option<&Answering>,
    mtu: Option<Option<u32>>,
) -> Option<Underlay> {
    if mtu == Some(None) || *isolation == Isolation::Unproven {
        return None;
    }
    let (isolated, mut reason) = match isolation {
        Isolation::Loaded(gateways) => (gateways.clone(), None),
        Isolation::Unavailable(why) => (BTreeSet::new(), Some(why.clone())),
        Isolation::Unproven => return None,
    };
    let answered = |gateway: &IpAddr| answering.is_none_or(|a| a.bound.contains(gateway));
    if reason.is_none() {
        let failed = answering.and_then(|a| a.failed.iter().find(|(at, _)| isolated.contains(at)));
        reason = failed.map(|(at, why)| format!("names cannot be answered at {at}: {why}"));
    }
    Some(Underlay {
        ready: isolated.into_iter().filter(answered).collect(),
        reason,
        mtu: mtu.flatten(),
        policed,
        names: answering.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_is_ready_when_it_is_policed_and_names_are_answered_on_it() {
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let (one, other) = (at("10.244.0.1"), at("10.244.1.1"));
        let loaded = Isolation::Loaded([one, other].into());
        let mut answering = Answering { bound: [one].into(), ..Answering::default() };
        answering.failed.insert(other, "UDP cannot be listened on".into());
        let look = |isolation: &Isolation, mtu| underlay(true, isolation, Some(&answering), mtu);
        assert_eq!(look(&Isolation::Unproven, None), None);
        assert_eq!(look(&loaded, Some(None)), None, "no network is made without its MTU");
        let found = look(&loaded, Some(Some(1_380))).unwrap();
        assert_eq!((found.ready, found.mtu), ([one].into(), Some(1_380)));
        assert!(found.reason.unwrap().contains("10.244.1.1: UDP"));
        let broken = look(&Isolation::Unavailable("no nft".into()), None).unwrap();
        assert_eq!((broken.ready.len(), broken.reason), (0, Some("no nft".into())));
        assert!(underlay(false, &loaded, None, None).unwrap().ready.contains(&other));
    }
}

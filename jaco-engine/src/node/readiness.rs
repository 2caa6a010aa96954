//! Whether a node does all that it is there for.

use super::agents::{Isolation, Proof};

/// How far a node is. What it waits for is in words for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Readiness {
    /// It answers, and belongs to no cluster.
    #[default]
    Alone,
    /// It takes part in a cluster and waits for this.
    Waiting(String),
    /// It has caught up with its cluster, keeps deployments apart, and has proved its network.
    Ready,
}

impl Readiness {
    /// What a member is. Pure.
    pub(super) fn of(caught_up: bool, isolation: &Isolation, proof: &Proof) -> Self {
        let waiting = |what: &str| Self::Waiting(what.to_owned());
        match (isolation, proof) {
            (Isolation::Unavailable(why), _) => waiting(why),
            _ if !caught_up => waiting("it has not caught up with its cluster"),
            (Isolation::Unproven, _) => waiting("its firewall is being loaded"),
            (Isolation::Loaded(_), Proof::Failing(missing)) => waiting(missing),
            (Isolation::Loaded(_), Proof::Outstanding) => waiting("its network is being proved"),
            (Isolation::Loaded(_), Proof::Proved) => Self::Ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_when_nothing_is_left_to_wait_for() {
        let loaded = Isolation::Loaded(Default::default());
        let broken = Isolation::Unavailable("no nft".to_owned());
        let failing = Proof::Failing("no way to b".to_owned());
        for (caught_up, isolation, proof, waits_for) in [
            (true, &loaded, Proof::Proved, None),
            (true, &loaded, Proof::Outstanding, Some("its network is being proved")),
            (true, &loaded, failing, Some("no way to b")),
            (true, &Isolation::Unproven, Proof::Proved, Some("its firewall is being loaded")),
            (false, &loaded, Proof::Proved, Some("it has not caught up with its cluster")),
            (false, &broken, Proof::Outstanding, Some("no nft")),
        ] {
            let expected = waits_for.map_or(Readiness::Ready, |w| Readiness::Waiting(w.to_owned()));
            assert_eq!(Readiness::of(caught_up, isolation, &proof), expected);
        }
    }
}

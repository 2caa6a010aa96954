//! Whether the firewall holds what is wanted. Pure.

use jaco_api::model::{Check, Finding};

use super::{few, told};
use crate::{Loaded, NetError, Ruleset};

const FIX: &str =
    "the repair loads the rules again; if they are changed again, `nft monitor` says by whom";

/// In every rule and element.
pub(super) fn judge(wanted: &Ruleset, read: Result<Option<Loaded>, NetError>) -> Finding {
    let loaded = match read {
        Ok(Some(loaded)) => loaded,
        Ok(None) => {
            let cause =
                "the table inet jaco is not loaded: deployments are not kept apart on this node";
            return Finding::failed(Check::Rules, "", cause, FIX);
        }
        Err(error) => {
            let fix = "install nftables, and let jacod have CAP_NET_ADMIN; `nft list table inet jaco` shows what is loaded";
            return Finding::failed(Check::Rules, "", told(&error), fix);
        }
    };
    if loaded.is(wanted) {
        return Finding::ok(Check::Rules, "");
    }
    Finding::failed(Check::Rules, "", few(loaded.drift(wanted)), FIX)
}

#[cfg(test)]
mod tests {
    use jaco_api::model::FindingOutcome;

    use super::*;

    #[test]
    fn what_differs_is_the_cause() {
        let wanted =
            Ruleset { pools: ["10.244.0.0/14".parse().unwrap()].into(), ..Ruleset::default() };
        let judged = |read| match judge(&wanted, read).outcome {
            FindingOutcome::Failed { cause, .. } => cause,
            other => format!("{other:?}"),
        };
        assert_eq!(judged(Ok(Some(Loaded::exactly(wanted.clone())))), "Ok");
        assert!(judged(Ok(None)).contains("not loaded"));
        let differences = (1..=6).map(|n| format!("rule {n} is missing")).collect();
        let torn = Loaded { ruleset: wanted.clone(), differences };
        let cause = judged(Ok(Some(torn)));
        assert!(
            cause.starts_with("rule 1 is missing; ") && cause.ends_with("; and 2 more"),
            "{cause}"
        );
        let source = Box::new(std::io::Error::other("nft: not found"));
        let cause = judged(Err(NetError::Unavailable { facility: "nftables", source }));
        assert!(cause.contains("nftables") && cause.contains("not found"), "{cause}");
    }
}

//! Which containers there are on each host, and since when they run.

use std::collections::BTreeMap;

use jaco_e2e::{Fleet, Outcome};

/// Container ids with the time of their start.
pub(crate) type Lives = BTreeMap<String, String>;

/// Those of a service on each host.
pub(crate) fn lives(fleet: &Fleet, service: &str) -> Outcome<Vec<Lives>> {
    let all = fleet.containers(service)?.into_iter();
    Ok(all.map(|list| list.into_iter().map(|c| (c.id, c.started_at)).collect()).collect())
}

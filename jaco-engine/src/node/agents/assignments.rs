//! Keeps this node's assignment equal to what the newest state says.

use std::sync::Arc;

use jaco_api::model::Assignment;
use tokio::sync::watch;

use super::documents::OpenedDocuments;
use crate::{assignment::project, rpc::Membership};

/// Projects every newest state until the state machine stops. A state that changes nothing for this
/// node wakes nobody.
pub(crate) async fn keep_assigned(
    membership: Arc<Membership>,
    mut caught_up: watch::Receiver<bool>,
    assignments: watch::Sender<Option<Arc<Assignment>>>,
) {
    let mut state = membership.state.subscribe();
    let mut documents = OpenedDocuments::new(membership.keyring.clone());
    loop {
        let newest = state.newest();
        let ready = *caught_up.borrow_and_update();
        let next = documents.of(&newest, |d| project(&newest, membership.id, d, ready));
        assignments.send_if_modified(|present| {
            let differs = !same(present.as_deref(), next.as_ref());
            if differs {
                *present = next.map(Arc::new);
            }
            differs
        });
        tokio::select! {
            changed = state.changed() => if changed.is_err() { return },
            Ok(()) = caught_up.changed() => {}
        }
    }
}

/// Whether two assignments ask for the same; the state they were made from does not matter.
fn same(a: Option<&Assignment>, b: Option<&Assignment>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => {
            (&a.cluster, &a.node, a.caught_up, &a.replicas, &a.networks, &a.remove_volumes)
                == (&b.cluster, &b.node, b.caught_up, &b.replicas, &b.networks, &b.remove_volumes)
        }
        _ => false,
    }
}

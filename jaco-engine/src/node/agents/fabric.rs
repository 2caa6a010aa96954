//! Keeps the picture of this node's network equal to what the newest state says.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jaco_api::model::{Fabric, Protocol};
use tokio::{sync::watch, time::sleep};

use super::documents::OpenedDocuments;
use crate::{assignment::fabric, rpc::Membership};

/// What changes at once is looked at once.
const TOGETHER: Duration = Duration::from_millis(20);

/// Projects every newest state until the state machine stops. A state that changes nothing in the
/// network wakes nobody. `served` is what this node's own ingress listens on besides published ports.
pub(crate) async fn keep_fabric(
    membership: Arc<Membership>,
    served: BTreeSet<(u16, Protocol)>,
    fabrics: watch::Sender<Option<Arc<Fabric>>>,
) {
    let mut state = membership.state.subscribe();
    let mut documents = OpenedDocuments::new(membership.keyring.clone());
    loop {
        let newest = state.newest();
        let mut next = documents.of(&newest, |documents| fabric(&newest, membership.id, documents));
        if let Some(fabric) = &mut next {
            fabric.served.extend(&served);
        }
        fabrics.send_if_modified(|present| {
            let differs = !same(present.as_deref(), next.as_ref());
            if differs {
                *present = next.map(Arc::new);
            }
            differs
        });
        if state.changed().await.is_err() {
            return;
        }
        sleep(TOGETHER).await;
    }
}

/// Whether two pictures are of the same network; the state they were made from does not matter.
fn same(a: Option<&Fabric>, b: Option<&Fabric>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => *a == Fabric { index: a.index, ..b.clone() },
        _ => false,
    }
}

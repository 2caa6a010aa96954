//! When an agent looks again at what it keeps in the kernel.

use std::{future::pending, time::Duration};

use tokio::{sync::watch, time::sleep};

/// What is kept is looked at this often even when nothing was announced.
const REGULARLY: Duration = Duration::from_secs(30);

/// Wakes an agent whose kernel objects may have been changed by others.
#[derive(Debug, Clone)]
pub(crate) struct Looks {
    asked: watch::Receiver<u64>,
    /// Woken for what was asked, which is not begun yet.
    due: bool,
    repairs: bool,
}

impl Looks {
    /// `asked` changes when the doctor wants everything to be applied once more. A node that does not
    /// repair looks at nothing else.
    pub(crate) fn new(asked: watch::Receiver<u64>, repairs: bool) -> Self {
        Self { asked, due: false, repairs }
    }

    /// Whatever was asked for until now is being done. Whether what others changed is to be put right now; if
    /// not, only what is wanted anew is.
    pub(crate) fn begin(&mut self) -> bool {
        let asked = self.asked.has_changed().unwrap_or(false);
        self.asked.borrow_and_update();
        let due = std::mem::take(&mut self.due);
        self.repairs || asked || due
    }

    /// Ends when the doctor asks, and on a node that repairs when `changes` announces something, and
    /// regularly.
    pub(crate) async fn next(&mut self, changes: &mut watch::Receiver<u64>) {
        tokio::select! {
            Ok(()) = self.asked.changed() => self.due = true,
            Ok(()) = changes.changed(), if self.repairs => {}
            () = sleep(REGULARLY), if self.repairs => {}
            else => pending().await,
        }
    }

    /// Ends when the doctor asks.
    pub(crate) async fn asked(&mut self) {
        if self.asked.changed().await.is_err() {
            pending::<()>().await;
        }
        self.due = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether an agent looks within a minute after this.
    async fn looks(
        repairs: bool,
        cause: impl FnOnce(&watch::Sender<u64>, &watch::Sender<u64>),
    ) -> bool {
        let (ask, asked) = watch::channel(0);
        let (announce, mut changes) = watch::channel(0);
        let mut looks = Looks::new(asked, repairs);
        assert_eq!(looks.begin(), repairs);
        cause(&ask, &announce);
        let looked = tokio::time::timeout(Duration::from_secs(29), looks.next(&mut changes)).await;
        looked.is_ok()
    }

    #[tokio::test]
    async fn damage_is_put_right_where_that_is_asked_for() {
        let (ask, asked) = watch::channel(0);
        let mut looks = Looks::new(asked, false);
        assert!(!looks.begin());
        ask.send_modify(|n| *n += 1);
        assert!(looks.begin());
        assert!(!looks.begin(), "once");
        let (_announce, mut changes) = watch::channel(0);
        ask.send_modify(|n| *n += 1);
        looks.next(&mut changes).await;
        assert!(looks.begin(), "whoever is woken by it begins with it");
        assert!(!looks.begin(), "once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_does_not_repair_looks_when_it_is_asked_only() {
        assert!(looks(true, |ask, _| ask.send_modify(|n| *n += 1)).await);
        assert!(looks(true, |_, announce| announce.send_modify(|n| *n += 1)).await);
        assert!(!looks(true, |_, _| ()).await);
        assert!(looks(false, |ask, _| ask.send_modify(|n| *n += 1)).await);
        assert!(!looks(false, |_, announce| announce.send_modify(|n| *n += 1)).await);
    }
}

//! The newest state, level-triggered.
//!
//! In: every state the machine arrives at. Out: the newest one, whenever a subscriber has time for
//! it. A slow subscriber skips states; nothing queues, nothing overflows, there is no resync.
//! A wake carries no data: compare with the state you acted on last.

use std::sync::Arc;

use tokio::sync::watch;

use crate::state::State;

/// Nobody applies entries any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the state machine has stopped")]
pub struct Closed;

/// A subscription to the newest state.
#[derive(Debug, Clone)]
pub struct StateWatch {
    receiver: watch::Receiver<Arc<State>>,
}

/// The other end: held by the state machine.
#[derive(Debug)]
pub struct StatePublisher {
    sender: watch::Sender<Arc<State>>,
}

/// A publisher and a first subscription.
#[must_use]
pub fn channel(first: Arc<State>) -> (StatePublisher, StateWatch) {
    let (sender, receiver) = watch::channel(first);
    (StatePublisher { sender }, StateWatch { receiver })
}

impl StateWatch {
    /// The newest state. It counts as seen only through [`Self::changed`].
    #[must_use]
    pub fn newest(&self) -> Arc<State> {
        self.receiver.borrow().clone()
    }
    /// Waits for a state newer than the last one seen through this subscription.
    ///
    /// # Errors
    /// [`Closed`] once there will be no newer one.
    pub async fn changed(&mut self) -> Result<Arc<State>, Closed> {
        self.receiver.changed().await.map_err(|_| Closed)?;
        Ok(self.receiver.borrow_and_update().clone())
    }
    /// Waits until the newest state satisfies a condition; it may do so already.
    ///
    /// # Errors
    /// [`Closed`] when there will be no newer state and the newest one does not satisfy it.
    pub async fn wait_until(
        &mut self,
        mut holds: impl FnMut(&State) -> bool,
    ) -> Result<Arc<State>, Closed> {
        self.receiver.wait_for(|s| holds(s)).await.map(|s| s.clone()).map_err(|_| Closed)
    }
    /// Waits until everything up to this raft index is applied.
    ///
    /// # Errors
    /// [`Closed`] when that will never be.
    pub async fn wait_for_index(&mut self, index: u64) -> Result<Arc<State>, Closed> {
        self.wait_until(|s| s.index() >= index).await
    }
    /// A subscription of its own, to which the present state is still new.
    #[must_use]
    pub fn subscribe(&self) -> Self {
        let mut receiver = self.receiver.clone();
        receiver.mark_changed();
        Self { receiver }
    }
}

impl StatePublisher {
    /// Replaces the newest state.
    pub fn publish(&self, state: Arc<State>) {
        self.sender.send_replace(state);
    }
    /// The newest state.
    #[must_use]
    pub fn newest(&self) -> Arc<State> {
        self.sender.borrow().clone()
    }
    /// A further subscription.
    #[must_use]
    pub fn subscribe(&self) -> StateWatch {
        StateWatch { receiver: self.sender.subscribe() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(index: u64) -> Arc<State> {
        Arc::new(State { index, ..State::default() })
    }

    #[tokio::test]
    async fn a_slow_subscriber_sees_only_the_newest_state() {
        let (publisher, mut watch) = channel(state(0));
        for index in 1..=1_000 {
            publisher.publish(state(index));
        }
        assert_eq!(watch.changed().await.unwrap().index(), 1_000);
        assert_eq!(watch.subscribe().changed().await.unwrap().index(), 1_000);
        drop(publisher);
        assert_eq!(watch.changed().await.unwrap_err(), Closed);
        assert_eq!(watch.newest().index(), 1_000);
    }
}

//! Several upstreams, one answer.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};

use super::{Failure, Key, Said, exchange::exchange};

/// How long one is waited for before the next is asked as well.
const HEAD_START: Duration = Duration::from_millis(300);
/// How long one that let us down is asked after the others.
const DEMOTED: Duration = Duration::from_secs(10);

/// How often it must not have answered for that, in a row: the order of the upstreams has a meaning.
const STRIKES: u32 = 3;

/// How long an upstream is waited for, and who does not answer.
#[derive(Debug)]
pub(super) struct Standing {
    patience: Duration,
    silent: Mutex<BTreeMap<SocketAddr, (u32, Instant)>>,
}

impl Standing {
    /// Everybody has this long for everything together.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, silent: Mutex::default() }
    }

    fn silent(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, (u32, Instant)>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts those that do not answer behind the others.
    fn order(&self, upstreams: &mut [SocketAddr]) {
        let mut silent = self.silent();
        silent.retain(|_, (_, last)| last.elapsed() < DEMOTED);
        upstreams.sort_by_key(|upstream| {
            silent.get(upstream).is_some_and(|(times, _)| *times >= STRIKES)
        });
    }

    fn answered(&self, upstream: SocketAddr) {
        self.silent().remove(&upstream);
    }

    fn did_not_answer(&self, upstreams: impl IntoIterator<Item = SocketAddr>) {
        let mut silent = self.silent();
        for upstream in upstreams {
            let (times, last) = silent.entry(upstream).or_insert((0, Instant::now()));
            (*times, *last) = (times.saturating_add(1), Instant::now());
        }
    }
}

/// The first good answer. Each next upstream is asked when those before it are slow, and at once when they fail.
///
/// # Errors
/// The last failure, when there are only failures.
pub(super) async fn run(
    mut upstreams: Vec<SocketAddr>,
    key: &Arc<Key>,
    standing: &Standing,
) -> Result<Said, Failure> {
    standing.order(&mut upstreams);
    let mut waiting = upstreams.into_iter().peekable();
    // In the order in which they were asked.
    let mut silent = Vec::new();
    let mut running = JoinSet::new();
    let mut worst = Failure::NoUpstream;
    loop {
        if let Some(upstream) = waiting.next() {
            let key = Arc::clone(key);
            silent.push(upstream);
            let patience = standing.patience;
            running.spawn(async move {
                let done = tokio::time::timeout(patience, exchange(upstream, &key)).await;
                (upstream, done.unwrap_or(Err(Failure::Silent { upstream })))
            });
        }
        let head_start = async {
            match waiting.peek() {
                Some(_) => tokio::time::sleep(HEAD_START).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            done = running.join_next() => match done {
                None => return Err(worst),
                Some(Ok((upstream, Ok(said)))) => {
                    standing.answered(upstream);
                    standing.did_not_answer(silent.into_iter().take_while(|o| *o != upstream));
                    return Ok(said);
                }
                Some(Ok((upstream, Err(failure)))) => {
                    silent.retain(|other| *other != upstream);
                    match failure {
                        Failure::Refused { .. } => standing.answered(upstream),
                        _ => standing.did_not_answer([upstream]),
                    }
                    worst = failure.or(worst);
                }
                // A panic in there has been reported; it counts as no answer.
                Some(Err(_)) => {}
            },
            () = head_start => {}
        }
    }
}

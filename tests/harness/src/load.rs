//! Requests at a steady rate against whatever serves at the moment.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::{Host, http::fetch, wait::pause};

/// Somebody who answers requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Who that is, for reports.
    pub name: String,
    namespace: PathBuf,
    url: String,
}

impl Target {
    /// A page that is fetched from inside the network of `host`.
    #[must_use]
    pub fn on(host: &Host, name: &str, url: &str) -> Self {
        let (namespace, url) = (host.namespace(), url.to_owned());
        Self { name: name.to_owned(), namespace, url }
    }
}

/// The present targets, set by whoever knows and read for every request.
#[derive(Debug, Clone, Default)]
pub struct Targets(Arc<Mutex<Vec<Target>>>);

impl Targets {
    /// Replaces them.
    pub fn set(&self, targets: Vec<Target>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = targets;
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn one(&self, number: usize) -> Option<Target> {
        let targets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = targets.len().max(1);
        targets.get(number % count).cloned()
    }
}

/// What became of the requests.
#[derive(Debug, Default)]
pub struct Requests {
    /// How many were answered.
    pub answered: usize,
    /// Why the others were not.
    pub failed: Vec<String>,
    /// The longest time that an answer took.
    pub slowest: Duration,
}

/// Requests under way. Dropping it ends them.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    sender: Option<JoinHandle<Requests>>,
}

impl Load {
    /// Sends that many requests per second, to the targets in turn, each on its own: a slow answer
    /// holds up no other request. A moment without any target counts as a failed request.
    #[must_use]
    pub fn start(per_second: u32, targets: &Targets) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, targets) = (Arc::clone(&stop), targets.clone());
        let sender = std::thread::spawn(move || send(per_second, &targets, &stopped));
        Self { stop, sender: Some(sender) }
    }

    /// Ends it and waits for the last answers.
    #[must_use]
    pub fn finish(mut self) -> Requests {
        self.end()
    }

    fn end(&mut self) -> Requests {
        self.stop.store(true, Ordering::Relaxed);
        let sender = self.sender.take().map(JoinHandle::join);
        sender.and_then(Result::ok).unwrap_or_default()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

type Answer = Result<Duration, String>;

fn send(per_second: u32, targets: &Targets, stopped: &AtomicBool) -> Requests {
    let started = Instant::now();
    let (mut number, mut open, mut requests) = (0u32, Vec::new(), Requests::default());
    while !stopped.load(Ordering::Relaxed) {
        let due = Duration::from_secs(1) * number / per_second;
        pause(due.saturating_sub(started.elapsed()));
        let target = targets.one(number as usize);
        number += 1;
        open.push(std::thread::spawn(move || ask(target)));
        // Threads that have ended are counted as they do, so that a long run keeps few of them.
        let (ended, rest) = open.into_iter().partition(JoinHandle::is_finished);
        count(&mut requests, ended);
        open = rest;
    }
    count(&mut requests, open);
    requests
}

fn ask(target: Option<Target>) -> Answer {
    let target = target.ok_or("nobody serves")?;
    let asked = Instant::now();
    let answer = fetch(&target.namespace, ("GET", None), &target.url, "");
    answer.map(|_| asked.elapsed()).map_err(|error| format!("{}: {error}", target.name))
}

fn count(requests: &mut Requests, ended: Vec<JoinHandle<Answer>>) {
    for request in ended {
        match request.join().unwrap_or_else(|_| Err("the thread that asked panicked".to_owned())) {
            Ok(took) => {
                requests.answered += 1;
                requests.slowest = requests.slowest.max(took);
            }
            Err(why) => requests.failed.push(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_at_the_rate_that_was_asked_for_and_fail_when_nobody_serves() {
        let started = Instant::now();
        let load = Load::start(100, &Targets::default());
        pause(Duration::from_millis(500));
        let requests = load.finish();
        let most = usize::try_from(started.elapsed().as_millis() / 10 + 1).unwrap();
        let sent = requests.failed.len();
        assert!((most / 2..=most).contains(&sent), "{sent} of {most}");
        assert_eq!(requests.answered, 0);
        assert!(requests.failed.iter().all(|why| why == "nobody serves"));
    }
}

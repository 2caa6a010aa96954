//! A crowd of visitors: connections that are kept, requests at a steady rate, and WebSockets that stay open, through
//! several nodes at once.
//!
//! It is a witness: it knows nothing of JACO, sends nothing again and counts everything that a visitor would have
//! noticed.

mod keeper;
mod talker;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Who comes, and where.
#[derive(Debug, Clone)]
pub struct CrowdOptions {
    /// The nodes that are visited, each by as many.
    pub nodes: Vec<SocketAddr>,
    /// The domain that is asked for.
    pub domain: String,
    /// What is asked for there.
    pub path: String,
    /// Requests of all visitors together, unless answers take longer.
    pub per_second: u32,
    /// Connections to each node.
    pub connections: u32,
    /// WebSockets to each node.
    pub sockets: u32,
}

/// Something that a visitor has noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noticed {
    /// When what failed was begun, counted from when the crowd came.
    pub at: Duration,
    /// The node that was visited.
    pub node: SocketAddr,
    /// What was wrong.
    pub why: String,
}

/// What became of it all.
#[derive(Debug, Default)]
pub struct Seen {
    /// Requests that were answered with 200.
    pub answered: usize,
    /// How many of them by whom: answers begin with the name of whoever gives them.
    pub by: BTreeMap<String, usize>,
    /// Connections that were opened for them.
    pub connections: usize,
    /// Requests that were not.
    pub failed: Vec<Noticed>,
    /// The longest time that an answer took.
    pub slowest: Duration,
    /// Messages over WebSockets that were answered.
    pub messages: usize,
    /// WebSockets that were closed by the other side in good order.
    pub closed: usize,
    /// WebSockets that could not be opened, or ended otherwise.
    pub broken: Vec<Noticed>,
}

impl Seen {
    fn join(mut self, other: Self) -> Self {
        self.answered += other.answered;
        for (name, count) in other.by {
            *self.by.entry(name).or_default() += count;
        }
        self.connections += other.connections;
        self.failed.extend(other.failed);
        self.slowest = self.slowest.max(other.slowest);
        self.messages += other.messages;
        self.closed += other.closed;
        self.broken.extend(other.broken);
        self
    }
}

/// Visitors who come until they are sent away. Dropping it sends them away.
#[derive(Debug)]
pub struct Crowd {
    ground: Ground,
    visitors: Vec<JoinHandle<Seen>>,
}

/// What all visitors share.
#[derive(Debug, Clone)]
struct Ground {
    domain: String,
    path: String,
    began: Instant,
    over: Arc<AtomicBool>,
}

impl Ground {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn noticed(&self, begun: Instant, node: SocketAddr, why: impl ToString) -> Noticed {
        Noticed { at: begun.duration_since(self.began), node, why: why.to_string() }
    }

    /// Waits for the moment `number` of a visitor who does something `each` so long.
    #[expect(clippy::disallowed_methods, reason = "visitors are threads of their own")]
    fn pace(&self, number: u32, each: Duration) {
        let due = self.began + each * number;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

impl Crowd {
    /// They come at once.
    #[must_use]
    pub fn gather(options: &CrowdOptions) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (domain, path) = (options.domain.clone(), options.path.clone());
        let ground = Ground { domain, path, began: Instant::now(), over };
        let keepers = options.connections * u32::try_from(options.nodes.len()).unwrap_or(1);
        let each = Duration::from_secs(1) * keepers.max(1) / options.per_second.max(1);
        let mut visitors = Vec::new();
        for node in &options.nodes {
            for _ in 0..options.connections {
                let (ground, node) = (ground.clone(), *node);
                visitors.push(std::thread::spawn(move || keeper::visit(&ground, node, each)));
            }
            for _ in 0..options.sockets {
                let (ground, node) = (ground.clone(), *node);
                visitors.push(std::thread::spawn(move || talker::visit(&ground, node)));
            }
        }
        Self { ground, visitors }
    }

    /// How long they have been there.
    #[must_use]
    pub fn since(&self) -> Duration {
        self.ground.began.elapsed()
    }

    /// Sends them away, waits for the last answers, and tells what they have seen.
    #[must_use]
    pub fn leave(mut self) -> Seen {
        self.end()
    }

    fn end(&mut self) -> Seen {
        self.ground.over.store(true, Ordering::Relaxed);
        let told = self.visitors.drain(..).map(|visitor| visitor.join().unwrap_or_default());
        told.fold(Seen::default(), Seen::join)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

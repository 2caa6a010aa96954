//! What happens to hosts, networks, engines and containers, and how it ends.

use std::time::Duration;

use jaco_api::model::Health;
use jaco_engine::testing::network::Weather;
use jaco_runtime::{RuntimeError, container::label, testing::Op};
use tokio::time::Instant;

use super::{World, WorldError, name};
use crate::scenario::Fault;

/// How something ends that has happened.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Undo {
    Start(usize),
    Unpart(Vec<(usize, usize)>),
    Calm,
    Near(usize),
    FastDisk(usize),
    EmptyDisk(usize),
    Unhang(usize),
    Reconnect(usize),
    Swift(usize, Op),
}

impl World {
    /// Something happens.
    ///
    /// # Errors
    /// [`WorldError::Start`].
    pub async fn strike(&mut self, fault: Fault) -> Result<(), WorldError> {
        self.note(format_args!("{fault:?}"));
        match fault {
            Fault::Crash(host, power, time) => {
                self.cluster.crash(host).await;
                if power {
                    self.part(self.pairs_of(host), time);
                }
                self.later(time, Undo::Start(host));
            }
            Fault::Bounce(host, time) => {
                self.cluster.stop(host).await;
                self.later(time, Undo::Start(host));
            }
            Fault::Blackout(time) => {
                for host in 0..self.hosts {
                    self.cluster.crash(host).await;
                    self.later(time, Undo::Start(host));
                }
            }
            Fault::Reinstall(host) => self.reinstall(host).await?,
            Fault::Part(side, time) => {
                let on = |host: usize| side >> host & 1 == 1;
                let pairs = self.pairs().filter(|(a, b)| on(*a) != on(*b)).collect();
                self.part(pairs, time);
            }
            Fault::OneWay(from, to, time) => self.part(vec![(from, to)], time),
            Fault::Isolate(host, time) => self.part(self.pairs_of(host), time),
            Fault::Storm(delay, lost_permille, time) => {
                let weather = Weather { delay: (Duration::ZERO, delay), lost_permille };
                self.cluster.network().set_weather(weather);
                self.later(time, Undo::Calm);
            }
            Fault::Far(host, delay, time) => {
                let weather = Weather { delay: (delay / 2, delay), lost_permille: 0 };
                for (from, to) in self.pairs_of(host) {
                    let network = self.cluster.network();
                    network.set_weather_of(&*name(from), &*name(to), weather);
                }
                self.later(time, Undo::Near(host));
            }
            Fault::Skew(host, off) => self.cluster.host(host).set_clock_ahead(off),
            Fault::SlowDisk(host, takes, time) => {
                self.cluster.host(host).disk().set_flush(takes / 8, takes);
                self.later(time, Undo::FastDisk(host));
            }
            Fault::FullDisk(host, time) => {
                self.cluster.host(host).disk().set_full(true);
                self.later(time, Undo::EmptyDisk(host));
            }
            Fault::Hang(..)
            | Fault::Away(..)
            | Fault::EngineStop(..)
            | Fault::Sluggish(..)
            | Fault::Refuse(..)
            | Fault::PullFails(..) => self.strike_engine(fault),
            Fault::Exit(..) | Fault::Vanish(_) | Fault::Sicken(_) => self.strike_container(fault),
        }
        Ok(())
    }

    fn strike_engine(&mut self, fault: Fault) {
        let engine = |host: usize| self.cluster.host(host).engine();
        match fault {
            Fault::Hang(host, time) => {
                self.cluster.host(host).set_engine_hangs(true);
                self.later(time, Undo::Unhang(host));
            }
            Fault::Away(host, time) => {
                engine(host).disconnect();
                self.later(time, Undo::Reconnect(host));
            }
            Fault::EngineStop(host, time) => {
                engine(host).stop_engine();
                self.later(time, Undo::Reconnect(host));
            }
            Fault::Sluggish(host, op, takes, time) => {
                engine(host).delay(op, takes);
                self.later(time, Undo::Swift(host, op));
            }
            Fault::Refuse(host, op) => {
                let message = "the engine has a bad day".to_owned();
                engine(host).fail_next(op, RuntimeError::Refused { status: 500, message });
            }
            Fault::PullFails(host, time) => {
                let (image, message) = ("app:1".to_owned(), "the registry says 500".to_owned());
                let error = RuntimeError::PullFailed { image: image.clone(), message };
                engine(host).drop_image(&image).next_pull(&image, time, Err(error));
            }
            _ => {}
        }
    }

    /// A container of one of the deployments, by a number that was drawn.
    fn strike_container(&mut self, fault: Fault) {
        let (Fault::Exit(drawn, _) | Fault::Vanish(drawn) | Fault::Sicken(drawn)) = fault else {
            return;
        };
        let ours = |labels: &jaco_runtime::container::Labels| {
            labels.get(label::CLUSTER).is_some_and(|c| c != super::FOREIGN_CLUSTER)
        };
        let mut all = Vec::new();
        for host in self.cluster.hosts() {
            let alive = host.engine().containers().into_iter().filter(|c| c.status.is_alive());
            all.extend(alive.filter(|c| ours(&c.labels)).map(|c| (host.engine().clone(), c)));
        }
        let Some((engine, container)) = all.get(drawn as usize % all.len().max(1)) else { return };
        match fault {
            Fault::Exit(_, code) => engine.exit(&container.id, code),
            Fault::Vanish(_) => engine.remove_behind(&container.id),
            _ => engine.set_health(&container.id, Health::Unhealthy),
        };
        let named = container.name.clone();
        self.note(format_args!("... of {named}"));
    }

    /// A host loses its disk; its engine, with what runs there, stays. Never one whose loss may lose
    /// what is committed: one at a time, and a voter only where two others vote.
    async fn reinstall(&mut self, host: usize) -> Result<(), WorldError> {
        let pending = self.reinstalled.is_some_and(|other| other != host);
        let safe = match (self.cluster.host(host).member(), &*self.voters) {
            (Some(id), [voters]) => !voters.contains(&id) || voters.len() >= 3,
            _ => false,
        };
        if !safe || pending {
            self.note(format_args!("... which would lose too much"));
            return Ok(());
        }
        self.cluster.crash(host).await;
        self.cluster.wipe(host);
        self.commits[host] = 0;
        self.reinstalled = Some(host);
        self.start(host).await
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let hosts = self.hosts;
        (0..hosts).flat_map(move |a| (0..hosts).map(move |b| (a, b))).filter(|(a, b)| a != b)
    }

    fn pairs_of(&self, host: usize) -> Vec<(usize, usize)> {
        self.pairs().filter(|(a, b)| *a == host || *b == host).collect()
    }

    fn part(&mut self, pairs: Vec<(usize, usize)>, time: Duration) {
        for (from, to) in &pairs {
            self.cluster.network().cut_one_way(&*name(*from), &*name(*to));
        }
        self.later(time, Undo::Unpart(pairs));
    }

    fn later(&mut self, time: Duration, undo: Undo) {
        self.undo.push((Instant::now() + time, undo));
    }

    /// Ends what is to end by now.
    ///
    /// # Errors
    /// [`WorldError::Start`].
    pub async fn end_faults(&mut self) -> Result<(), WorldError> {
        let now = Instant::now();
        self.undo.sort_by_key(|(at, _)| *at);
        while self.undo.first().is_some_and(|(at, _)| *at <= now) {
            let (_, undo) = self.undo.remove(0);
            self.undo(undo).await?;
        }
        Ok(())
    }

    async fn undo(&mut self, undo: Undo) -> Result<(), WorldError> {
        self.note(format_args!("end of {undo:?}"));
        match undo {
            Undo::Start(host) => return self.start(host).await,
            Undo::Unpart(pairs) => {
                for (from, to) in pairs {
                    self.cluster.network().mend_one_way(&*name(from), &*name(to));
                }
            }
            Undo::Calm => {
                let weather = Weather { delay: self.delay, lost_permille: 0 };
                self.cluster.network().set_weather(weather);
            }
            Undo::Near(host) => self.cluster.network().clear_weather_of(&*name(host)),
            Undo::FastDisk(host) => {
                self.cluster.host(host).disk().set_flush(Duration::ZERO, Duration::ZERO);
            }
            Undo::EmptyDisk(host) => self.cluster.host(host).disk().set_full(false),
            Undo::Unhang(host) => self.cluster.host(host).set_engine_hangs(false),
            Undo::Reconnect(host) => {
                self.cluster.host(host).engine().reconnect();
            }
            Undo::Swift(host, op) => {
                self.cluster.host(host).engine().delay(op, Duration::ZERO);
            }
        }
        Ok(())
    }

    /// Whether the node of a host can kill a container there: it lives, belongs to the cluster, and its
    /// engine does what it is asked without delay.
    #[must_use]
    pub fn can_kill(&self, host: usize) -> bool {
        let engine_ails = self.undo.iter().any(|(_, undo)| match undo {
            Undo::Unhang(at) | Undo::Reconnect(at) | Undo::Swift(at, _) => *at == host,
            _ => false,
        });
        self.cluster.host(host).membership().is_some() && !engine_ails
    }

    /// Ends everything that has not ended, and sets the clocks right.
    ///
    /// # Errors
    /// [`WorldError::Start`].
    pub async fn end_all_faults(&mut self) -> Result<(), WorldError> {
        self.cluster.network().heal();
        for (_, undo) in std::mem::take(&mut self.undo) {
            self.undo(undo).await?;
        }
        for host in self.cluster.hosts() {
            host.set_clock_ahead(0);
        }
        for host in 0..self.hosts {
            self.start(host).await?;
        }
        Ok(())
    }
}

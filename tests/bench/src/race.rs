//! One contender's times, by an observer who asks the engines alone.

use std::{
    thread,
    time::{Duration, Instant},
};

use jaco_harness::{Engine, Patience, Result, Rig, until};

use crate::Contender;

/// How long a contender took.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// From the request to the last container's start.
    pub start: Duration,
    /// From the cut of a host's cable until all replicas run on the others.
    pub recovery: Duration,
}

/// How many containers run on these hosts.
fn running(rig: &Rig, hosts: &[usize], label: &str) -> usize {
    let engines: Vec<Engine> = hosts.iter().map(|n| rig.host(*n).engine().clone()).collect();
    let filter = format!("label={label}");
    // All at once: asking in turn would take as long as what is measured.
    thread::scope(|scope| {
        let ask = |engine: &Engine| {
            let list = engine.docker(&["ps", "-q", "--filter", &filter]).unwrap_or_default();
            list.lines().count()
        };
        let asked: Vec<_> = engines.iter().map(|engine| scope.spawn(move || ask(engine))).collect();
        asked.into_iter().map(|count| count.join().unwrap_or(0)).sum()
    })
}

fn wait(rig: &Rig, hosts: &[usize], label: &str, replicas: usize) -> Result<()> {
    let what = format!("{replicas} containers on {} hosts", hosts.len());
    until(Patience::LONG, &what, || match running(rig, hosts, label) {
        count if count >= replicas => Ok(()),
        count => Err(format!("{count} run")),
    })
}

/// Forms a cluster, starts replicas, loses a host, and takes everything away.
///
/// # Errors
/// The contender refuses, or does not get there in time.
pub fn race(contender: &mut dyn Contender, rig: &Rig, replicas: usize) -> Result<Times> {
    contender.form(rig)?;
    let all: Vec<usize> = (0..rig.hosts().len()).collect();
    let asked = Instant::now();
    contender.deploy(rig, replicas)?;
    wait(rig, &all, contender.label(), replicas)?;
    let start = asked.elapsed();

    let lost = contender.expendable(rig)?;
    let rest: Vec<usize> = all.into_iter().filter(|n| *n != lost).collect();
    let cut = Instant::now();
    rig.host(lost).cut()?;
    let recovered = wait(rig, &rest, contender.label(), replicas);
    let recovery = cut.elapsed();
    rig.host(lost).heal()?;
    recovered?;
    contender.whole(rig)?;
    contender.leave(rig)?;
    Ok(Times { start, recovery })
}

/// The middle one.
///
/// # Panics
/// There is none.
#[must_use]
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_not_moved_by_an_outlier() {
        let seconds = [9, 1, 2].map(Duration::from_secs).to_vec();
        assert_eq!(median(seconds), Duration::from_secs(2));
    }
}

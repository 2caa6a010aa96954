//! Visitors notice nothing of an update, and little of what fails.
//!
//! The witness is a crowd of them on the switch, with connections that are kept and WebSockets that stay open.

use std::{net::SocketAddr, time::Duration};

use jaco_e2e::{Crowd, CrowdOptions, Fleet, Noticed, Outcome, Seen, observe};

use super::{peers, places::places};

/// Visitors of a page at these nodes.
fn crowd(fleet: &Fleet, nodes: &[usize], path: &str) -> Crowd {
    let rig = fleet.cluster().rig();
    let at = nodes.iter().map(|n| SocketAddr::new(rig.host(*n).address().into(), 80));
    Crowd::gather(&CrowdOptions {
        nodes: at.collect(),
        domain: "peer.test".to_owned(),
        path: path.to_owned(),
        per_second: 200,
        connections: 4,
        sockets: 2,
    })
}

fn tell(fleet: &Fleet, seen: &Seen) {
    let requests = format!("{} answered, {} failed", seen.answered, seen.failed.len());
    fleet.measured("requests", format!("{requests}, slowest {:.0?}", seen.slowest));
    let sockets = format!("{} closed, {} broken", seen.closed, seen.broken.len());
    fleet.measured("WebSockets", format!("{} messages, {sockets}", seen.messages));
}

pub(crate) fn an_update_is_not_noticed_by_visitors(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let stack = peers::apply(fleet, 3, "")?;
    let crowd = crowd(fleet, &[0, 1, 2], "/");
    observe(Duration::from_secs(2), || Ok(()))?;
    stack.edit("compose.yml", "VERSION: one", "VERSION: two")?;
    fleet.cli(1).run(&["apply", &stack.manifest(), "--wait=3m"])?;
    observe(Duration::from_secs(3), || Ok(()))?;
    let seen = crowd.leave();
    tell(fleet, &seen);
    assert!(seen.failed.is_empty(), "{:#?}", seen.failed);
    assert!(seen.broken.is_empty(), "{:#?}", seen.broken);
    assert!(seen.answered > 1_000, "{} were answered", seen.answered);
    assert_eq!(seen.connections, 12, "connections of visitors are kept");
    assert!(seen.closed >= 6, "each old replica closes its WebSockets: {}", seen.closed);
    assert_eq!(seen.by.len(), 6, "all of both versions answer: {:?}", seen.by);
    Ok(())
}

/// A program that ends in the middle of its answers, as many do, is given nothing any more before it is told to.
pub(crate) fn a_program_that_ends_at_once_cuts_nobody_off(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let stack = peers::apply(fleet, 3, "    stop_signal: SIGKILL\n")?;
    let crowd = crowd(fleet, &[0, 1, 2], "/slow?ms=300");
    observe(Duration::from_secs(1), || Ok(()))?;
    stack.edit("compose.yml", "VERSION: one", "VERSION: two")?;
    fleet.cli(2).run(&["apply", &stack.manifest(), "--wait=3m"])?;
    observe(Duration::from_secs(1), || Ok(()))?;
    let seen = crowd.leave();
    tell(fleet, &seen);
    assert!(seen.failed.is_empty(), "{:#?}", seen.failed);
    assert_eq!(seen.by.len(), 6, "all of both versions answer: {:?}", seen.by);
    Ok(())
}

/// The longest that a request is under way which nothing has happened to.
const UNDER_WAY: Duration = Duration::from_millis(600);

/// What failed of what was begun in a time, counted from when the crowd came.
fn begun_in(noticed: &[Noticed], from: Duration, until: Duration) -> Vec<&Noticed> {
    noticed.iter().filter(|n| n.at >= from && n.at < until).collect()
}

pub(crate) fn visitors_are_led_around_what_fails(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    peers::apply(fleet, 6, "")?;
    // The third host is to be cut off: nobody visits it.
    let crowd = crowd(fleet, &[0, 1], "/");
    observe(Duration::from_secs(2), || Ok(()))?;
    let there = fleet.containers("app")?;
    let (near, far) = (there[0].first().ok_or("none here")?, there[2].first().ok_or("none there")?);
    let mut faults = Vec::new();
    let mut now = |what, bound| faults.push((what, crowd.since(), Duration::from_secs(bound)));
    let watch = |seconds| observe(Duration::from_secs(seconds), || Ok(()));

    for (what, replica) in [("killed here", near), ("killed elsewhere", far)] {
        now(what, 1);
        let host = usize::from(replica.id == far.id) * 2;
        fleet.engine(host).docker(&["kill", &replica.name])?;
        watch(4)?;
    }
    for (what, place) in [("paused here", 0), ("paused elsewhere", 2)] {
        let replica = fleet.containers("app")?[place].last().ok_or("none")?.name.clone();
        now(what, 1);
        fleet.engine(place).docker(&["pause", &replica])?;
        watch(3)?;
        // Unless its check has failed meanwhile and it was started again.
        let _ = fleet.engine(place).docker(&["unpause", &replica]);
        watch(1)?;
    }
    now("unhealthy", 1);
    let places = places(fleet, "site", "app")?;
    places.first().ok_or("none runs")?.run(&["/rig-peer", "sick"])?;
    watch(4)?;
    now("cut off", 5);
    fleet.cluster().rig().host(2).cut()?;
    watch(9)?;
    let end = crowd.since();
    fleet.cluster().rig().host(2).heal()?;
    let seen = crowd.leave();
    tell(fleet, &seen);
    // What is under way when something fails belongs to that.
    let ends = faults.iter().skip(1).map(|fault| fault.1 - UNDER_WAY).chain([end]);
    let ends: Vec<_> = ends.collect();
    for ((what, from, bound), until) in faults.into_iter().zip(ends) {
        let (failed, late) =
            (begun_in(&seen.failed, from, until), begun_in(&seen.failed, from + bound, until));
        fleet.measured(what, format!("{} requests failed", failed.len()));
        assert!(late.is_empty(), "{what}, later than {bound:?}: {late:#?}");
    }
    Ok(())
}

//! What the other scenarios of many hosts stand on: faults that are faults, and witnesses that see.

use std::{collections::BTreeSet, fs, time::Duration};

use jaco_e2e::{Fleet, Outcome, observe};
use jaco_harness::{
    Capture, Direction, Load, Moment, NodeOptions, Patience, Process, Skew, Target, Targets,
    Timeline, lowest, until,
};

const PAGE: &str = "a page in the clear";

pub(crate) fn the_instruments_work(fleet: &mut Fleet) -> Outcome {
    network(fleet)?;
    containers(fleet)?;
    clock(fleet)
}

/// Serves a page on the second host, outside of any container.
fn serve(fleet: &Fleet) -> Outcome<Process> {
    let directory = fleet.scratch()?;
    fs::write(directory.join("index.html"), PAGE)?;
    let mut httpd = fleet.cluster().rig().host(1).command("busybox");
    httpd.args(["httpd", "-f", "-p", "8088", "-h"]).arg(&directory);
    Ok(Process::start(&mut httpd, &directory.join("httpd.log"))?)
}

fn network(fleet: &Fleet) -> Outcome {
    let capture = Capture::start(fleet.cluster().rig(), "instruments")?;
    let httpd = serve(fleet)?;
    let (host, peer) = (fleet.cluster().rig().host(0), fleet.cluster().rig().host(1));
    let url = format!("http://{}:8088/", peer.address());
    let reached = |wanted: bool| -> Outcome {
        let what = if wanted { "the other host to be reached" } else { "it to be out of reach" };
        Ok(until(Patience::NORMAL, what, || match (host.http_get(&url), wanted) {
            (Ok(page), true) if page == PAGE => Ok(()),
            (Err(_), false) => Ok(()),
            (other, _) => Err(format!("{other:?}")),
        })?)
    };
    reached(true)?;
    peer.cut()?;
    reached(false)?;
    peer.heal()?;
    reached(true)?;
    for (at, direction, other) in
        [(host, Direction::From, peer), (host, Direction::To, peer), (peer, Direction::From, host)]
    {
        at.lose(direction, other.address(), 100)?;
        reached(false)?;
        at.heal()?;
        reached(true)?;
    }
    // Of another peer, nothing is lost.
    host.lose(Direction::From, fleet.cluster().rig().host(2).address(), 100)?;
    reached(true)?;
    host.heal()?;

    let targets = Targets::default();
    targets.set(vec![Target::on(host, "the page", &url)]);
    let load = Load::start(50, &targets);
    observe(Duration::from_secs(1), || Ok(()))?;
    let requests = load.finish();
    assert_eq!(requests.failed, Vec::<String>::new());
    assert!(requests.answered >= 25, "{} were answered", requests.answered);

    drop(httpd);
    let traffic = capture.finish(fleet.cluster().rig())?;
    let carried = traffic.streams().iter().filter(|(flow, bytes)| {
        (*flow.from.ip(), flow.from.port()) == (peer.address(), 8088)
            && bytes.ends_with(PAGE.as_bytes())
    });
    let carried = carried.count();
    let answered = requests.answered;
    assert!(carried >= answered, "{carried} of {answered} pages were seen on the wire");
    assert!(!traffic.holding(PAGE.as_bytes()).is_empty());
    assert!(traffic.holding(b"what nobody has said").is_empty());
    Ok(())
}

/// The engines' own events give the lowest number of containers, also of a moment.
fn containers(fleet: &Fleet) -> Outcome {
    let timeline = Timeline::start(&fleet.engines(), "probe=yes", &fleet.scratch()?)?;
    let start = |n: usize| -> Outcome<String> {
        let run = ["run", "-d", "--label", "probe=yes", "busybox:rig", "sleep", "86400"];
        Ok(fleet.engine(n).docker(&run)?)
    };
    let first = start(0)?;
    let second = start(2)?;
    fleet.engine(0).docker(&["kill", &first])?;
    let third = start(1)?;
    let happened = until(Patience::SHORT, "five events", || {
        let happened = timeline.so_far().map_err(|error| error.to_string())?;
        if happened.len() >= 5 { Ok(happened) } else { Err(format!("{happened:?}")) }
    })?;
    let told: Vec<_> = happened.iter().map(|h| (h.engine, h.container.clone(), h.moment)).collect();
    let wanted = [
        (0, &first, Moment::Started),
        (2, &second, Moment::Started),
        (0, &first, Moment::Signalled),
        (0, &first, Moment::Ended),
        (1, &third, Moment::Started),
    ];
    assert_eq!(told, wanted.map(|(engine, id, moment)| (engine, id.clone(), moment)));
    assert_eq!(lowest(&BTreeSet::from([first, second]), &happened[2..], false), 1);
    Ok(())
}

/// A skewed daemon signs with another time of day and waits no longer than before.
fn clock(fleet: &mut Fleet) -> Outcome {
    fleet.cluster_mut().prepare(&NodeOptions::default())?;
    let node = fleet.cluster_mut().node_mut(0);
    node.skew(Skew(3600))?;
    node.start()?;
    fleet.cluster().init()?;
    for (skew, name) in [(3600, "ahead"), (-3600, "behind")] {
        fleet.cluster_mut().node_mut(0).skew(Skew(skew))?;
        until(Patience::SHORT, name, || {
            let issue = ["token", "issue", "--name", name, "--rotate"];
            let issued = fleet.cli(0).json(&issue).map_err(|error| error.to_string())?;
            let at = issued["issued_at"].as_str().unwrap_or_default();
            let at = humantime::parse_rfc3339(at).map_err(|error| format!("{error}: {issued}"))?;
            let now = std::time::SystemTime::now();
            let apart = match at.duration_since(now) {
                Ok(ahead) => ahead.as_secs().cast_signed(),
                Err(behind) => -behind.duration().as_secs().cast_signed(),
            };
            if (apart - skew).abs() < 60 { Ok(()) } else { Err(format!("{apart} s apart")) }
        })?;
    }
    Ok(())
}

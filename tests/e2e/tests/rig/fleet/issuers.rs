//! Leaders that are lost while they obtain certificates.

use std::time::Instant;

use jaco_e2e::{Fleet, Outcome};
use jaco_harness::{Authority, AuthorityOptions, Pebble, https_get};

use super::certificates::{ISSUE, apply, authority, certificate, shown, site};

pub(crate) fn an_order_survives_its_leaders(fleet: &mut Fleet) -> Outcome {
    let options = AuthorityOptions { sleep: 4, ..AuthorityOptions::default() };
    let authority = authority(fleet, &options)?;
    fleet.form_with(&authority.config())?;
    apply(fleet, 0, &["first.example"])?;
    // Killed after the order was placed, and while the domain is being checked.
    for (round, domain) in ["second.example", "third.example", "fourth.example"].iter().enumerate()
    {
        let (orders, made) = (authority.orders(), authority.certificates());
        let lead = fleet.cluster().leader(&[0, 1, 2])?;
        let all: Vec<&str> =
            [&["first.example"], &["second.example", "third.example", "fourth.example"][..=round]]
                .concat();
        apply(fleet, (lead + 1) % 3, &all)?;
        fleet.cluster().until(ISSUE, "the order", || match authority.orders() {
            placed if placed > orders => Ok(()),
            _ => Err("none yet".to_owned()),
        })?;
        if round > 0 {
            let looked: usize = authority.looked().iter().sum();
            fleet.cluster().until(ISSUE, "a look", || {
                match authority.looked().iter().sum::<usize>() {
                    now if now > looked || authority.certificates() > made => Ok(()),
                    _ => Err("not yet".to_owned()),
                }
            })?;
        }
        fleet.cluster_mut().node_mut(lead).kill()?;
        let next = (lead + 1) % 3;
        let again = Instant::now();
        fleet.cluster().until(ISSUE, "the certificate", || {
            let host = fleet.cluster().rig().host(next).address();
            https_get((host, 443), domain, "/index.html", None).map_err(|e| e.to_string())
        })?;
        fleet.measured(
            domain,
            format!("{:.0} s after the leader was killed", again.elapsed().as_secs_f32()),
        );
        fleet.cluster_mut().node_mut(lead).start()?;
        shown(fleet, domain)?;
    }
    let (orders, made) = (authority.orders(), authority.certificates());
    fleet.measured("orders and certificates of four domains", format!("{orders}, {made}"));
    assert_eq!(made, 4, "exactly one for each domain");
    Ok(())
}

/// Kills the leader once it has asked a CA for `path` in a phase of a domain, and waits until another one has issued.
fn lose_the_leader(
    fleet: &mut Fleet,
    ca: &mut Pebble,
    (phase, domain, path): (&str, &str, &str),
    begin: impl FnOnce(&mut Fleet) -> Outcome,
) -> Outcome {
    let (asked, made) = (ca.posts(path), ca.certificates());
    begin(fleet)?;
    fleet.cluster().until(ISSUE, path, || match ca.posts(path) {
        now if now > asked => Ok(()),
        _ => Err("not yet".to_owned()),
    })?;
    // Nothing goes on while the CA holds its breath.
    ca.hang(true);
    let lead = fleet.cluster().leader(&[0, 1, 2])?;
    let before = certificate(fleet, lead, domain)?;
    assert_eq!(before["phase"], phase);
    fleet.cluster_mut().node_mut(lead).kill()?;
    assert_eq!(ca.certificates(), made);
    ca.hang(false);
    let killed = Instant::now();
    fleet.cluster().until(ISSUE, "the certificate", || {
        let row = certificate(fleet, (lead + 1) % 3, domain)?;
        let issued = row["phase"] == "issued" && row["certificate"] != before["certificate"];
        if issued { Ok(()) } else { Err(row.to_string()) }
    })?;
    let took = killed.elapsed().as_secs_f32();
    fleet.measured(phase, format!("issued {took:.0} s after the leader was killed"));
    fleet.cluster_mut().node_mut(lead).start()?;
    Ok(())
}

pub(crate) fn every_phase_survives_its_leader(fleet: &mut Fleet) -> Outcome {
    let options = AuthorityOptions { sleep: 4, ..AuthorityOptions::default() };
    let mut authority = authority(fleet, &options)?;
    let mut staging = authority.dry_runs()?;
    let counts = |staging: &Pebble, authority: &Authority| {
        let all = [staging.orders(), authority.orders()];
        assert_eq!(all, [staging.certificates(), authority.certificates()], "no order is left");
        all
    };
    fleet.form_with(&format!("{}acme_staging_ca: {}\n", authority.config(), staging.url()))?;
    apply(fleet, 0, &[])?;
    let (one, two) = ("one.example", "two.example");
    let run = |node, domains: &'static [&str]| {
        move |fleet: &mut Fleet| {
            let stack = site(fleet, domains)?;
            fleet.cli(node).run(&["apply", &stack.manifest()])?;
            Ok(())
        }
    };
    // Killed while it reads how a domain can be proved, and while the domain is being checked.
    let moment = ("staging", one, "/authZ/");
    lose_the_leader(fleet, &mut staging, moment, run(0, &["one.example"]))?;
    let first = shown(fleet, one)?[0].leaf.clone();
    assert_eq!(counts(&staging, &authority), [1, 1], "a dry run and a certificate");

    let moment = ("promoting", two, "/chalZ/");
    let begin = run(1, &["one.example", "two.example"]);
    lose_the_leader(fleet, authority.server(), moment, begin)?;
    shown(fleet, two)?;
    assert_eq!(counts(&staging, &authority), [2, 2], "a dry run and a certificate more");

    lose_the_leader(fleet, authority.server(), ("renewing", one, "/chalZ/"), |fleet| {
        fleet.cli(2).run(&["cert", "renew", one])?;
        Ok(())
    })?;
    assert_ne!(shown(fleet, one)?[0].leaf, first);
    assert_eq!(counts(&staging, &authority), [2, 3], "renewed without a dry run");
    Ok(())
}

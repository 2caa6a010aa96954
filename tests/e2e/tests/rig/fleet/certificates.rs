//! Certificates come from a real CA, whichever node it looks at, and every node shows the same.
//!
//! The CA is Pebble on the switch; the names below `example` are served by BIND and lead to a balancer in front
//! of the hosts.

use std::{
    collections::BTreeSet,
    net::Ipv4Addr,
    time::{Duration, Instant, SystemTime},
};

use jaco_api::model::Timestamp;
use jaco_e2e::{Fleet, Outcome};
use jaco_harness::{
    Authority, AuthorityOptions, Patience, Refusal, Shown, Stack, Unwilling, https_get,
};
use serde_json::Value;

use super::visitors;
use crate::stacks::pages;

/// How long a certificate may take with everything that the CA does to it: an attempt that failed is made again after a
/// minute, and the renewal of the shortest one is due after as long.
pub(super) const ISSUE: Patience = Patience(Duration::from_secs(120));

pub(super) fn authority(fleet: &Fleet, options: &AuthorityOptions) -> Outcome<Authority> {
    assert!(Authority::is_installed(), "pebble and bind9 are installed by `cargo xtask setup`");
    let directory = fleet.scratch()?.join("authority");
    Ok(Authority::start(fleet.cluster().rig(), &directory, options)?)
}

pub(super) fn hosts(fleet: &Fleet) -> Vec<Ipv4Addr> {
    fleet.cluster().rig().hosts().iter().map(jaco_harness::Host::address).collect()
}

/// A service that is led to by these domains.
pub(super) fn site(fleet: &mut Fleet, domains: &[&str]) -> Outcome<Stack> {
    let routes: Vec<_> = domains
        .iter()
        .map(|domain| format!("{{domain: '{domain}', service: app, port: 8080}}"))
        .collect();
    let jaco = format!("deployment: site\nroutes: [{}]\n", routes.join(", "));
    fleet.stack(&jaco, &pages("$$HOSTNAME", 3, ""))
}

/// Runs it.
pub(super) fn apply(fleet: &mut Fleet, node: usize, domains: &[&str]) -> Outcome {
    let stack = site(fleet, domains)?;
    fleet.cli(node).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    Ok(())
}

/// Waits until every host shows a certificate for the domain; what they show.
pub(super) fn shown(fleet: &Fleet, domain: &str) -> Outcome<Vec<Shown>> {
    let hosts = hosts(fleet);
    Ok(fleet.cluster().until(ISSUE, &format!("a certificate for {domain}"), || {
        let all = hosts.iter().map(|host| https_get((*host, 443), domain, "/index.html", None));
        let all = all.collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
        let leaves: BTreeSet<_> = all.iter().map(|shown| &shown.leaf).collect();
        if leaves.len() == 1 { Ok(all) } else { Err(format!("{} leaves", leaves.len())) }
    })?)
}

/// The row of a domain, as a node tells it.
pub(super) fn certificate(fleet: &Fleet, node: usize, domain: &str) -> Result<Value, String> {
    let all = fleet.cli(node).json(&["get", "certs"]).map_err(|e| e.to_string())?;
    let mut rows = all.as_array().into_iter().flatten();
    rows.find(|row| row["domain"] == domain).cloned().ok_or_else(|| all.to_string())
}

pub(crate) fn a_domain_comes_to_its_certificate(fleet: &mut Fleet) -> Outcome {
    let authority = authority(fleet, &AuthorityOptions::default())?;
    fleet.form_with(&authority.config())?;
    apply(fleet, 0, &["shop.example", "blog.example"])?;
    for domain in ["shop.example", "blog.example"] {
        let all = shown(fleet, domain)?;
        assert!(all.iter().all(|shown| shown.status == 200), "{all:?}");
    }
    assert_eq!(authority.certificates(), 2);
    let root = authority.root()?;
    for host in hosts(fleet) {
        let trusted = https_get((host, 443), "shop.example", "/index.html", Some(&root))?;
        assert_eq!(trusted.status, 200, "whoever trusts the CA trusts the host");
    }
    let looked = authority.looked();
    assert!(looked.iter().all(|n| *n > 0), "the CA looked at every node: {looked:?}");
    // What is really served is what is stored.
    fleet.cluster().until(Patience::NORMAL, "every node to serve what is stored", || {
        let seen =
            fleet.cli(2).run(&["get", "route", "shop.example"]).map_err(|e| e.to_string())?;
        if seen.stdout.matches("CURRENT").count() == 3 { Ok(()) } else { Err(seen.stdout) }
    })?;
    // Plain requests are sent to HTTPS from now on, path and query with them.
    for host in hosts(fleet) {
        let (status, head) = visitors::head(host, "shop.example", "/a/b?c=d")?;
        assert_eq!(status, 308, "{head}");
        assert!(head.contains("location: https://shop.example/a/b?c=d"), "{head}");
        let (status, _) = visitors::head(host, "shop.example", "/.well-known/acme-challenge/none")?;
        assert_eq!(status, 404, "never proxied");
    }
    // A cluster that has lost its state finds what it had.
    let before = shown(fleet, "shop.example")?[0].leaf.clone();
    fleet.lose_state()?;
    fleet.cluster_mut().start()?;
    fleet.cluster().form()?;
    apply(fleet, 0, &["shop.example", "blog.example"])?;
    assert_eq!(shown(fleet, "shop.example")?[0].leaf, before);
    shown(fleet, "blog.example")?;
    assert_eq!((authority.orders(), authority.certificates()), (2, 2), "nothing was ordered anew");
    // Nothing is left of a deployment that is deleted.
    fleet.cli(1).run(&["delete", "site", "--wait=60s"])?;
    for host in hosts(fleet) {
        fleet.cluster().until(Patience::NORMAL, "the certificate to go", || {
            match https_get((host, 443), "shop.example", "/", None) {
                Err(_) => Ok(()),
                Ok(shown) => Err(format!("{shown:?}")),
            }
        })?;
    }
    Ok(())
}

pub(crate) fn wildcards_and_closed_ports_are_proved_otherwise(fleet: &mut Fleet) -> Outcome {
    let authority = authority(fleet, &AuthorityOptions::default())?;
    let config = format!("{}{}http_addr: ''\n", authority.config(), authority.dns_config());
    fleet.form_with(&config)?;
    apply(fleet, 0, &["shop.example", "*.deep.example"])?;
    let all = shown(fleet, "shop.example")?;
    assert!(all.iter().all(|shown| shown.status == 200), "by TLS-ALPN-01: {all:?}");
    let all = shown(fleet, "any.deep.example")?;
    assert!(all.iter().all(|shown| shown.status == 200), "by DNS-01: {all:?}");
    assert_eq!(authority.certificates(), 2);
    Ok(())
}

pub(crate) fn a_ca_that_is_no_good_is_told_and_waited_for(fleet: &mut Fleet) -> Outcome {
    let mut authority = authority(fleet, &AuthorityOptions::default())?;
    fleet.form_with(&authority.config())?;
    authority.hang(true);
    apply(fleet, 0, &["shop.example", "blocked.example"])?;
    // Traffic is served all the same.
    for host in hosts(fleet) {
        assert_eq!(visitors::head(host, "shop.example", "/index.html")?.0, 200);
    }
    // Why a domain has failed, each time.
    let failed = |fleet: &Fleet, domain: &str| -> Result<Vec<String>, String> {
        let audit = fleet.cli(0).json(&["audit", "--type", "certificate_failed"]);
        let audit = audit.map_err(|e| e.to_string())?;
        let all = audit.as_array().into_iter().flatten();
        let told = all.filter(|event| event["payload"]["domain"] == domain);
        Ok(told.map(|event| event["payload"]["reason"].to_string()).collect())
    };
    let told = |fleet: &Fleet, domain: &str, words: &[&str]| -> Result<String, String> {
        let all = failed(fleet, domain)?;
        let meant = |reason: &&String| words.iter().any(|word| reason.contains(word));
        all.iter().find(meant).cloned().ok_or_else(|| format!("{all:?}"))
    };
    let silence = ["too long", "reached"];
    let silence =
        fleet.cluster().until(ISSUE, "the silence", || told(fleet, "shop.example", &silence))?;
    fleet.measured("a CA that hangs", silence);
    let listed = fleet.cli(0).run(&["status"])?.stdout;
    assert!(listed.contains("the CA took too long"), "{listed}");
    authority.hang(false);
    for domain in ["shop.example", "blocked.example"] {
        fleet.cli(1).run(&["cert", "renew", domain])?;
    }
    let begun = Instant::now();
    shown(fleet, "shop.example")?;
    fleet.measured("after the CA came back", format!("{:.0} s", begun.elapsed().as_secs_f32()));
    // What it does not want is told in its own words, and the others are not held up by it.
    let refusal = ["policy", "ejected"];
    let refusal =
        fleet.cluster().until(ISSUE, "no", || told(fleet, "blocked.example", &refusal))?;
    fleet.measured("the CA's words", refusal);
    assert_eq!(authority.certificates(), 1);
    Ok(())
}

pub(crate) fn a_ca_that_has_had_enough_or_talks_nonsense_is_left_alone(
    fleet: &mut Fleet,
) -> Outcome {
    let domain = "shop.example";
    let home = fleet.scratch()?.join("unwilling");
    let ca = Unwilling::start(fleet.cluster().rig(), &home, Refusal::RateLimit(None))?;
    fleet.form_with(&ca.config())?;
    apply(fleet, 0, &[domain])?;
    let minutes = |n: u64| Duration::from_secs(n * 60);
    let enough = "too many orders of yours (urn:ietf:params:acme:error:rateLimited)";
    let nonsense = "the CA's answer makes no sense";
    // Twice as long each time that a limit is spoken of without a word on how long, and as long as was said else.
    for (failures, refusal, words, wait) in [
        (1, Refusal::RateLimit(None), enough, minutes(15)),
        (2, Refusal::RateLimit(None), enough, minutes(30)),
        (3, Refusal::RateLimit(Some(minutes(200))), enough, minutes(200)),
        (4, Refusal::Garbage, nonsense, minutes(8)),
    ] {
        ca.refuse(refusal);
        if failures > 1 {
            fleet.cli(1).run(&["cert", "renew", domain])?;
        }
        let row = fleet.cluster().until(Patience::NORMAL, words, || {
            let row = certificate(fleet, 2, domain)?;
            let failed = row["phase"] == "failed" && row["failures"] == failures;
            if failed { Ok(row) } else { Err(row.to_string()) }
        })?;
        assert!(row["reason"].as_str().is_some_and(|reason| reason.contains(words)), "{row}");
        let next: Timestamp = row["next_at"].as_str().unwrap_or_default().parse()?;
        let left = next.since(Timestamp::from_system_time(SystemTime::now()));
        assert!(left <= wait && left > wait - minutes(1), "{left:?} of {wait:?}: {row}");
        let listed = fleet.cli(0).run(&["status"])?.stdout;
        assert!(listed.contains(words), "{listed}");
        assert_eq!(ca.orders(), failures, "asked once each time");
        for host in hosts(fleet) {
            assert_eq!(visitors::head(host, domain, "/index.html")?.0, 200, "served all the same");
        }
    }
    Ok(())
}

pub(crate) fn a_certificate_is_renewed_while_it_serves(fleet: &mut Fleet) -> Outcome {
    let options = AuthorityOptions { life: 90, ..AuthorityOptions::default() };
    let authority = authority(fleet, &options)?;
    fleet.form_with(&authority.config())?;
    apply(fleet, 0, &["short.example"])?;
    let first = shown(fleet, "short.example")?[0].leaf.clone();
    let (begun, hosts, mut asked) = (Instant::now(), hosts(fleet), 0);
    let mut seen_first = None;
    fleet.cluster().until(ISSUE, "the next certificate", || {
        let mut leaves = BTreeSet::new();
        for host in &hosts {
            asked += 1;
            // A visitor who is turned away ends the scenario.
            let shown = https_get((*host, 443), "short.example", "/index.html", None).unwrap();
            assert_eq!(shown.status, 200, "{}", shown.head);
            if shown.leaf != first {
                seen_first.get_or_insert_with(Instant::now);
            }
            leaves.insert(shown.leaf);
        }
        match leaves.len() {
            1 if !leaves.contains(&first) => Ok(()),
            _ => Err(format!("{} leaves", leaves.len())),
        }
    })?;
    let spread = seen_first.map(|at| at.elapsed()).unwrap_or_default();
    fleet.measured("from the first host that shows it to the last", format!("{spread:.0?}"));
    assert!(spread < Duration::from_secs(1), "{spread:?}");
    let took = begun.elapsed().as_secs_f32();
    fleet.measured(
        "renewed",
        format!("after {took:.0} s of 90, {asked} of {asked} requests served"),
    );
    assert_eq!((authority.orders(), authority.certificates()), (2, 2));
    Ok(())
}

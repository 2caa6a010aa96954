//! Containers of one network reach each other on whatever hosts they are, and nobody else does.
//!
//! The witnesses are the containers themselves: what they reach by address and by name.

use std::{net::Ipv4Addr, time::Instant};

use jaco_e2e::{Fleet, Outcome};
use jaco_harness::{Container, Engine, Patience};

use crate::stacks::{named, pages};

/// A container, where it is and which address it has in one network.
pub(super) struct Place {
    pub(super) engine: Engine,
    pub(super) container: Container,
    pub(super) address: String,
}

impl Place {
    /// Runs a program in it and returns what that printed.
    pub(super) fn run(&self, program: &[&str]) -> Result<String, String> {
        let arguments = [&["exec", self.container.name.as_str()], program].concat();
        self.engine.docker(&arguments).map_err(|error| error.to_string())
    }

    /// Whether another answers over ICMP.
    pub(super) fn pings(&self, address: &str) -> bool {
        self.run(&["ping", "-c", "1", "-W", "1", address]).is_ok()
    }

    /// What is served at an address or name, on the port of the pages.
    pub(super) fn page(&self, host: &str) -> Result<String, String> {
        let url = format!("http://{host}:8080/index.html");
        self.run(&["timeout", "2", "wget", "-q", "-O", "-", &url])
    }
}

/// The containers of a service, with their addresses in a network of its deployment, in order of hosts.
pub(super) fn places(fleet: &Fleet, deployment: &str, service: &str) -> Outcome<Vec<Place>> {
    let mut places = Vec::new();
    let network = format!("jaco_{deployment}_default");
    for engine in fleet.engines() {
        let label = format!("jaco.deployment={deployment}");
        for container in engine.containers(Some(&label))? {
            if container.labels.get("jaco.service").map(String::as_str) != Some(service) {
                continue;
            }
            let address = container.addresses.get(&network).cloned().unwrap_or_default();
            assert!(address.parse::<Ipv4Addr>().is_ok(), "{} has no address", container.name);
            places.push(Place { engine: engine.clone(), container, address });
        }
    }
    Ok(places)
}

pub(crate) fn a_network_spans_hosts_and_ends_at_its_deployment(fleet: &mut Fleet) -> Outcome {
    fleet.form()?;
    let began = Instant::now();
    for deployment in ["alpha", "beta"] {
        let stack = fleet.stack(&named(deployment), &pages(deployment, 3, ""))?;
        fleet.cli(0).run(&["apply", &stack.manifest(), "--wait=90s"])?;
    }
    fleet.measured("two stacks on three hosts", format!("{:.1?}", began.elapsed()));
    let (alpha, beta) = (places(fleet, "alpha", "app")?, places(fleet, "beta", "app")?);
    assert_eq!((alpha.len(), beta.len()), (3, 3));
    for from in &alpha {
        for to in &alpha {
            fleet
                .cluster()
                .until(Patience::NORMAL, "the page of another host", || from.page(&to.address))?;
            assert!(from.pings(&to.address), "{} pings {}", from.container.name, to.address);
        }
        for name in ["app", "app.alpha", "app.alpha.jaco.internal", "1.app", "2.app", "3.app"] {
            let page = fleet.cluster().until(Patience::NORMAL, name, || from.page(name))?;
            assert_eq!(page, "alpha", "{name}");
        }
    }
    for (from, others) in [(&alpha, &beta), (&beta, &alpha)] {
        for (from, to) in from.iter().flat_map(|from| others.iter().map(move |to| (from, to))) {
            assert!(!from.pings(&to.address), "{} pings {}", from.container.name, to.address);
            let page = from.page(&to.address);
            assert!(page.is_err(), "{} is served {page:?}", from.container.name);
        }
        for name in ["app.alpha", "app.beta"] {
            let own = from[0].container.labels["jaco.deployment"].as_str();
            assert_eq!(from[0].page(name).is_ok(), name.ends_with(own), "{name} in {own}");
        }
    }
    for deployment in ["alpha", "beta"] {
        fleet.cli(1).run(&["delete", deployment, "--wait=60s"])?;
    }
    Ok(())
}

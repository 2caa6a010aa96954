//! Where the containers of a deployment are, and what they reach.

use std::{fmt::Display, net::IpAddr};

use jaco_e2e::{Fleet, Outcome};
use jaco_harness::{Container, Engine, Vantage};

/// A container, where it is and which address it has in one network.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The number of its host.
    pub(super) host: usize,
    pub(super) engine: Engine,
    pub(super) container: Container,
    pub(super) address: IpAddr,
}

impl Place {
    /// Runs a program in it and returns what that printed.
    pub(super) fn run(&self, program: &[&str]) -> Result<String, String> {
        let arguments = [&["exec", self.container.name.as_str()], program].concat();
        self.engine.docker(&arguments).map_err(|error| error.to_string())
    }

    /// Whether another answers over ICMP.
    pub(super) fn pings(&self, address: IpAddr) -> bool {
        Vantage::of(&self.container).pings(&[address]).is_ok_and(|answered| !answered.is_empty())
    }

    /// What is served at an address or name, on the port of the pages.
    pub(super) fn page(&self, host: impl Display) -> Result<String, String> {
        let url = format!("http://{host}:8080/index.html");
        self.run(&["timeout", "2", "wget", "-q", "-O", "-", &url])
    }
}

/// The containers of a service that run, with their addresses in the default network, in order of hosts.
pub(super) fn places(fleet: &Fleet, deployment: &str, service: &str) -> Outcome<Vec<Place>> {
    places_in(fleet, deployment, service, "default")
}

/// The same with their addresses in another network of the deployment.
pub(super) fn places_in(
    fleet: &Fleet,
    deployment: &str,
    service: &str,
    network: &str,
) -> Outcome<Vec<Place>> {
    let mut places = Vec::new();
    let network = format!("jaco_{deployment}_{network}");
    for (host, engine) in fleet.engines().into_iter().enumerate() {
        let label = format!("jaco.deployment={deployment}");
        for container in engine.containers(Some(&label))? {
            let named = container.labels.get("jaco.service").map(String::as_str) == Some(service);
            if !named || container.status != "running" {
                continue;
            }
            let address = container.addresses.get(&network).and_then(|text| text.parse().ok());
            let Some(address) = address else {
                return Err(format!("{} has no address in {network}", container.name).into());
            };
            places.push(Place { host, engine: engine.clone(), container, address });
        }
    }
    Ok(places)
}

//! JACO's responder alone, for the comparison of name servers: `responder <address> <services> <replicas of each>`.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use jaco_api::model::Slot;
use jaco_net::{
    Scope,
    dns::{
        Bridge, Endpoint, Forwarders, NamedReplica, NamedService, Names, Resolver, Responders, Zone,
    },
};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("responder <address> <services> <replicas of each>");
    let (at, services, replicas) = (next()?.parse()?, next()?.parse()?, next()?.parse()?);
    let resolver =
        Resolver::new(Zone::new(&names(at, services, replicas)?), Forwarders::Given(vec![]));
    let responders = Responders::start(resolver);
    responders.set([at].into());
    // Until it is killed.
    std::future::pending().await
}

fn names(at: SocketAddr, services: u32, replicas: u32) -> Result<Names> {
    let mut names = Names::of("bench".parse()?);
    let scope = Scope { deployment: "shop".parse()?, network: "default".parse()? };
    let block = IpNet::new(at.ip(), 8)?.trunc();
    names.bridges.insert(at.ip(), Bridge { block, scope: scope.clone() });
    let mut all = Vec::new();
    for number in 0..services {
        let replica = |index: u32| {
            let [_, b, c, d] = (number * replicas + index).to_be_bytes();
            Ok(NamedReplica {
                slot: Slot::Index(index + 1),
                addresses: vec![IpAddr::from([10, b, c, d])],
                node: "bench".parse()?,
                healthy: true,
                hostname: None,
            })
        };
        all.push(NamedService {
            name: format!("service-{number}").parse()?,
            endpoint: Endpoint::Dnsrr,
            aliases: Vec::new(),
            ports: Vec::new(),
            replicas: (0..replicas).map(replica).collect::<Result<_>>()?,
        });
    }
    names.scopes.insert(scope, all);
    Ok(names)
}

//! Networks with addresses of their own.

use ipnet::IpNet;

use super::Bench;
use crate::container::{ContainerRuntime, NetworkJoin, NetworkRequest, RuntimeError};

pub(super) async fn all(engine: &dyn ContainerRuntime, image: &str) {
    let bench = |case| Bench { engine, image, case };
    a_container_has_an_address_of_its_network(bench("addresses")).await;
    addresses_and_bridges_are_taken_once(bench("addresses-taken")).await;
}

/// A network with these addresses; the first one is the bridge's.
fn network(b: &Bench<'_>, part: &str, prefix: &str, bridge: &str) -> NetworkRequest {
    let prefix: IpNet = prefix.parse().expect("a prefix");
    let gateway = prefix.hosts().next().expect("it has hosts");
    NetworkRequest {
        name: b.name(part),
        labels: b.labels(),
        driver_opts: [(NetworkRequest::BRIDGE_NAME.to_owned(), bridge.to_owned())].into(),
        addresses: Some((prefix, gateway)),
        ..NetworkRequest::default()
    }
}

async fn a_container_has_an_address_of_its_network(b: Bench<'_>) {
    let made = network(&b, "net", "10.199.3.16/28", "jaco-cnf1");
    b.engine.create_network(&made).await.expect("create network");
    let (prefix, gateway) = made.addresses.expect("they were given");
    let mut seen = Vec::new();
    for part in ["one", "two"] {
        let mut request = b.request(part, "sleep 1000");
        let network = made.name.clone();
        request.networks = vec![NetworkJoin { network, ..NetworkJoin::default() }];
        let id = b.run(&request).await;
        let address = b.inspect(&id).await.addresses[&made.name];
        assert!(prefix.contains(&address) && address != gateway, "{address}");
        seen.push((id, address));
    }
    assert_ne!(seen[0].1, seen[1].1);
    for (id, _) in seen {
        b.engine.remove(&id).await.expect("remove");
    }
    b.remove_networks().await;
}

async fn addresses_and_bridges_are_taken_once(b: Bench<'_>) {
    let first = network(&b, "first", "10.199.4.0/24", "jaco-cnf1");
    b.engine.create_network(&first).await.expect("create network");
    let part_of_it = network(&b, "second", "10.199.4.128/25", "jaco-cnf2");
    let same_bridge = network(&b, "third", "10.199.5.0/24", "jaco-cnf1");
    for taken in [&part_of_it, &same_bridge] {
        let error = b.engine.create_network(taken).await.expect_err("they are taken");
        let expected = taken.addresses.map(|(prefix, _)| prefix);
        match error {
            RuntimeError::AddressesTaken { subnet, .. } => assert_eq!(Some(subnet), expected),
            other => panic!("{other:?}"),
        }
    }
    b.remove_networks().await;
    b.engine.create_network(&part_of_it).await.expect("they are free again");
    b.remove_networks().await;
}

//! What the bridges of this node must be, and which of them the engine has made. Pure.

use jaco_api::model::{Fabric, FabricNetwork, NetworkId, NetworkSpec};
use jaco_net::BridgeLink;
use jaco_runtime::container::{Network, label};

/// The bridges of a node.
pub(crate) fn bridges(fabric: &Fabric) -> Vec<BridgeLink> {
    fabric.networks.values().filter_map(bridge).collect()
}

/// Those of them that the engine has a network for. It makes the bridge before it tells of the network, so
/// that one of these that is not there was taken away. A network with other addresses than ours has another
/// bridge.
pub(crate) fn made(fabric: &Fabric, networks: &[Network]) -> Vec<BridgeLink> {
    let is_made = |id: &NetworkId, block: &str| {
        let name = NetworkSpec::engine_name(&id.deployment, &id.network);
        let is =
            |n: &Network| n.name == name && n.labels.get(label::SUBNET).is_some_and(|s| s == block);
        networks.iter().any(is)
    };
    let made = fabric.networks.iter().filter(|(id, network)| {
        network.local.as_ref().is_some_and(|local| is_made(id, &local.prefix.to_string()))
    });
    made.filter_map(|(_, network)| bridge(network)).collect()
}

fn bridge(network: &FabricNetwork) -> Option<BridgeLink> {
    let local = network.local.as_ref()?;
    let address = ipnet::IpNet::new(local.gateway, local.prefix.prefix_len()).ok()?;
    Some(BridgeLink { name: local.bridge.parse().ok()?, addresses: [address].into() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jaco_api::model::AssignedSubnet;

    use super::*;

    fn fabric() -> Fabric {
        let network = |block: &str, gateway: &str, bridge: &str| FabricNetwork {
            local: Some(AssignedSubnet {
                prefix: block.parse().unwrap(),
                gateway: gateway.parse().unwrap(),
                bridge: bridge.to_owned(),
            }),
            ..FabricNetwork::default()
        };
        let id = |network: &str| NetworkId {
            deployment: "shop".parse().unwrap(),
            network: network.parse().unwrap(),
        };
        Fabric {
            node: "n1".parse().unwrap(),
            index: 1,
            pools: ["10.244.0.0/16".parse().unwrap()].into(),
            service_pool: "10.245.0.0/16".parse().unwrap(),
            mesh_pool: "10.243.0.0/24".parse().unwrap(),
            mesh_address: None,
            mesh_key: None,
            members: BTreeMap::new(),
            networks: [
                (id("back"), network("10.244.1.0/24", "10.244.1.1", "jaco-b")),
                (id("elsewhere"), FabricNetwork::default()),
                (id("front"), network("10.244.0.0/24", "10.244.0.1", "jaco-f")),
            ]
            .into(),
            served: Default::default(),
            containers: BTreeMap::new(),
        }
    }

    fn network(name: &str, block: Option<&str>) -> Network {
        let label = |block: &str| (label::SUBNET.to_owned(), block.to_owned());
        let labels = block.map(label).into_iter().collect();
        Network { id: name.to_owned(), name: name.to_owned(), labels }
    }

    #[test]
    fn a_bridge_is_of_this_node_and_has_the_gateway_with_the_length_of_the_block() {
        let bridges = bridges(&fabric());
        let names: Vec<_> = bridges.iter().map(|bridge| bridge.name.as_str()).collect();
        assert_eq!(names, ["jaco-b", "jaco-f"]);
        assert_eq!(bridges[0].addresses, ["10.244.1.1/24".parse().unwrap()].into());
    }

    #[test]
    fn what_the_engine_has_no_network_with_these_addresses_for_is_not_made() {
        let made = |networks: &[Network]| -> Vec<String> {
            made(&fabric(), networks).iter().map(|bridge| bridge.name.to_string()).collect()
        };
        assert!(made(&[]).is_empty());
        let front = network("jaco_shop_front", Some("10.244.0.0/24"));
        assert_eq!(made(&[front, network("other", Some("10.244.1.0/24"))]), ["jaco-f"]);
        let former = network("jaco_shop_back", Some("10.244.9.0/24"));
        assert!(made(&[former, network("jaco_shop_front", None)]).is_empty());
    }
}

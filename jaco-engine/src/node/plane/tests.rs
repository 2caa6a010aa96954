use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use jaco_api::model::{
    AssignedSubnet, Fabric, FabricMember, FabricNetwork, FabricReplica, FabricService, MeshFacts,
    MeshKey, MeshKind, NetworkId, NetworkName, Protocol, Slot,
};
use jaco_net::{
    PeerStatus,
    dns::{Endpoint, Forwarders, Zone},
    testing::FakeMesh,
};

use super::{Mesh, Naming, endpoints, meshed, rules, tunnels};

fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn replica(address: &str, healthy: bool) -> FabricReplica {
    FabricReplica { node: parse("a"), address: Some(parse(address)), healthy, hostname: None }
}

/// Node `a` of two, with `shop/default` and `shop/back`, of which one container is in both.
fn fabric() -> Fabric {
    let network = |blocks: [&str; 2], gateway: &str, bridge: &str| FabricNetwork {
        local: Some(AssignedSubnet {
            prefix: parse(blocks[0]),
            gateway: parse(gateway),
            bridge: bridge.to_owned(),
        }),
        blocks: blocks.map(parse).into(),
        ..FabricNetwork::default()
    };
    let mut front = network(["10.244.0.0/24", "10.244.2.0/24"], "10.244.0.1", "jaco-0000000001");
    let web = FabricService {
        address: Some(parse("10.242.0.1")),
        replicas: [
            (Slot::Index(1), replica("10.244.0.2", true)),
            (Slot::Index(2), replica("10.244.2.2", false)),
            // Of an engine network from before there were blocks.
            (Slot::Index(3), replica("172.18.0.2", true)),
        ]
        .into(),
        ..FabricService::default()
    };
    front.services.insert(parse("web"), web);
    let back = FabricNetwork {
        internal: true,
        ..network(["10.244.1.0/24", "10.244.3.0/24"], "10.244.1.1", "jaco-0000000002")
    };
    let id = |name: &str| NetworkId { deployment: parse("shop"), network: parse(name) };
    let own = |name: &str, address: &str| (parse::<NetworkName>(name), parse(address));
    let member = FabricMember {
        mesh_address: Some(parse("10.243.0.2")),
        mesh: Some(MeshFacts {
            public_key: MeshKey([2; 32]),
            endpoint: parse("192.0.2.2:51820"),
            device: MeshKind::Kernel,
            reason: None,
        }),
        blocks: ["10.244.2.0/24", "10.244.3.0/24"].map(parse).into(),
    };
    Fabric {
        node: parse("a"),
        index: 1,
        pools: [parse("10.244.0.0/14")].into(),
        service_pool: parse("10.242.0.0/16"),
        mesh_pool: parse("10.243.0.0/16"),
        mesh_address: Some(parse("10.243.0.1")),
        mesh_key: Some(MeshKey([1; 32])),
        members: [(parse("b"), member)].into(),
        networks: [(id("back"), back), (id("default"), front)].into(),
        served: [(80, Protocol::Tcp)].into(),
        containers: BTreeMap::from([
            (parse("shop.web.1"), [own("default", "10.244.0.2"), own("back", "10.244.1.2")].into()),
            (parse("shop.old.1"), [own("default", "172.18.0.2"), own("back", "10.244.1.3")].into()),
        ]),
    }
}

#[test]
fn the_rules_are_those_of_the_picture_and_contradict_nothing() {
    let found = rules(&fabric(), Some(&Mesh::new(FakeMesh::default())));
    assert_eq!(found.ingress.iter().map(|i| i.port).collect::<Vec<_>>(), [80]);
    found.check().unwrap();
    assert_eq!((found.scopes.len(), found.bridges.len()), (2, 2));
    let internal: Vec<_> = found.bridges.values().map(|bridge| bridge.internal).collect();
    assert_eq!(internal, [false, true]);
    let healthy = &found.virtuals[&parse("10.242.0.1")];
    assert_eq!(healthy.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.244.0.2"]);
    assert_eq!(found.homes.len(), 1, "one address of the other one is not ours to translate");
    let link = found.mesh.unwrap();
    assert!(link.own.contains(&parse("10.243.0.1")) && link.members.contains(&parse("10.243.0.2")));
    assert_eq!(rules(&fabric(), None).mesh, None);
}

#[test]
fn a_member_is_a_peer_once_it_has_said_where_its_tunnels_end() {
    let mut fabric = fabric();
    let found = tunnels(&fabric, 51821, 1_380);
    found.check().unwrap();
    assert_eq!((found.listen_port, found.mtu), (51821, 1_380));
    assert_eq!(
        found.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["10.243.0.1/16"]
    );
    let allowed: Vec<_> =
        found.peers[&MeshKey([2; 32])].allowed.iter().map(ToString::to_string).collect();
    assert_eq!(allowed, ["10.243.0.2/32", "10.244.2.0/24", "10.244.3.0/24"]);
    assert_eq!(endpoints(&fabric).count(), 1);
    fabric.members.values_mut().for_each(|member| member.mesh = None);
    assert!(tunnels(&fabric, 51821, 1_380).peers.is_empty());
    assert_eq!(endpoints(&fabric).count(), 0);
}

#[test]
fn a_tunnel_is_told_of_by_the_name_of_its_member() {
    let mesh = Mesh::new(FakeMesh::default());
    let heard = PeerStatus {
        endpoint: Some(parse("198.51.100.2:51820")),
        last_handshake: Some(Duration::from_millis(1_500)),
        received: 7,
        sent: 9,
    };
    let held =
        BTreeMap::from([(MeshKey([2; 32]), heard), (MeshKey([9; 32]), PeerStatus::default())]);
    let told = meshed(Some(&fabric()), &mesh, MeshKey([1; 32]), &held);
    assert_eq!((told.public_key, told.listen_port), (MeshKey([1; 32]), 51820));
    assert_eq!(told.address, Some(parse("10.243.0.1")));
    let [b] = told.peers.as_slice() else { panic!("a peer that is no member: {told:?}") };
    assert_eq!((b.node.as_str(), b.handshake_ms, b.received, b.sent), ("b", Some(1_500), 7, 9));
    let unheard = meshed(Some(&fabric()), &mesh, MeshKey([1; 32]), &BTreeMap::new());
    assert_eq!((unheard.peers[0].handshake_ms, unheard.peers[0].endpoint), (None, None));
    assert!(meshed(None, &mesh, MeshKey([1; 32]), &held).peers.is_empty());
}

#[test]
fn names_lead_to_the_address_of_a_service_and_are_answered_on_every_gateway() {
    let fabric = fabric();
    let mut naming = Naming::from(Forwarders::Given(Vec::new()));
    naming.host.insert(parse("127.0.0.54:53"));
    let found = naming.names(&fabric);
    let asked: BTreeSet<IpAddr> = naming.listens(&fabric).iter().map(SocketAddr::ip).collect();
    assert_eq!(asked, found.bridges.keys().chain(&found.host).copied().collect());
    let web = &found.scopes.values().last().unwrap()[0];
    assert_eq!(web.endpoint, Endpoint::Vip(vec![parse("10.242.0.1")]));
    assert_eq!(web.replicas.iter().filter(|replica| replica.healthy).count(), 2);
    assert_eq!(found.containers.len(), 2);
    assert!(Zone::new(&found).left_out().is_empty());
}

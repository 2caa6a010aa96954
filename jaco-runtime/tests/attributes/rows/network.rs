//! How it is reached and what it reaches.

use super::{Row, Thing, row, since, thing, top};

pub(super) const NETWORK: &[Row] = &[
    row(
        &["services.*.network_mode"],
        "network_mode: none",
        &[("/HostConfig/NetworkMode", r#""none""#)],
    ),
    row(&["services.*.hostname"], "hostname: here", &[("/Config/Hostname", r#""here""#)]),
    row(
        &["services.*.domainname"],
        "domainname: d.example",
        &[("/Config/Domainname", r#""d.example""#)],
    ),
    row(
        &["services.*.expose"],
        "expose: [80, '90/udp']",
        &[("/Config/ExposedPorts", r#"{"80/tcp":{},"90/udp":{}}"#)],
    ),
    row(
        &["services.*.extra_hosts"],
        "extra_hosts: ['a=10.0.0.1', 'b=host-gateway']",
        &[("/HostConfig/ExtraHosts", r#"["a:10.0.0.1","b:host-gateway"]"#)],
    ),
    row(&["services.*.dns"], "dns: [10.0.0.53]", &[("/HostConfig/Dns", r#"["10.0.0.53"]"#)]),
    row(
        &["services.*.dns_search"],
        "dns_search: a.example",
        &[("/HostConfig/DnsSearch", r#"["a.example"]"#)],
    ),
    row(
        &["services.*.dns_opt"],
        "dns_opt: ['ndots:1']",
        &[("/HostConfig/DnsOptions", r#"["ndots:1"]"#)],
    ),
    row(
        &["services.*.container_name"],
        "container_name: other",
        &[("/NetworkSettings/Networks/jaco_attr_default/Aliases/1", r#""other""#)],
    ),
    top(
        row(
            &[
                "services.*.networks.*.aliases",
                "services.*.networks.*.driver_opts",
                "networks.*.driver",
            ],
            "networks: {front: {aliases: [www], driver_opts: {com.example.a: b}}}",
            &[
                ("/NetworkSettings/Networks/jaco_attr_front/Aliases/0", r#""web""#),
                ("/NetworkSettings/Networks/jaco_attr_front/Aliases/1", r#""www""#),
                (
                    "/NetworkSettings/Networks/jaco_attr_front/DriverOpts",
                    r#"{"com.example.a":"b"}"#,
                ),
            ],
        ),
        "networks: {front: {driver: bridge}}",
    ),
    since(
        "1.49",
        top(
            row(
                &["services.*.networks.*.gw_priority", "services.*.networks.*.interface_name"],
                "networks: {front: {gw_priority: 7, interface_name: front0}, back: }",
                &[
                    ("/NetworkSettings/Networks/jaco_attr_front/GwPriority", "7"),
                    (
                        "/NetworkSettings/Networks/jaco_attr_front/DriverOpts",
                        r#"{"com.docker.network.endpoint.ifname":"front0"}"#,
                    ),
                    ("/NetworkSettings/Networks/jaco_attr_back/GwPriority", "0"),
                ],
            ),
            "networks: {front: {driver: bridge}, back: }",
        ),
    ),
    top(
        row(
            &["services.*.networks.*.priority"],
            "networks: {back: {priority: 1}, front: {priority: 2}}",
            &[
                ("/HostConfig/NetworkMode", r#""jaco_attr_front""#),
                ("/NetworkSettings/Networks/jaco_attr_back/Aliases/0", r#""web""#),
            ],
        ),
        "networks: {front: , back: }",
    ),
    thing(
        &["networks.*.internal", "networks.*.labels", "networks.*.driver_opts"],
        "networks: [quiet]",
        "networks: {quiet: {internal: true, labels: {a: b}, driver_opts: {com.docker.network.driver.mtu: 1400}}}",
        Thing {
            kind: "network",
            name: "jaco_attr_quiet",
            seen: &[
                ("/Internal", "true"),
                ("/Driver", r#""bridge""#),
                ("/Labels/a", r#""b""#),
                ("/Options/com.docker.network.driver.mtu", r#""1400""#),
            ],
        },
    ),
    thing(
        &["volumes.*.name", "volumes.*.driver", "volumes.*.driver_opts", "volumes.*.labels"],
        "volumes: ['data:/data']",
        "volumes: {data: {name: jaco_attr_own, driver: local, driver_opts: {type: tmpfs, device: tmpfs, o: size=1m}, labels: {a: b}}}",
        Thing {
            kind: "volume",
            name: "jaco_attr_own",
            seen: &[
                ("/Driver", r#""local""#),
                ("/Options", r#"{"device":"tmpfs","o":"size=1m","type":"tmpfs"}"#),
                ("/Labels/a", r#""b""#),
            ],
        },
    ),
];

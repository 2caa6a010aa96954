//! How a service is reached and what it reaches.

use super::ServiceDraft;
use crate::manifest::{
    compose::{attach, host, ports},
    fields::{Attribute, accepted},
    values,
};

/// Attributes of the network.
pub(super) const NETWORK: &[Attribute<ServiceDraft>] = &[
    accepted(
        "networks",
        "The networks it is on: names, or names with options. Without it `default`. jaco.yaml's `networks` replaces it.",
        |s, n, r| s.networks = attach::decode(n, r),
    ),
    accepted(
        "network_mode",
        "`none`: no network at all. `service:<name>`: that of another service, beside whose replicas its own are. `bridge` is accepted with a notice; `host` is refused.",
        attach::network_mode,
    ),
    accepted(
        "ports",
        "Ports every node opens for the service, as `8080:80[/udp]`, or the long form. 80 and 443 belong to routes.",
        |s, n, r| s.ports = ports::decode(n, r),
    ),
    accepted(
        "expose",
        "Ports the container listens on, for documentation: numbers or ranges, with `/udp` or not.",
        |s, n, r| s.spec.expose = ports::expose(n, r),
    ),
    accepted("hostname", "Host name in the container; without it its id.", |s, n, r| {
        s.spec.hostname = host::name(n, r)
    }),
    accepted("domainname", "Domain of that host name.", |s, n, r| {
        s.spec.domainname = host::name(n, r)
    }),
    accepted(
        "extra_hosts",
        "Further lines of `/etc/hosts`: `host=address` in a list, or a mapping. `host-gateway` is the host's address.",
        |s, n, r| s.spec.extra_hosts = host::extra_hosts(n, r),
    ),
    accepted(
        "dns",
        "Name servers instead of the cluster's: one address or a list. Names of services are not found through them.",
        |s, n, r| s.spec.dns = host::dns(n, r),
    ),
    accepted(
        "dns_search",
        "Domains that short names are looked up in; one or a list.",
        |s, n, r| {
            s.spec.dns_search = values::string_or_list(n, r).unwrap_or_default();
        },
    ),
    accepted("dns_opt", "Options of the resolver, as `ndots:1`.", |s, n, r| {
        s.spec.dns_opt = values::string_list(n, r).unwrap_or_default();
    }),
];

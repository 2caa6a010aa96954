use jaco_api::model::{
    CertificatePhase, CertificateSource, Listener, Node, NodeRoutes, ReplicaState, RouteMatch,
    RouteSpec, ServedDomain, ServedRoute, ServedUpstream, Timestamp, TlsMode,
};
use jaco_ingress::{
    Domain,
    acme::phase::{Attempt, Phase, Row},
};

use super::{certificates, serving};
use crate::{
    command::{AdvanceIssuance, Command, ImportCertificate},
    state::Issuance,
    testing::builders::{Scenario, Stack, certificate, name},
};

const SHOP: &str = "shop.example.com";

fn secured(deployment: &str, domain: &str, tls: TlsMode) -> Command {
    let mut command = Stack::new(deployment).service("web", "web:1", 1).command();
    command.routes.push(RouteSpec {
        domain: domain.to_owned(),
        path: "/".to_owned(),
        service: name("web"),
        port: 80,
        tls,
        options: Default::default(),
    });
    Command::ApplyDeployment(Box::new(command))
}

fn import(s: &mut Scenario, domain: &str) {
    let certificate = certificate(domain, CertificateSource::Imported);
    s.run(Command::ImportCertificate(Box::new(ImportCertificate { certificate })));
}

fn shown(s: &Scenario) -> Vec<String> {
    let row = |c: jaco_api::model::CertificateSummary| {
        let users: Vec<_> = c.deployments.iter().map(ToString::to_string).collect();
        format!("{} {} [{}] {}", c.domain, c.phase, users.join(","), c.reason.unwrap_or_default())
    };
    certificates(&s.state).into_values().map(row).collect()
}

#[test]
fn every_domain_says_where_it_is_on_the_way_to_its_certificate() {
    let mut s = Scenario::new();
    s.run(secured("shop", SHOP, TlsMode::Auto));
    s.run(secured("blog", "blog.example.com", TlsMode::Imported("*.example.com".to_owned())));
    s.run(secured("wiki", "wiki.example.com", TlsMode::Off));
    let hint = "nobody has imported it: `jaco cert import *.example.com --cert FILE --key FILE` puts one in place";
    assert_eq!(
        shown(&s),
        [
            format!("*.example.com missing [blog] {hint}"),
            format!("{SHOP} pending [shop] the leader has not begun yet"),
        ]
    );
    import(&mut s, "*.example.com");
    import(&mut s, "spare.example.com");
    let mut row = Row::new(Timestamp(0));
    (row.phase, row.attempt, row.failures) = (Phase::Failed, 3, 3);
    (row.retry, row.deadline) = (Some(Attempt::Promoting), Timestamp(600_000));
    row.reason = Some("rateLimited: too many".to_owned());
    let issuance = Issuance { domain: name(SHOP), row, challenges: Vec::new(), version: 0 };
    let step = AdvanceIssuance { issuance, certificate: None };
    s.run(Command::AdvanceIssuance(Box::new(step)));
    assert_eq!(
        shown(&s),
        [
            "*.example.com imported [blog] ".to_owned(),
            format!("{SHOP} failed [shop] rateLimited: too many"),
            "spare.example.com imported [] ".to_owned(),
        ]
    );
    let all = certificates(&s.state);
    let failed = &all[SHOP];
    assert_eq!((failed.attempts, failed.next_at), (3, Some(Timestamp(600_000))));
    for (domain, row) in &all {
        assert_eq!(super::certificate(&s.state, domain).as_ref(), Some(row), "{domain}");
    }
    assert_eq!(super::certificate(&s.state, "wiki.example.com"), None);
    assert_eq!(all["spare.example.com"].phase, CertificatePhase::Imported);
    import(&mut s, SHOP);
    let imported = super::certificate(&s.state, SHOP).unwrap();
    assert_eq!(imported.phase, CertificatePhase::Imported, "an import takes its place");
}

fn listener(name: &str, closed: Option<&str>) -> Listener {
    Listener { name: name.to_owned(), closed: closed.map(str::to_owned) }
}

/// The shop with a running replica, and what a node that is up to date says of it.
fn running() -> (Scenario, Node, ServedDomain) {
    let mut s = Scenario::new();
    s.run(secured("shop", SHOP, TlsMode::Auto));
    let id = s.create("shop", "web", 1).remove(0);
    let generation = s.replica(&id).generation;
    let observation = jaco_api::model::Observation {
        generation,
        state: ReplicaState::Running,
        addresses: [("default".parse().unwrap(), "10.244.0.2".parse().unwrap())].into(),
        ..Default::default()
    };
    s.report(&id, Some(observation));
    let node = s.state.nodes().next().unwrap().as_ref().clone();
    let upstream = ServedUpstream {
        replica: id,
        node: node.name.clone(),
        address: "10.244.0.2:80".parse().unwrap(),
        draining: false,
        passed_over: false,
        in_flight: 0,
    };
    let route = ServedRoute {
        path: "/".to_owned(),
        deployment: name("shop"),
        service: name("web"),
        in_flight: 0,
        upstreams: vec![upstream],
    };
    let listeners = vec![listener("http", None), listener("5432/tcp", Some("in use"))];
    let served = ServedDomain { listeners, routes: vec![route], leaf: None };
    (s, node, served)
}

fn compared(s: &Scenario, node: &Node, served: &ServedDomain) -> NodeRoutes {
    serving::compare(node, &serving::to_serve(&s.state, node, SHOP), served.clone())
}

#[test]
fn what_a_node_serves_is_compared_with_what_is_stored() {
    let (mut s, node, served) = running();
    let found = compared(&s, &node, &served);
    assert_eq!((found.matches, found.differences), (RouteMatch::Current, Vec::new()));
    let differ = |s: &Scenario, change: &dyn Fn(&mut ServedDomain)| {
        let mut other = served.clone();
        change(&mut other);
        let found = compared(s, &node, &other);
        (found.matches, found.differences.join("; "))
    };
    let stale = |text: &str| (RouteMatch::Stale, text.to_owned());
    let missing = |text: &str| (RouteMatch::Missing, text.to_owned());
    let lacking = differ(&s, &|d| d.routes[0].upstreams.clear());
    assert_eq!(lacking, stale("/ does not lead to shop.web.1 yet"));
    let moved = differ(&s, &|d| d.routes[0].upstreams[0].address.set_port(81));
    assert_eq!(moved, stale("/ leads to shop.web.1 at 10.244.0.2:81, which is at 10.244.0.2:80"));
    let old = differ(&s, &|d| d.routes[0].upstreams[0].replica = name("shop.web.7"));
    assert_eq!(old, stale("/ still leads to shop.web.7; / does not lead to shop.web.1 yet"));
    let draining = differ(&s, &|d| d.routes[0].upstreams[0].draining = true);
    assert_eq!(draining, stale("/ takes shop.web.1 for draining"));
    let other = differ(&s, &|d| d.routes[0].service = name("api"));
    assert_eq!(other, stale("/ leads to shop/api"));
    let more = differ(&s, &|d| {
        d.routes.push(ServedRoute { path: "/old".to_owned(), ..d.routes[0].clone() });
    });
    assert_eq!(more, stale("/old of shop/web is still served"));
    assert_eq!(differ(&s, &|d| d.routes.clear()), missing("/ is not served"));
    let busy = differ(&s, &|d| {
        d.listeners[0] = listener("http", Some("Address already in use"));
    });
    assert_eq!(busy, missing("http is not open: Address already in use"));
    assert_eq!(differ(&s, &|d| d.listeners.clear()).0, RouteMatch::Missing);

    import(&mut s, SHOP);
    let stored = s.state.certificates().find(&name::<Domain>(SHOP)).unwrap().fingerprint;
    let text = format!("no certificate is shown, {} is stored", stored.short());
    assert_eq!(differ(&s, &|_| ()), stale(&text));
    let current = differ(&s, &|d| d.leaf = Some(stored));
    assert_eq!(current, (RouteMatch::Current, String::new()));
    let older = jaco_api::model::Digest::of(b"older");
    let text = format!("certificate {} is shown, {} is stored", older.short(), stored.short());
    assert_eq!(differ(&s, &|d| d.leaf = Some(older)), stale(&text));
    let detail = serving::stored_routes(&s.state, SHOP).unwrap();
    assert_eq!(detail.certificate.unwrap().phase, CertificatePhase::Imported);
    assert_eq!(serving::stored_routes(&s.state, "nope.example.com"), None);
}

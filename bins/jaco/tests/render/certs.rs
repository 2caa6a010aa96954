//! What the commands for certificates and routes print.

use std::fs;

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{
        CertificatePhase, CertificateSource, CertificateSummary, Digest, Listener, NodeRoutes,
        RouteMatch, ServedCertificate, ServedDomain, ServedRoute, ServedUpstream,
    },
};
use jaco_client::testing::FakeCluster;

use super::{NOW, Timestamp, ago, said, shop};

const fn later(seconds: u64) -> Timestamp {
    Timestamp(NOW.0 + seconds * 1000)
}

fn row(domain: &str, phase: CertificatePhase) -> CertificateSummary {
    CertificateSummary {
        domain: domain.into(),
        phase,
        deployments: vec!["shop".parse().unwrap()],
        certificate: None,
        next_at: None,
        attempts: 0,
        failures: 0,
        reason: None,
    }
}

fn served(source: CertificateSource, not_after: Timestamp) -> Option<ServedCertificate> {
    Some(ServedCertificate {
        source,
        names: vec!["shop.example".into()],
        issuer: "CN=Example CA".into(),
        not_before: Timestamp(0),
        not_after,
        fingerprint: Digest::of(b"leaf"),
    })
}

/// The shop with a certificate in every state that says something.
fn secured() -> FakeCluster {
    let fake = shop();
    let month = 30 * 86_400;
    let issued = CertificateSummary {
        certificate: served(CertificateSource::Acme, later(2 * month)),
        next_at: Some(later(month)),
        attempts: 1,
        ..row("shop.example", CertificatePhase::Issued)
    };
    let failed = CertificateSummary {
        next_at: Some(later(90)),
        attempts: 3,
        failures: 3,
        reason: Some("urn:ietf:params:acme:error:dns: no A record for api.shop.example".into()),
        ..row("api.shop.example", CertificatePhase::Failed)
    };
    let over = CertificateSummary {
        certificate: served(CertificateSource::Imported, ago(60)),
        deployments: Vec::new(),
        ..row("old.example", CertificatePhase::Imported)
    };
    let missing = CertificateSummary {
        reason: Some("nobody has imported it: `jaco cert import own --cert FILE --key FILE` puts one in place".into()),
        ..row("own", CertificatePhase::Missing)
    };
    fake.edit(|t| {
        for row in [issued, failed, over, missing] {
            t.certificates.insert(row.domain.clone(), row.into());
        }
    });
    fake
}

#[tokio::test]
async fn certificates_are_listed_with_what_is_wrong_with_them() {
    let fake = secured();
    let list = said(&fake, &["cert", "list"]).await;
    insta::assert_snapshot!("certs", list);
    assert_eq!(said(&fake, &["get", "certs"]).await, list);
    insta::assert_snapshot!("certs_json", said(&fake, &["cert", "list", "-o", "json"]).await);
    insta::assert_snapshot!("certs_in_status", said(&fake, &["status"]).await);
    insta::assert_snapshot!(
        "certs_in_status_yaml",
        said(&fake, &["status", "shop", "-o", "yaml"]).await
    );
    insta::assert_snapshot!("routes", said(&fake, &["get", "routes"]).await);
    insta::assert_snapshot!("routes_json", said(&fake, &["get", "routes", "-o", "json"]).await);
}

#[tokio::test]
async fn a_certificate_is_imported_renewed_and_removed() {
    let fake = shop();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (cert, key) = (file("cert.pem", "CERTIFICATE"), file("key.pem", "KEY"));
    let import = ["cert", "import", "shop.example", "--cert", &cert, "--key", &key];
    insta::assert_snapshot!("cert_import", said(&fake, &import).await);
    assert_eq!(fake.calls(), ["import shop.example 11 3"]);
    insta::assert_snapshot!("cert_import_again", said(&fake, &import).await);
    fake.edit(|t| t.certificates.clear());
    let json = [&import[..], &["-o", "json"]].concat();
    insta::assert_snapshot!("cert_import_json", said(&fake, &json).await);
    let renew = ["cert", "renew", "shop.example"];
    insta::assert_snapshot!("cert_renew", said(&fake, &renew).await);
    insta::assert_snapshot!("cert_renew_again", said(&fake, &renew).await);
    let remove = ["cert", "remove", "shop.example"];
    insta::assert_snapshot!("cert_remove", said(&fake, &remove).await);
    insta::assert_snapshot!("cert_remove_again", said(&fake, &remove).await);
}

#[tokio::test]
async fn what_is_refused_of_a_certificate_says_what_to_do() {
    let fake = shop();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("any.pem");
    fs::write(&path, "any").unwrap();
    let any = path.to_str().unwrap();
    let refusals = [
        (
            "the private key is not the one of the first certificate",
            "give the key with which this certificate was requested",
        ),
        ("the certificate expired at 1970-01-01T23:59:00Z", "give a newer certificate"),
        (
            "the certificate is not for shop.example but for blog.example",
            "give a certificate that has the domain among its subject alternative names",
        ),
    ];
    let import = ["cert", "import", "shop.example", "--cert", any, "--key", any];
    let mut all = String::new();
    for (message, hint) in refusals {
        let refusal = ApiError::new(ErrorCode::ValidationFailed, message);
        fake.refuse(refusal.with("domain", "shop.example").with("hint", hint));
        all.push_str(&said(&fake, &import).await);
    }
    let used =
        ApiError::new(ErrorCode::Conflict, "the certificate for shop.example is used by shop");
    fake.refuse(
        used.with("used_by", "shop").with("hint", "apply the deployments without it first"),
    );
    all.push_str(&said(&fake, &["cert", "remove", "shop.example"]).await);
    let imported =
        ApiError::new(ErrorCode::Conflict, "the certificate for shop.example was imported");
    fake.refuse(
        imported.with("hint", "`jaco cert import shop.example` puts another one in its place"),
    );
    all.push_str(&said(&fake, &["cert", "renew", "shop.example"]).await);
    let unreadable = ["cert", "import", "a.example", "--cert", "/nonexistent/c.pem", "--key", any];
    all.push_str(&said(&fake, &unreadable).await);
    let twice = ["cert", "import", "a.example", "--cert", "-", "--key", "-"];
    all.push_str(&said(&fake, &twice).await);
    insta::assert_snapshot!(all);
}

fn upstream(replica: &str, node: &str) -> ServedUpstream {
    ServedUpstream {
        replica: replica.parse().unwrap(),
        node: node.parse().unwrap(),
        address: "10.244.0.2:8080".parse().unwrap(),
        draining: false,
        passed_over: false,
        in_flight: 2,
    }
}

fn listener(name: &str, closed: Option<&str>) -> Listener {
    Listener { name: name.into(), closed: closed.map(str::to_owned) }
}

fn told(
    node: &str,
    matches: RouteMatch,
    differences: &[&str],
    served: Option<ServedDomain>,
) -> NodeRoutes {
    NodeRoutes {
        node: node.parse().unwrap(),
        matches,
        differences: differences.iter().map(|d| (*d).to_owned()).collect(),
        served,
    }
}

#[tokio::test]
async fn a_route_is_shown_beside_what_every_node_serves() {
    let fake = secured();
    let route = ServedRoute {
        path: "/".into(),
        deployment: "shop".parse().unwrap(),
        service: "web".parse().unwrap(),
        in_flight: 3,
        upstreams: vec![
            upstream("shop.web.1", "node-a"),
            ServedUpstream { passed_over: true, in_flight: 0, ..upstream("shop.web.2", "node-b") },
        ],
    };
    let open = ServedDomain {
        listeners: vec![listener("http", None), listener("https", None)],
        routes: vec![route],
        leaf: Some(Digest::of(b"leaf")),
    };
    let old = ServedDomain { leaf: Some(Digest::of(b"old")), ..open.clone() };
    let busy = Some("Address already in use (os error 98)");
    let closed =
        ServedDomain { listeners: vec![listener("http", busy)], ..ServedDomain::default() };
    let nodes = [
        told("node-a", RouteMatch::Current, &[], Some(open)),
        told(
            "node-b",
            RouteMatch::Stale,
            &["certificate cba06b5736fa is shown, 9f91161f4343 is stored"],
            Some(old),
        ),
        told(
            "node-c",
            RouteMatch::Missing,
            &["http is not open: Address already in use (os error 98)", "/ is not served"],
            Some(closed),
        ),
        told("node-d", RouteMatch::NotReached, &["node node-d has not answered within 2 s"], None),
    ];
    fake.edit(|t| t.served = nodes.map(Into::into).into());
    let route = ["get", "route", "shop.example"];
    insta::assert_snapshot!("route", said(&fake, &route).await);
    let json = [&route[..], &["-o", "json"]].concat();
    insta::assert_snapshot!("route_json", said(&fake, &json).await);
}

#[tokio::test]
async fn a_node_says_which_of_its_listeners_are_open() {
    let fake = FakeCluster::default();
    fake.edit(|t| {
        t.nodes = vec![super::members::node_b()];
        let busy = Some("Address already in use (os error 98)");
        t.listeners = [listener("5432/tcp", None), listener("http", None), listener("https", busy)]
            .map(Into::into)
            .into();
    });
    let inspect = ["node", "inspect", "node-b"];
    insta::assert_snapshot!("listeners", said(&fake, &inspect).await);
    fake.edit(|t| t.silent = Some("node node-b has not answered within 2 s".into()));
    insta::assert_snapshot!("listeners_silent", said(&fake, &inspect).await);
}

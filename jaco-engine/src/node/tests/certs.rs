//! Routes and certificates of one's own, over the API of two nodes.

use jaco_api::model::{CertificatePhase, Listener, NodeRoutes, RouteDetail, RouteMatch};
use jaco_client::{Apply, ImportCert};
use rcgen::{CertificateParams, KeyPair};

use super::{super::IngressOptions, deploying::stack, *};

const DOMAIN: &str = "shop.example.com";

async fn begin(dir: &Path, name: &str) -> Node {
    let config = NodeConfig::new(dir.join("data")).named(name.parse().unwrap());
    let any = Some("127.0.0.1:0".parse().unwrap());
    Node::builder(config)
        .shared_runtime(Arc::new(FakeRuntime::new()))
        .ingress(IngressOptions { http: any, https: any, ..IngressOptions::default() })
        .start()
        .await
        .unwrap()
}

/// A certificate of this name from 1975 to 4096, and its key.
fn made(domain: &str) -> ImportCert {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([domain.to_owned()]).unwrap();
    let chain = params.self_signed(&key).unwrap().pem();
    ImportCert { domain: domain.to_owned(), chain, key: key.serialize_pem() }
}

/// Where visitors are served.
fn open() -> [Listener; 2] {
    ["http", "https"].map(|name| Listener { name: name.to_owned(), closed: None })
}

fn routed(tls: &str) -> Apply {
    let jaco = format!(
        "deployment: shop\nroutes:\n  - domain: {DOMAIN}\n    service: web\n    port: 80\n    tls: {tls}\n"
    );
    Apply { jaco, ..stack("hello", 1) }
}

/// Waits until every node says of the domain what is wanted.
async fn served(client: &Client, what: &str, wanted: impl Fn(&NodeRoutes) -> bool) -> RouteDetail {
    eventually(client, what, |client| {
        let wanted = &wanted;
        async move {
            let detail = client.route(DOMAIN).await.unwrap();
            detail.nodes.iter().all(wanted).then_some(detail)
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_one_s_own_is_imported_listed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let node = begin(dir.path(), "node-a").await;
    node.init(&"admin".parse().unwrap()).await.unwrap();
    let client = node.client();
    client.apply(routed(DOMAIN)).await.unwrap();
    let [missing] = client.certs(None).await.unwrap().try_into().unwrap();
    assert_eq!((&*missing.domain, missing.phase), (DOMAIN, CertificatePhase::Missing));
    assert_eq!(missing.deployments, ["shop"]);

    let wrong = ImportCert { key: made(DOMAIN).key, ..made(DOMAIN) };
    let Err(Error::Api(refused)) = client.import_cert(&wrong).await else { panic!("accepted") };
    assert_eq!(refused.code, ErrorCode::ValidationFailed);
    assert!(refused.details["hint"].contains("key"), "{refused:?}");
    let own = made(DOMAIN);
    let first = client.import_cert(&own).await.unwrap();
    assert_eq!((first.changed, first.certificate.phase), (true, CertificatePhase::Imported));
    let again = client.import_cert(&own).await.unwrap();
    assert_eq!((again.changed, &again.certificate), (false, &first.certificate));
    assert_eq!(client.certs(None).await.unwrap(), std::slice::from_ref(&first.certificate));
    let view = client.status(&jaco_client::StatusQuery::default()).await.unwrap();
    assert_eq!(view.certificate(DOMAIN), Some(&first.certificate));
    let nobody = "blog".parse().unwrap();
    assert_eq!(client.certs(Some(&nobody)).await.unwrap(), []);
    let detail = client.route(DOMAIN).await.unwrap();
    assert_eq!(detail.stored.certificate, Some(first.certificate));

    assert_eq!(code(client.renew_cert(DOMAIN).await), ErrorCode::Conflict);
    assert_eq!(code(client.renew_cert("x.example.com").await), ErrorCode::CertificateNotFound);
    assert_eq!(code(client.renew_cert("not a domain").await), ErrorCode::ValidationFailed);
    let Err(Error::Api(used)) = client.remove_cert(DOMAIN).await else { panic!("removed") };
    assert_eq!((used.code, &*used.details["used_by"]), (ErrorCode::Conflict, "shop"));
    client.apply(routed("off")).await.unwrap();
    client.remove_cert(DOMAIN).await.unwrap();
    assert_eq!(code(client.remove_cert(DOMAIN).await), ErrorCode::CertificateNotFound);
    assert_eq!(client.certs(None).await.unwrap(), []);
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_is_shown_as_every_node_serves_it() {
    let dirs = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (a, b) = (begin(dirs.0.path(), "a").await, begin(dirs.1.path(), "b").await);
    a.init(&"admin".parse().unwrap()).await.unwrap();
    let client = a.client();
    let issued = client.issue_join_token(None).await.unwrap();
    b.client().join(&issued.peer, &issued.token).await.unwrap();
    assert_eq!(code(client.route(DOMAIN).await), ErrorCode::RouteNotFound);
    client.apply(routed("off")).await.unwrap();
    let detail = served(&client, "both serve it", |node| {
        node.matches == RouteMatch::Current && !node.served.as_ref().unwrap().routes.is_empty()
    })
    .await;
    let names: Vec<_> = detail.nodes.iter().map(|node| node.node.to_string()).collect();
    assert_eq!(names, ["a", "b"]);
    for node in &detail.nodes {
        let served = node.served.as_ref().unwrap();
        assert_eq!(served.listeners, open());
        assert_eq!(served.routes[0].service.as_str(), "web");
    }
    let listeners = client.node(&"b".parse().unwrap()).await.unwrap().listeners.unwrap();
    assert_eq!(listeners, open());
    client.apply(routed(DOMAIN)).await.unwrap();
    let imported = client.import_cert(&made(DOMAIN)).await.unwrap().certificate;
    let stored = imported.certificate.unwrap().fingerprint;
    served(&client, "both show it", |node| {
        let shown = node.served.as_ref().and_then(|served| served.leaf);
        node.matches == RouteMatch::Current && shown == Some(stored)
    })
    .await;
    b.shutdown().await.unwrap();
    let detail = client.route(DOMAIN).await.unwrap();
    assert_eq!(detail.nodes[1].matches, RouteMatch::NotReached, "{detail:#?}");
    assert!(!detail.nodes[1].differences.is_empty());
    let b = client.node(&"b".parse().unwrap()).await.unwrap();
    assert!(b.listeners.is_none() && b.listeners_unknown.is_some(), "{b:?}");
}

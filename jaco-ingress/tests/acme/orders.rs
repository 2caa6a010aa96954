//! Orders that go well, and those that the CA refuses.

use jaco_ingress::{
    acme::{AcmeError, OrderRequest, challenge::ChallengeKind, phase::FailureKind},
    tls::check_certificate,
};

use crate::lab::{EXTERNAL_KEY, Lab, Options, domain, external, now};

fn request(domain: &jaco_ingress::Domain, challenge: ChallengeKind) -> OrderRequest<'_> {
    OrderRequest { domain, challenge, replaces: None, resume: None }
}

#[tokio::test]
async fn each_way_leads_to_a_certificate_and_leaves_nothing_behind() {
    let Some(lab) = Lab::start(Options::default()).await else { return };
    let account = lab.account().await;
    for (name, kind) in [
        ("shop.example", ChallengeKind::Http01),
        ("alpn.example", ChallengeKind::TlsAlpn01),
        ("dns.example", ChallengeKind::Dns01),
        ("*.shop.example", ChallengeKind::Dns01),
    ] {
        let domain = domain(name);
        let obtained =
            lab.client().obtain(&account, request(&domain, kind), &*lab.node).await.unwrap();
        let certificate = &obtained.certificate;
        let checked =
            check_certificate(&certificate.chain, &certificate.key, &domain, now()).unwrap();
        assert_eq!(checked.names, [name]);
        assert_eq!(checked.validity, obtained.validity);
        assert!(
            lab.node.published.lock().unwrap().is_empty(),
            "{name}: what was published is gone"
        );
        let left = lab.node.dns.lookup("_acme-challenge.shop.example");
        assert!(left.is_empty(), "{left:?}");
    }
}

#[tokio::test]
async fn refused_nonces_end_no_attempt() {
    let moody = Options { rejected_nonces: 33, ..Options::default() };
    let Some(lab) = Lab::start(moody).await else { return };
    let account = lab.account().await;
    for number in 1..=8 {
        let domain = domain(&format!("moody{number}.example"));
        let asked = request(&domain, ChallengeKind::Http01);
        lab.client().obtain(&account, asked, &*lab.node).await.unwrap();
        assert_eq!(lab.node.orders.lock().unwrap().len(), number, "no order is placed anew");
        assert!(lab.node.published.lock().unwrap().is_empty());
    }
    assert_eq!(lab.certificates(), 8);
}

#[tokio::test]
async fn a_wildcard_has_no_http_challenge_and_that_is_said() {
    let Some(lab) = Lab::start(Options::default()).await else { return };
    let account = lab.account().await;
    let domain = domain("*.shop.example");
    let asked = request(&domain, ChallengeKind::Http01);
    let error = lab.client().obtain(&account, asked, &*lab.node).await.unwrap_err();
    assert!(matches!(&error, AcmeError::NoChallenge { wanted: "http-01", .. }), "{error}");
    assert_eq!(error.failure().kind, FailureKind::Refused);
}

#[tokio::test]
async fn a_refusal_has_the_ca_s_own_words() {
    let Some(lab) = Lab::start(Options::default()).await else { return };
    let account = lab.account().await;

    let blocked = domain("blocked.example");
    let asked = request(&blocked, ChallengeKind::Http01);
    let error = lab.client().obtain(&account, asked, &*lab.node).await.unwrap_err();
    let AcmeError::Refused { operation, kind, detail, .. } = &error else { panic!("{error:?}") };
    assert_eq!(
        (*operation, kind.as_str()),
        ("place an order", "urn:ietf:params:acme:error:rejectedIdentifier")
    );
    assert!(detail.contains("blocked.example"), "{detail}");

    lab.node.lies.store(true, std::sync::atomic::Ordering::Relaxed);
    for kind in [ChallengeKind::Http01, ChallengeKind::TlsAlpn01, ChallengeKind::Dns01] {
        let domain = domain("liar.example");
        let error =
            lab.client().obtain(&account, request(&domain, kind), &*lab.node).await.unwrap_err();
        let AcmeError::Refused { operation, kind: problem, detail, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(*operation, "prove the domain");
        assert!(problem.starts_with("urn:ietf:params:acme:error:"), "{problem}");
        assert!(!detail.is_empty());
        let failure = error.failure();
        assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
        assert!(failure.reason.contains(problem) && failure.reason.contains(detail.as_str()));

        let resume = lab.node.last_order();
        let again = OrderRequest { resume, ..request(&domain, kind) };
        let error = lab.client().obtain(&account, again, &*lab.node).await.unwrap_err();
        assert_eq!(
            error.failure().kind,
            FailureKind::Refused,
            "a dead order stays dead: {error:?}"
        );
    }
}

#[tokio::test]
async fn an_account_is_bound_to_one_elsewhere() {
    let Some(lab) = Lab::start(Options { external: true, ..Options::default() }).await else {
        return;
    };
    let client = lab.client();
    let without = client.register(None, None).await.unwrap_err();
    let kind = "urn:ietf:params:acme:error:externalAccountRequired";
    assert!(matches!(&without, AcmeError::Refused { kind: k, .. } if k == kind), "{without:?}");
    let wrong = external("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let wrong = client.register(None, Some(&wrong)).await.unwrap_err();
    assert_eq!(wrong.failure().kind, FailureKind::Refused, "{wrong:?}");
    let no_key = client.register(None, Some(&external("no base64!"))).await.unwrap_err();
    assert!(matches!(no_key, AcmeError::Input { .. }), "{no_key:?}");
    let account =
        client.register(Some("ops@example.com"), Some(&external(EXTERNAL_KEY))).await.unwrap();

    let domain = domain("eab.example");
    let asked = request(&domain, ChallengeKind::Http01);
    lab.client().obtain(&account, asked, &*lab.node).await.unwrap();
}

#[tokio::test]
async fn an_account_that_the_ca_has_forgotten_is_told() {
    let Some(lab) = Lab::start(Options::default()).await else { return };
    let account = lab.account().await;
    let port = lab.directory.clone();
    let Some(other) = Lab::start(Options::default()).await else { return };
    let moved =
        account.replace(port.trim_end_matches("/dir"), other.directory.trim_end_matches("/dir"));
    let domain = domain("shop.example");
    let asked = request(&domain, ChallengeKind::Http01);
    let error = other.client().obtain(&moved, asked.clone(), &*other.node).await.unwrap_err();
    assert!(error.account_is_gone(), "{error:?}");
    let error = other.client().obtain(&account, asked, &*other.node).await.unwrap_err();
    assert!(matches!(error, AcmeError::Input { .. }), "another CA's account: {error:?}");
}

use jaco_api::{
    error::ErrorCode,
    model::{
        AuditKind, CertificateSource, DeploymentName, RouteOptions, RouteSpec, Timestamp, TlsMode,
    },
};
use jaco_ingress::{
    Domain,
    acme::{
        challenge::Challenge,
        phase::{Attempt, OrderRef, Phase, Row},
    },
};

use super::{audited, refused};
use crate::{
    command::{
        AdvanceIssuance, Command, DeleteCertificate, DeleteDeployment, HurryIssuance,
        ImportCertificate, Outcome, PublishChallenge, WithdrawChallenge,
    },
    state::{Issuance, Published, snapshot},
    testing::builders::{Scenario, Stack, certificate, name},
};

const SHOP: &str = "shop.example.com";

fn shop() -> Domain {
    name(SHOP)
}

fn deployed() -> Scenario {
    let mut s = Scenario::new();
    s.run(Stack::new("shop").service("web", "web:1", 1).route(SHOP, "/", "web"));
    s
}

fn secured(deployment: &str, domain: &str, tls: TlsMode) -> Command {
    let mut command = Stack::new(deployment).service("web", "web:1", 1).command();
    let path = "/".to_owned();
    let domain = domain.to_owned();
    let (service, options) = (name("web"), RouteOptions::default());
    command.routes.push(RouteSpec { domain, path, service, port: 80, tls, options });
    Command::ApplyDeployment(Box::new(command))
}

fn row(s: &Scenario) -> Option<Issuance> {
    s.state.issuances().find(&shop()).map(|issuance| Issuance::clone(issuance))
}

fn advance(s: &Scenario, change: impl FnOnce(&mut Row)) -> Command {
    let present = row(s);
    let version = present.as_ref().map_or(0, |issuance| issuance.version);
    let mut row = present.map_or_else(|| Row::new(Timestamp(0)), |issuance| issuance.row);
    change(&mut row);
    let issuance = Issuance { domain: shop(), row, challenges: Vec::new(), version };
    Command::AdvanceIssuance(Box::new(AdvanceIssuance { issuance, certificate: None }))
}

/// In the first attempt, with an order.
fn ordering() -> Scenario {
    let mut s = deployed();
    let command = advance(&s, |row| {
        (row.phase, row.attempt, row.deadline) = (Phase::Promoting, 1, Timestamp(600_000));
        row.order = Some(OrderRef {
            directory: "https://ca.example".into(),
            url: "https://ca.example/1".into(),
            sealed_key: vec![1],
        });
    });
    assert_eq!(s.run(command), Outcome::Done);
    s
}

fn token(text: &str) -> Published {
    let challenge = Challenge::Http01 {
        domain: shop(),
        token: text.to_owned(),
        key_authorization: format!("{text}.thumb"),
    };
    Published { challenge, until: Timestamp(u64::MAX) }
}

fn publish(attempt: u32, text: &str) -> Command {
    Command::PublishChallenge(PublishChallenge { domain: shop(), attempt, challenge: token(text) })
}

#[test]
fn certificates_are_obtained_for_public_names_of_routes_that_ask_for_it() {
    let mut s = deployed();
    s.run(secured("plain", "plain.example.com", TlsMode::Off));
    s.run(secured("own", "own.example.com", TlsMode::Imported("own.example.com".into())));
    for (own, domain) in
        [("one", "shop.localhost"), ("two", "nas.local"), ("three", "db.internal"), ("four", "nas")]
    {
        s.run(secured(own, domain, TlsMode::Auto));
    }
    s.run(secured("wild", "*.example.com", TlsMode::Auto));
    let found: Vec<_> = s.state.domains_to_obtain().map(|(d, _)| d.to_string()).collect();
    assert_eq!(found, ["*.example.com", SHOP]);
    assert!(s.state.is_to_obtain(&shop()));
    assert!(!s.state.is_to_obtain(&name("plain.example.com")));
    assert!(!s.state.is_to_obtain(&name("shop.localhost")));
}

#[test]
fn a_step_from_an_older_row_changes_nothing() {
    let mut s = deployed();
    let (first, second) = (advance(&s, |_| {}), advance(&s, |row| row.attempt = 7));
    assert_eq!(s.run(first), Outcome::Done);
    assert_eq!(refused(&s.run(second)), ErrorCode::Conflict);
    assert_eq!(row(&s).unwrap().row.attempt, 0);
    let elsewhere = Issuance { domain: name("other.example.com"), version: 0, ..row(&s).unwrap() };
    let elsewhere = AdvanceIssuance { issuance: elsewhere, certificate: None };
    let outcome = s.run(Command::AdvanceIssuance(Box::new(elsewhere)));
    assert_eq!(refused(&outcome), ErrorCode::Conflict, "nobody has a route for it");
}

#[test]
fn a_certificate_comes_with_the_row_that_says_so_and_is_told() {
    let mut s = ordering();
    for (stored, kind) in
        [(false, AuditKind::CertificateIssued), (true, AuditKind::CertificateRenewed)]
    {
        assert_eq!(s.state.certificates().contains(&shop()), stored);
        let mut issuance = row(&s).unwrap();
        (issuance.row.phase, issuance.row.order) = (Phase::Issued, None);
        let certificate = Some(certificate(SHOP, CertificateSource::Acme));
        let command = AdvanceIssuance { issuance, certificate };
        assert_eq!(s.run(Command::AdvanceIssuance(Box::new(command))), Outcome::Done);
        assert_eq!(audited(&s.state, kind), 1);
    }
}

#[test]
fn a_failure_is_told_once_with_its_reason() {
    let mut s = ordering();
    for _ in 0..2 {
        let command = advance(&s, |row| {
            (row.phase, row.retry) = (Phase::Failed, Some(Attempt::Promoting));
            row.reason = Some("the CA said no".into());
        });
        assert_eq!(s.run(command), Outcome::Done);
    }
    let told = s.state.audit_after(0).filter(|e| e.kind == AuditKind::CertificateFailed);
    let reasons: Vec<_> = told.map(|event| event.payload["reason"].as_str()).collect();
    assert_eq!(reasons, ["the CA said no"]);
}

#[test]
fn challenges_belong_to_an_attempt_and_end_with_its_order() {
    let mut s = ordering();
    assert_eq!(refused(&s.run(publish(2, "late"))), ErrorCode::Conflict);
    s.run(publish(1, "one"));
    s.run(publish(1, "two"));
    s.run(publish(1, "two"));
    assert_eq!(row(&s).unwrap().challenges, [token("one"), token("two")]);
    let withdraw = WithdrawChallenge { domain: shop(), challenge: token("one") };
    s.run(Command::WithdrawChallenge(withdraw));
    assert_eq!(row(&s).unwrap().challenges, [token("two")]);
    s.run(advance(&s, |row| row.order = None));
    assert_eq!(row(&s).unwrap().challenges, []);
    for text in 0..16 {
        assert_eq!(s.run(publish(1, &text.to_string())), Outcome::Done);
    }
    assert_eq!(refused(&s.run(publish(1, "one too many"))), ErrorCode::Conflict);
}

#[test]
fn nothing_is_left_of_a_domain_without_a_route() {
    let mut s = ordering();
    let mut issuance = row(&s).unwrap();
    issuance.row.phase = Phase::Issued;
    let certificate = Some(certificate(SHOP, CertificateSource::Acme));
    s.run(Command::AdvanceIssuance(Box::new(AdvanceIssuance { issuance, certificate })));
    s.run(publish(1, "one"));
    let deployment: DeploymentName = name("shop");
    s.run(Command::DeleteDeployment(DeleteDeployment { deployment, volumes: false }));
    assert_eq!(row(&s), None);
    assert!(s.state.certificates().is_empty());
}

#[test]
fn an_imported_certificate_takes_the_place_and_stays_while_it_is_used() {
    let mut s = ordering();
    let import = |domain: &str| {
        let certificate = certificate(domain, CertificateSource::Imported);
        Command::ImportCertificate(Box::new(ImportCertificate { certificate }))
    };
    let delete =
        |domain: &str| Command::DeleteCertificate(DeleteCertificate { domain: name(domain) });
    let hurry = || Command::HurryIssuance(HurryIssuance { domain: shop() });
    s.run(import(SHOP));
    assert_eq!(row(&s), None, "nothing is ordered any more");
    assert_eq!(refused(&s.run(hurry())), ErrorCode::Conflict);
    assert_eq!(s.state.users_of_certificate(&shop()), [name::<DeploymentName>("shop")]);
    assert_eq!(s.run(delete(SHOP)), Outcome::Done, "then one is obtained again");
    assert!(s.state.is_to_obtain(&shop()));
    assert_eq!(refused(&s.run(delete(SHOP))), ErrorCode::CertificateNotFound);
    assert_eq!(refused(&s.run(hurry())), ErrorCode::CertificateNotFound);

    s.run(import("*.example.org"));
    s.run(secured("own", "a.example.org", TlsMode::Imported("*.example.org".into())));
    assert_eq!(refused(&s.run(delete("*.example.org"))), ErrorCode::Conflict);
    assert_eq!(audited(&s.state, AuditKind::CertificateImported), 2);
    assert_eq!(audited(&s.state, AuditKind::CertificateRemoved), 1);
}

#[test]
fn the_next_attempt_is_made_now_when_somebody_asks() {
    let mut s = ordering();
    let fail = |row: &mut Row| (row.phase, row.deadline) = (Phase::Failed, Timestamp(u64::MAX));
    s.run(advance(&s, fail));
    s.run(Command::HurryIssuance(HurryIssuance { domain: shop() }));
    assert!(row(&s).unwrap().row.deadline < Timestamp(u64::MAX));
}

#[test]
fn a_snapshot_holds_all_of_it() {
    let mut s = ordering();
    s.run(publish(1, "one"));
    let import = certificate("*.example.org", CertificateSource::Imported);
    s.run(Command::ImportCertificate(Box::new(ImportCertificate { certificate: import })));
    s.run(Command::KeepAccount(crate::command::KeepAccount {
        directory: "https://ca.example".into(),
        email: String::new(),
        credentials: Some(crate::testing::builders::sealed(b"account")),
    }));
    let read = snapshot::read(&snapshot::write(&s.state)).unwrap();
    assert!(read.acme_account("https://ca.example", "").is_some());
    assert_eq!(read.issuances().find(&shop()), s.state.issuances().find(&shop()));
    let all = |state: &crate::state::State| {
        state.certificates().iter().map(|(_, c)| (**c).clone()).collect::<Vec<_>>()
    };
    assert_eq!(all(&read), all(&s.state));
}

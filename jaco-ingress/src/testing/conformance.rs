//! What every certificate store and every DNS provider must do.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::{CertStore, Certificate, DnsProvider, Domain, TxtRecord};

const BOUND: Duration = Duration::from_secs(10);

fn certificate(mark: &str) -> Certificate {
    Certificate {
        chain: format!("-----BEGIN CERTIFICATE-----\n{mark}\n-----END CERTIFICATE-----\n"),
        key: Zeroizing::new(format!(
            "-----BEGIN PRIVATE KEY-----\n{mark}key\n-----END PRIVATE KEY-----\n"
        )),
    }
}

fn domain(text: &str) -> Domain {
    text.parse().expect("the suite writes its domains correctly")
}

async fn load(store: &dyn CertStore, name: &str) -> Option<Certificate> {
    store.load(&domain(name)).await.expect("the store can be read")
}

async fn domains(store: &dyn CertStore) -> Vec<Domain> {
    store.domains().await.expect("the store can be listed")
}

/// Checks an empty certificate store. Leaves it empty.
///
/// # Panics
/// At the first rule that does not hold.
pub async fn cert_store(store: &dyn CertStore) {
    assert_eq!(domains(store).await, [], "the suite starts with an empty store");
    assert_eq!(load(store, "a.example").await, None, "a domain without certificate is no error");

    let mut wakes = store.watch();
    store.save(&domain("a.example"), &certificate("QQ")).await.expect("it is kept");
    tokio::time::timeout(BOUND, wakes.changed())
        .await
        .expect("a change wakes the watchers")
        .expect("the watch lives as long as the store");
    assert_eq!(load(store, "a.example").await, Some(certificate("QQ")), "as saved");

    store.save(&domain("*.a.example"), &certificate("Kg")).await.expect("a wildcard is kept");
    assert_eq!(load(store, "a.example").await, Some(certificate("QQ")), "untouched by another");
    assert_eq!(load(store, "b.a.example").await, None, "a wildcard is a domain of its own");
    let both = [domain("*.a.example"), domain("a.example")];
    assert_eq!(domains(store).await, both, "every domain, in order");

    store.save(&domain("a.example"), &certificate("UTI")).await.expect("it is replaced");
    assert_eq!(load(store, "a.example").await, Some(certificate("UTI")), "the newest counts");

    for name in ["a.example", "*.a.example", "a.example"] {
        store.remove(&domain(name)).await.expect("it is removed, the second time too");
        assert_eq!(load(store, name).await, None, "it is gone");
    }
    assert_eq!(domains(store).await, [], "nothing is left");
}

/// Checks a DNS provider with `zone`, which it must be responsible for; `lookup` asks the zone's
/// server for TXT records. Leaves no record behind.
///
/// # Panics
/// At the first rule that does not hold.
pub async fn dns_provider<L, F>(provider: &dyn DnsProvider, zone: &str, lookup: L)
where
    L: Fn(String) -> F,
    F: Future<Output = Vec<String>>,
{
    let record =
        |name: String, value: &str| TxtRecord { domain: domain(&name), value: value.to_owned() };
    let apex = record(format!("www.{zone}"), "apex-value");
    let wildcard = record(format!("*.www.{zone}"), "wildcard-value");
    assert_eq!(apex.name(), wildcard.name(), "both are checked under one name");

    provider.publish(&apex).await.expect("a record is published");
    provider.publish(&apex).await.expect("publishing twice is publishing once");
    assert_eq!(lookup(apex.name()).await, ["apex-value"], "it is answered when publish returns");

    provider.publish(&wildcard).await.expect("a second value is published");
    let mut values = lookup(apex.name()).await;
    values.sort();
    assert_eq!(values, ["apex-value", "wildcard-value"], "the first value stays");

    provider.withdraw(&apex).await.expect("a record is withdrawn");
    assert_eq!(lookup(apex.name()).await, ["wildcard-value"], "only that record");
    provider.withdraw(&apex).await.expect("withdrawing twice is withdrawing once");
    provider.withdraw(&wildcard).await.expect("the last one goes too");
    assert!(lookup(apex.name()).await.is_empty(), "nothing is left");

    let foreign = record("www.not-ours.invalid".to_owned(), "x");
    provider.publish(&foreign).await.expect_err("a foreign zone is refused");
}

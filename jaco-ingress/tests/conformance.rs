//! The shipped stores and the fake pass the suites that every implementation must pass.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{os::unix::fs::PermissionsExt, path::Path};

use jaco_ingress::{
    CertStore, CertStoreError, Certificate, DirectoryCertStore, Domain, MemoryCertStore,
    testing::{FakeDns, cert_store_suite, dns_provider_suite},
};

#[tokio::test]
async fn the_memory_store_conforms() {
    cert_store_suite(&MemoryCertStore::default()).await;
}

#[tokio::test]
async fn the_directory_store_conforms() {
    let dir = tempfile::tempdir().unwrap();
    cert_store_suite(&DirectoryCertStore::open(dir.path().join("certs")).unwrap()).await;
}

#[tokio::test]
async fn the_fake_dns_conforms() {
    let dns = FakeDns::new("example.com");
    dns_provider_suite(&dns, "example.com", async |name| dns.lookup(&name)).await;
}

fn files(directory: &Path) -> Vec<String> {
    let list = std::fs::read_dir(directory).unwrap();
    list.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn files_are_private_survive_reopening_and_damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let domain: Domain = "*.example.com".parse().unwrap();
    let certificate = Certificate {
        chain: "-----BEGIN CERTIFICATE-----\nQQ\n-----END CERTIFICATE-----".to_owned(),
        key: "-----BEGIN EC PRIVATE KEY-----\nQg\n-----END EC PRIVATE KEY-----\n".to_owned().into(),
    };
    DirectoryCertStore::open(dir.path()).unwrap().save(&domain, &certificate).await.unwrap();
    assert_eq!(files(dir.path()), ["_wildcard.example.com.pem"], "nothing is left aside");
    let path = dir.path().join("_wildcard.example.com.pem");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let store = DirectoryCertStore::open(dir.path()).unwrap();
    let loaded = store.load(&domain).await.unwrap().unwrap();
    assert_eq!(*loaded.key, *certificate.key);

    std::fs::write(&path, "half a cert").unwrap();
    let error = store.load(&domain).await.unwrap_err();
    assert!(matches!(error, CertStoreError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn a_store_that_cannot_be_written_keeps_the_old_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let blocker = dir.path().join("file");
    std::fs::write(&blocker, "").unwrap();
    let error = DirectoryCertStore::open(blocker.join("certs")).unwrap_err();
    assert!(matches!(error, CertStoreError::File { operation: "create", .. }), "{error}");
}

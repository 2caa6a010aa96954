//! The shipped stores and the fake pass the suites that every implementation must pass.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{os::unix::fs::PermissionsExt, path::Path};

use jaco_ingress::{
    CertStore, CertStoreError, Certificate, DirectoryCertStore, Domain, MemoryCertStore,
    SealedCertStore,
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

fn key(byte: u8) -> zeroize::Zeroizing<[u8; 32]> {
    zeroize::Zeroizing::new([byte; 32])
}

#[tokio::test]
async fn the_sealed_store_conforms() {
    let dir = tempfile::tempdir().unwrap();
    cert_store_suite(&SealedCertStore::open(dir.path().join("certs"), &key(1)).unwrap()).await;
}

#[tokio::test]
async fn a_sealed_file_opens_by_its_key_and_under_its_name_alone() {
    let dir = tempfile::tempdir().unwrap();
    let domain: Domain = "shop.example".parse().unwrap();
    let certificate = Certificate {
        chain: "-----BEGIN CERTIFICATE-----\nQQ\n-----END CERTIFICATE-----\n".to_owned(),
        key: "-----BEGIN PRIVATE KEY-----\nQg\n-----END PRIVATE KEY-----\n".to_owned().into(),
    };
    let store = SealedCertStore::open(dir.path(), &key(1)).unwrap();
    store.save(&domain, &certificate).await.unwrap();
    let path = dir.path().join("shop.example.sealed");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(7).any(|w| w == b"PRIVATE" || w == b"CERTIFI"), "nothing is readable");
    let again = SealedCertStore::open(dir.path(), &key(1)).unwrap();
    assert_eq!(again.load(&domain).await.unwrap(), Some(certificate));

    let damaged = |result: Result<_, CertStoreError>| {
        assert!(matches!(result, Err(CertStoreError::Damaged { .. })), "{result:?}");
    };
    damaged(SealedCertStore::open(dir.path(), &key(2)).unwrap().load(&domain).await);
    let other: Domain = "other.example".parse().unwrap();
    std::fs::copy(&path, dir.path().join("other.example.sealed")).unwrap();
    damaged(store.load(&other).await);
    for broken in [&bytes[..bytes.len() - 1], &bytes[..10], b""] {
        std::fs::write(&path, broken).unwrap();
        damaged(store.load(&domain).await);
    }
}

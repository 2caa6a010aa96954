//! Certificates of one's own: who may put them in place, and whether they can be served.

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{CertificateSource::Imported, Principal, StoredCertificate, Timestamp},
};
use jaco_ingress::{Certificate, Domain};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use zeroize::Zeroizing;

use super::permit_unlimited;
use crate::{
    certificate,
    command::{Command, DeleteCertificate, HurryIssuance, ImportCertificate},
    seal::Keyring,
    state::State,
};

/// Most bytes of a chain, and of a key: every member keeps them.
const MOST_PEM_BYTES: usize = 128 << 10;

/// A certificate of one's own for `domain`; absent when it is served like that already.
///
/// Only the certificates of the chain are kept: whatever else is in the file, such as the key, is not.
///
/// # Errors
/// `permission_denied`, or `validation_failed` with what is wrong with it.
pub fn import_certificate(
    state: &State,
    who: &Principal,
    keyring: &Keyring,
    now: Timestamp,
    (domain, chain, key): (&Domain, &str, &str),
) -> Result<Option<Command>, ApiError> {
    permit_unlimited(who)?;
    for (what, pem) in [("a chain", chain), ("a private key", key)] {
        if pem.len() > MOST_PEM_BYTES {
            let message = format!("{what} has at most {MOST_PEM_BYTES} bytes, not {}", pem.len());
            return Err(ApiError::new(ErrorCode::ValidationFailed, message));
        }
    }
    let kept = certificates_of(chain);
    let given = Certificate {
        chain: kept.clone().unwrap_or_else(|| chain.to_owned()),
        key: Zeroizing::new(key.to_owned()),
    };
    let refused = |problem: String, hint: &str| {
        ApiError::new(ErrorCode::ValidationFailed, problem)
            .with("domain", domain)
            .with("hint", hint)
    };
    let certificate = certificate::stored(domain, &given, Imported, keyring, now)
        .map_err(|problem| refused(problem.to_string(), problem.hint()))?;
    if kept.is_none() {
        let hint = "export it again, one certificate below the other";
        return Err(refused("the chain is not plain PEM".to_owned(), hint));
    }
    let unchanged = |present: &StoredCertificate| {
        present.source == Imported
            && certificate::opened(present, keyring).is_some_and(|present| present == given)
    };
    if state.certificates().find(domain).is_some_and(|present| unchanged(present)) {
        return Ok(None);
    }
    Ok(Some(Command::ImportCertificate(Box::new(ImportCertificate { certificate }))))
}

/// The next attempt at a certificate now. Whether one is obtained for the domain is found out by `apply`.
///
/// # Errors
/// `permission_denied`.
pub fn renew_certificate(who: &Principal, domain: Domain) -> Result<Command, ApiError> {
    permit_unlimited(who)?;
    Ok(Command::HurryIssuance(HurryIssuance { domain }))
}

/// The end of a certificate of one's own. Whether it is there and unused is found out by `apply`.
///
/// # Errors
/// `permission_denied`.
pub fn remove_certificate(who: &Principal, domain: Domain) -> Result<Command, ApiError> {
    permit_unlimited(who)?;
    Ok(Command::DeleteCertificate(DeleteCertificate { domain }))
}

/// The certificates of a PEM file and nothing else of it; absent when they are not as the file is read.
fn certificates_of(pem: &str) -> Option<String> {
    let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let mut kept = String::new();
    let mut inside = false;
    for line in pem.lines().map(str::trim) {
        inside |= line == begin;
        if inside {
            kept.push_str(line);
            kept.push('\n');
        }
        inside &= line != end;
    }
    let read = |text: &str| -> Option<Vec<CertificateDer<'static>>> {
        CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>().ok()
    };
    let same = read(&kept)? == read(pem)? && !kept.contains("PRIVATE KEY");
    same.then_some(kept)
}

#[cfg(test)]
mod tests {
    use jaco_api::model::Role;
    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::{
        command::{Envelope, Outcome, encode},
        seal,
        testing::builders::{Scenario, name},
    };

    const NOW: Timestamp = Timestamp(1_767_225_600_000);

    fn who(role: Role, globs: &[&str]) -> Principal {
        Principal {
            identity: name("ci"),
            role,
            deployments: globs.iter().map(|g| (*g).to_owned()).collect(),
            allow_privileged: false,
            uid: None,
        }
    }

    /// A certificate of this name from 1975 to 4096, and its key.
    fn made(domain: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([domain.to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn import(
        s: &Scenario,
        keyring: &Keyring,
        domain: &str,
        (chain, key): (&str, &str),
    ) -> Result<Option<Command>, ApiError> {
        let admin = who(Role::Admin, &[]);
        import_certificate(&s.state, &admin, keyring, NOW, (&name(domain), chain, key))
    }

    #[test]
    fn the_same_again_is_no_change_and_the_log_never_holds_a_key() {
        let (mut s, keyring) = (Scenario::new(), Keyring::ephemeral());
        let (chain, key) = made("shop.example");
        // Files in which the key comes with the chain are common.
        let file = format!("subject=/CN=shop\r\n{}{key}", chain.replace('\n', "\r\n"));
        let first = import(&s, &keyring, "shop.example", (&file, &key)).unwrap().unwrap();
        let entry = encode(&Envelope { command: first.clone(), ..s.log[0].1.clone() });
        let secret = key.lines().nth(1).unwrap().as_bytes();
        assert!(!entry.windows(secret.len()).any(|w| w == secret), "the key is in the log");
        assert_eq!(s.run(first), Outcome::Done);
        let stored = s.state.certificates().find(&name::<Domain>("shop.example")).unwrap();
        assert!(!stored.chain.contains("PRIVATE"), "{}", stored.chain);
        assert_eq!(*keyring.open(seal::CERTIFICATE, &stored.key).unwrap(), key.as_bytes());
        let again = import(&s, &keyring, "shop.example", (&chain, &key)).unwrap();
        assert_eq!(again, None, "it is what is there already");
        let (chain, key) = made("shop.example");
        assert!(import(&s, &keyring, "shop.example", (&chain, &key)).unwrap().is_some());
    }

    #[test]
    fn what_cannot_be_served_is_refused_with_what_to_do() {
        let (s, keyring) = (Scenario::new(), Keyring::ephemeral());
        let (chain, key) = made("shop.example");
        let (_, other) = made("shop.example");
        let big = "x".repeat(MOST_PEM_BYTES + 1);
        for (domain, chain, key, text) in [
            ("blog.example", &chain, &key, "not for blog.example but for shop.example"),
            ("shop.example", &chain, &other, "not the one of the first certificate"),
            ("shop.example", &key, &key, "holds no certificate"),
            ("shop.example", &chain, &chain, "private key cannot be used"),
        ] {
            let refused = import(&s, &keyring, domain, (chain, key)).unwrap_err();
            assert_eq!(refused.code, ErrorCode::ValidationFailed);
            assert!(refused.message.contains(text), "{}", refused.message);
            assert!(refused.details.contains_key("hint"), "{refused:?}");
        }
        let refused = import(&s, &keyring, "shop.example", (&chain, &big)).unwrap_err();
        assert!(refused.message.contains("at most"), "{}", refused.message);
    }

    #[test]
    fn only_unlimited_admins_change_certificates() {
        let (s, keyring) = (Scenario::new(), Keyring::ephemeral());
        let (chain, key) = made("shop.example");
        let domain = name::<Domain>("shop.example");
        for (caller, allowed) in [
            (who(Role::Admin, &[]), true),
            (who(Role::Admin, &["shop"]), false),
            (who(Role::Deployer, &[]), false),
            (who(Role::Viewer, &[]), false),
        ] {
            let given = (&domain, &*chain, &*key);
            let imported = import_certificate(&s.state, &caller, &keyring, NOW, given);
            assert_eq!(imported.is_ok(), allowed, "{caller:?}");
            assert_eq!(renew_certificate(&caller, domain.clone()).is_ok(), allowed, "{caller:?}");
            assert_eq!(remove_certificate(&caller, domain.clone()).is_ok(), allowed, "{caller:?}");
        }
    }
}

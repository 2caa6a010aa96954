//! From a domain to its certificate: one order, placed or gone on with.
//!
//! Every step can be the last one that this process takes. The order and its key are kept elsewhere before
//! the CA is asked for a certificate, so that there is only ever one, and a challenge is published before
//! the CA hears of it. Decides nothing: which order, at which CA and by which challenge is told.

use async_trait::async_trait;
use instant_acme::{
    AuthorizationStatus, CertificateIdentifier, ChallengeHandle, ChallengeStatus, ChallengeType,
    Identifier, NewOrder, Order, OrderStatus, RetryPolicy,
};
use jaco_api::model::Timestamp;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use zeroize::Zeroizing;

use super::{
    challenge::{Challenge, ChallengeKind},
    client::{AcmeClient, FRESH_STARTS, Session},
    error::{AcmeError, Cause},
    phase::{FailureKind, Validity},
};
use crate::{
    dns::TxtRecord,
    store::{Certificate, Domain},
    tls::check_certificate,
};

/// An order at the CA and the private key of its certificate to be.
#[derive(Clone)]
pub struct PlacedOrder {
    /// Its address at the CA.
    pub url: String,
    /// The key, as PEM.
    pub key: Zeroizing<String>,
}

/// What is ordered.
#[derive(Clone)]
pub struct OrderRequest<'a> {
    /// For which domain.
    pub domain: &'a Domain,
    /// How it is proven.
    pub challenge: ChallengeKind,
    /// The chain that is replaced, told to CAs that care (ARI).
    pub replaces: Option<&'a str>,
    /// The order to go on with; another one is placed without it.
    pub resume: Option<PlacedOrder>,
}

/// A certificate that has passed our checks.
#[derive(Debug, Clone)]
pub struct Obtained {
    /// Chain and key.
    pub certificate: Certificate,
    /// When it is valid.
    pub validity: Validity,
}

/// Keeps orders and publishes challenges, in the name of one attempt.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Keeps the order where the next issuer finds it. When this returns it is there.
    ///
    /// # Errors
    /// It is not kept, or the attempt is over: then the order must not be finished.
    async fn keep(&self, order: &PlacedOrder) -> Result<(), Cause>;

    /// Publishes a challenge; again is success. When this returns, whoever the CA may ask answers.
    ///
    /// # Errors
    /// It may not be answered.
    async fn publish(&self, challenge: &Challenge) -> Result<(), Cause>;

    /// Takes a challenge back. What is not taken back expires.
    async fn withdraw(&self, challenge: &Challenge);
}

impl AcmeClient {
    /// Obtains a certificate. The future can be dropped at any point and the order be gone on with, by this
    /// client or another one. A CA that refuses nonces is asked again, about the same order.
    ///
    /// # Errors
    /// The CA refuses, does not answer or makes no sense; the publisher fails.
    pub async fn obtain(
        &self,
        credentials: &str,
        mut request: OrderRequest<'_>,
        publisher: &dyn Publisher,
    ) -> Result<Obtained, AcmeError> {
        for _ in 0..FRESH_STARTS {
            let mut placed = None;
            match self.go_on(credentials, &request, publisher, &mut placed).await {
                Err(error) if error.is_bad_nonce() => request.resume = placed.or(request.resume),
                ended => return ended,
            }
        }
        self.go_on(credentials, &request, publisher, &mut None).await
    }

    /// Goes as far as it can. An order that it has placed and that is kept is in `placed`.
    async fn go_on(
        &self,
        credentials: &str,
        request: &OrderRequest<'_>,
        publisher: &dyn Publisher,
        placed: &mut Option<PlacedOrder>,
    ) -> Result<Obtained, AcmeError> {
        let session = self.session(credentials).await?;
        let (mut order, key) = match &request.resume {
            Some(placed) => {
                let order = session.account.order(placed.url.clone()).await;
                (order.map_err(session.error("go on with the order"))?, placed.key.clone())
            }
            None => {
                let (order, kept) = place(&session, request, publisher).await?;
                (order, placed.insert(kept).key.clone())
            }
        };
        let mut asked = Vec::new();
        let chain = match self.prove(&session, &mut order, request, publisher, &mut asked).await {
            Ok(()) => self.fetch(&session, &mut order, request.domain, &key).await,
            Err(error) => Err(error),
        };
        // CAs look from several places and more than once: they are answered to the very end, and where we
        // do not know the end, the order is gone on with.
        if !matches!(&chain, Err(e) if e.failure().kind == FailureKind::Unreachable) {
            for challenge in &asked {
                publisher.withdraw(challenge).await;
            }
        }
        let chain = chain?;
        let now = Timestamp::from_system_time(std::time::SystemTime::now());
        let checked =
            check_certificate(&chain, &key, request.domain, now).map_err(AcmeError::Unusable)?;
        Ok(Obtained { certificate: Certificate { chain, key }, validity: checked.validity })
    }

    /// Until the order is ready to be finished, or further. What was asked for is noted in `asked`.
    async fn prove(
        &self,
        session: &Session,
        order: &mut Order,
        request: &OrderRequest<'_>,
        publisher: &dyn Publisher,
        asked: &mut Vec<Challenge>,
    ) -> Result<(), AcmeError> {
        let status = order.state().status;
        if matches!(status, OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid) {
            if request.resume.is_some() {
                left(session, order, request, asked).await?;
            }
            return Ok(());
        }
        if status == OrderStatus::Invalid {
            return Err(refusal(session, order).await);
        }
        let objection = ask(session, order, request, publisher, asked).await?;
        if let Some(objection) = objection {
            // It is no matter if the check that an issuer before us asked for is over by now.
            order.refresh().await.map_err(session.error("go on with the order"))?;
            match order.state().status {
                OrderStatus::Pending => return Err(objection),
                OrderStatus::Invalid => return Err(refusal(session, order).await),
                OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid => return Ok(()),
            }
        }
        match order.poll_ready(&self.patience()).await {
            Ok(OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid) => Ok(()),
            Err(error) if order.state().status != OrderStatus::Invalid => {
                Err(session.error("wait for the check of the domain")(error))
            }
            Ok(_) | Err(_) => Err(refusal(session, order).await),
        }
    }

    async fn fetch(
        &self,
        session: &Session,
        order: &mut Order,
        domain: &Domain,
        key: &str,
    ) -> Result<String, AcmeError> {
        if order.state().status == OrderStatus::Ready {
            let request = signing_request(domain, key)
                .map_err(|e| AcmeError::Input { what: "the key of the order", source: e.into() })?;
            order.finalize_csr(request.der()).await.map_err(session.error("finish the order"))?;
        }
        let operation = "fetch the certificate";
        if order.state().status == OrderStatus::Valid {
            let chain = order.certificate().await.map_err(session.error(operation))?;
            return chain.ok_or(AcmeError::TimedOut { operation });
        }
        match order.poll_certificate(&self.patience()).await {
            Ok(chain) => Ok(chain),
            Err(_) if order.state().status == OrderStatus::Invalid => {
                Err(refusal(session, order).await)
            }
            Err(error) => Err(session.error(operation)(error)),
        }
    }

    fn patience(&self) -> RetryPolicy {
        RetryPolicy::new().backoff(1.5).timeout(self.limits.work)
    }
}

/// Places an order and has it kept.
async fn place(
    session: &Session,
    request: &OrderRequest<'_>,
    publisher: &dyn Publisher,
) -> Result<(Order, PlacedOrder), AcmeError> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
        .map_err(|e| AcmeError::Input { what: "the source of randomness", source: e.into() })?;
    let key = Zeroizing::new(key.serialize_pem());
    let names = [Identifier::Dns(request.domain.as_str().to_owned())];
    let leaf = request.replaces.and_then(|c| CertificateDer::from_pem_slice(c.as_bytes()).ok());
    let replaces = leaf.as_ref().and_then(|leaf| CertificateIdentifier::try_from(leaf).ok());
    let order = match replaces {
        // A CA that does not care, or has seen it replaced already, still makes certificates.
        Some(old) => match session.account.new_order(&NewOrder::new(&names).replaces(old)).await {
            Err(error) if is_about_replacing(&error) => {
                session.account.new_order(&NewOrder::new(&names)).await
            }
            placed => placed,
        },
        None => session.account.new_order(&NewOrder::new(&names)).await,
    };
    let order = order.map_err(session.error("place an order"))?;
    let placed = PlacedOrder { url: order.url().to_owned(), key };
    publisher
        .keep(&placed)
        .await
        .map_err(|source| AcmeError::Publish { operation: "keep the order", source })?;
    Ok((order, placed))
}

/// Notes what an issuer that was lost may have left published. What cannot be read expires.
async fn left(
    session: &Session,
    order: &mut Order,
    request: &OrderRequest<'_>,
    asked: &mut Vec<Challenge>,
) -> Result<(), AcmeError> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        match authorization.map_err(session.error("read the authorization")) {
            Ok(mut authorization) => {
                let handle = authorization.challenge(of(request.challenge));
                asked.extend(handle.map(|handle| answer(&handle, request)));
            }
            Err(error) if error.is_bad_nonce() => return Err(error),
            Err(_) => break,
        }
    }
    Ok(())
}

/// Publishes what the CA wants to see and asks it to look. What it objects to that may be no matter.
async fn ask(
    session: &Session,
    order: &mut Order,
    request: &OrderRequest<'_>,
    publisher: &dyn Publisher,
    asked: &mut Vec<Challenge>,
) -> Result<Option<AcmeError>, AcmeError> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(session.error("read the authorization"))?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            _ => return Err(refusal(session, order).await),
        }
        let offered = authorization.challenges.iter().map(|c| format!("{:?}", c.r#type)).collect();
        let Some(mut handle) = authorization.challenge(of(request.challenge)) else {
            let (name, wanted) = (request.domain.to_string(), request.challenge.as_str());
            return Err(AcmeError::NoChallenge { name, wanted, offered });
        };
        let challenge = answer(&handle, request);
        asked.push(challenge.clone());
        publisher
            .publish(&challenge)
            .await
            .map_err(|source| AcmeError::Publish { operation: "publish the challenge", source })?;
        if handle.status == ChallengeStatus::Pending
            && let Err(error) = handle.set_ready().await
        {
            return Ok(Some(session.error("ask for the check of the domain")(error)));
        }
    }
    Ok(None)
}

fn is_about_replacing(error: &instant_acme::Error) -> bool {
    match error {
        instant_acme::Error::Unsupported(_) => true,
        instant_acme::Error::Api(problem) => {
            let kind = problem.r#type.as_deref().unwrap_or_default();
            kind.ends_with(":alreadyReplaced")
                || kind.ends_with(":malformed")
                || kind.ends_with(":conflict")
        }
        _ => false,
    }
}

fn of(kind: ChallengeKind) -> ChallengeType {
    match kind {
        ChallengeKind::Http01 => ChallengeType::Http01,
        ChallengeKind::TlsAlpn01 => ChallengeType::TlsAlpn01,
        ChallengeKind::Dns01 => ChallengeType::Dns01,
    }
}

/// What is answered to a challenge.
fn answer(handle: &ChallengeHandle<'_>, request: &OrderRequest<'_>) -> Challenge {
    let domain = request.domain.clone();
    let authorized = handle.key_authorization();
    match request.challenge {
        ChallengeKind::Http01 => Challenge::Http01 {
            domain,
            token: handle.token.clone(),
            key_authorization: authorized.as_str().to_owned(),
        },
        ChallengeKind::TlsAlpn01 => {
            let mut digest = [0; 32];
            digest.copy_from_slice(authorized.digest().as_ref());
            Challenge::TlsAlpn01 { domain, digest }
        }
        ChallengeKind::Dns01 => {
            Challenge::Dns01(TxtRecord { domain, value: authorized.dns_value() })
        }
    }
}

/// Why the CA gave the order up: most say it at the challenge, some at the order.
async fn refusal(session: &Session, order: &Order) -> AcmeError {
    let operation = "prove the domain";
    let mut order = match session.account.order(order.url().to_owned()).await {
        Ok(order) => order,
        Err(error) => return session.error(operation)(error),
    };
    let own = order.state().error.clone();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let authorization = match authorization.map_err(session.error(operation)) {
            Ok(authorization) => authorization,
            Err(error) if error.is_bad_nonce() => return error,
            Err(_) => break,
        };
        if let Some(problem) = authorization.challenges.iter().find_map(|c| c.error.as_ref()) {
            return AcmeError::problem(operation, problem, None);
        }
    }
    match own {
        Some(problem) => AcmeError::problem(operation, &problem, None),
        None => AcmeError::Refused {
            operation,
            kind: "about:blank".to_owned(),
            detail: "the CA gave the order up without a reason".to_owned(),
            status: None,
            retry_after: None,
        },
    }
}

fn signing_request(
    domain: &Domain,
    key: &str,
) -> Result<rcgen::CertificateSigningRequest, rcgen::Error> {
    let mut params = rcgen::CertificateParams::new([domain.as_str().to_owned()])?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.serialize_request(&rcgen::KeyPair::from_pem(key)?)
}

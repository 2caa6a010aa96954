//! The phases of a domain and the client together, as an issuer drives them: from staging at one CA to a
//! certificate of another, while issuers come and go.

use std::{sync::Mutex, time::Duration};

use async_trait::async_trait;
use jaco_api::model::Timestamp;
use jaco_ingress::{
    Certificate, Domain,
    acme::{
        AcmeClient, Cause, OrderRequest, PlacedOrder, Publisher,
        challenge::{Challenge, ChallengeKind},
        phase::{
            Action, Attempt, Facts, OrderRef, Outcome, Phase, Row, Settings, Step, Validity, step,
        },
    },
};
use zeroize::Zeroizing;

use crate::lab::{Lab, Options, domain, limits, now};

/// What outlives an issuer.
struct Replicated {
    domain: Domain,
    settings: Settings,
    row: Mutex<Row>,
    served: Mutex<Option<(Certificate, Validity)>>,
    /// How far the clock was put forward.
    ahead: Mutex<Duration>,
    phases: Mutex<Vec<Phase>>,
}

impl Replicated {
    fn now(&self) -> Timestamp {
        now().after(*self.ahead.lock().unwrap())
    }

    fn write(&self, row: &Row) {
        let mut phases = self.phases.lock().unwrap();
        if phases.last() != Some(&row.phase) {
            phases.push(row.phase);
        }
        *self.row.lock().unwrap() = row.clone();
    }

    fn step(&self, outcome: Option<(u32, &Outcome)>) -> Step {
        let certificate = self.served.lock().unwrap().as_ref().map(|(_, validity)| *validity);
        let facts = Facts { now: self.now(), certificate, window: None, outcome };
        let row = self.row.lock().unwrap().clone();
        let next = step(&row, &self.domain, &self.settings, &facts);
        self.write(&next.row);
        next
    }
}

/// One issuer's view of one attempt.
struct InAttempt<'a> {
    lab: &'a Lab,
    replicated: &'a Replicated,
    attempt: u32,
}

#[async_trait]
impl Publisher for InAttempt<'_> {
    async fn keep(&self, order: &PlacedOrder) -> Result<(), Cause> {
        let kept = OrderRef {
            directory: self.lab.directory.clone(),
            url: order.url.clone(),
            sealed_key: order.key.as_bytes().to_vec(),
        };
        let placed = self.replicated.row.lock().unwrap().placed(self.attempt, kept);
        self.replicated.write(&placed.ok_or("the attempt is over")?);
        Ok(())
    }

    async fn publish(&self, challenge: &Challenge) -> Result<(), Cause> {
        self.lab.node.publish(challenge).await
    }

    async fn withdraw(&self, challenge: &Challenge) {
        self.lab.node.withdraw(challenge).await;
    }
}

/// The two CAs and the account at each.
struct Cas {
    staging: (Lab, Zeroizing<String>),
    production: (Lab, Zeroizing<String>),
}

/// Leads until there is a certificate.
async fn lead(replicated: &Replicated, cas: &Cas) {
    let mut ended: Option<(u32, Outcome)> = None;
    loop {
        let next = replicated.step(ended.as_ref().map(|(attempt, outcome)| (*attempt, outcome)));
        ended = None;
        let (lab, account) = match next.action {
            Action::Wait { .. } => return,
            Action::GiveUp { until } => {
                let wait = until.since(replicated.now());
                *replicated.ahead.lock().unwrap() += wait;
                continue;
            }
            Action::OrderAtStaging => &cas.staging,
            Action::OrderAtProduction | Action::Renew => &cas.production,
        };
        let resume = next.row.order.as_ref().map(|order| PlacedOrder {
            url: order.url.clone(),
            key: String::from_utf8(order.sealed_key.clone()).unwrap().into(),
        });
        let attempt = next.row.attempt;
        let publisher = InAttempt { lab, replicated, attempt };
        let client = AcmeClient::new(&lab.directory, Some(&lab.root), limits()).unwrap();
        let domain = &replicated.domain;
        let challenge = ChallengeKind::Http01;
        let asked = OrderRequest { domain, challenge, replaces: None, resume };
        let outcome = match client.obtain(account, asked, &publisher).await {
            Ok(obtained) => {
                if next.row.phase.attempt() != Some(Attempt::Staging) {
                    *replicated.served.lock().unwrap() =
                        Some((obtained.certificate, obtained.validity));
                }
                Outcome::Obtained(obtained.validity)
            }
            Err(error) => Outcome::Failed(error.failure()),
        };
        ended = Some((attempt, outcome));
    }
}

#[tokio::test]
async fn issuers_come_and_go_and_each_ca_makes_one_certificate() {
    let moody = || Options { rejected_nonces: 15, ..Options::default() };
    let Some(staging) = Lab::start(moody()).await else { return };
    let Some(production) = Lab::start(moody()).await else { return };
    let settings = Settings::new(true, &production.directory, Some(&staging.directory), false);
    let (at_staging, at_production) = (staging.account().await, production.account().await);
    let cas = Cas { staging: (staging, at_staging), production: (production, at_production) };
    let replicated = Replicated {
        domain: domain("shop.example"),
        settings,
        row: Mutex::new(Row::new(now())),
        served: Mutex::default(),
        ahead: Mutex::default(),
        phases: Mutex::default(),
    };

    let mut term = Duration::from_millis(60);
    let terms = async {
        while tokio::time::timeout(term, lead(&replicated, &cas)).await.is_err() {
            term = term.mul_f32(1.25);
        }
    };
    tokio::time::timeout(Duration::from_secs(60), terms).await.unwrap();

    let phases = replicated.phases.lock().unwrap().clone();
    assert_eq!(phases, [Phase::Staging, Phase::Promoting, Phase::Issued]);
    assert_eq!((cas.staging.0.certificates(), cas.production.0.certificates()), (1, 1));
    let row = replicated.row.lock().unwrap().clone();
    assert_eq!((row.order, row.failures), (None, 0));
    let served = replicated.served.lock().unwrap();
    let checked = jaco_ingress::tls::check_certificate(
        &served.as_ref().unwrap().0.chain,
        &served.as_ref().unwrap().0.key,
        &replicated.domain,
        now(),
    );
    checked.unwrap();
}

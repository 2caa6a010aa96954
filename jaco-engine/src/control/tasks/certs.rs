//! Obtains certificates for the domains of routes, and renews them.
//!
//! Every step of a domain is written before it is acted on, so that another leader goes on where this one was. Attempts
//! and questions run beside the passes and end with the term. It asks nobody but the CA, and orders
//! nothing that a row does not say.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use jaco_api::{
    error::ApiError,
    model::{Digest, Timestamp},
};
use jaco_ingress::{
    Domain,
    acme::phase::{Action, Facts, Phase, Row, Step, Validity, Window, step},
};
use tokio::task::{AbortHandle, JoinSet};

use super::super::{
    driver::Task,
    issuer::{Desk, make, validity},
};
use crate::{
    command::AdvanceIssuance,
    state::{Issuance, State},
};

/// Domains whose certificates are obtained at a time; the others wait for their turn.
const AT_A_TIME: usize = 16;
/// Pause before those that wait are looked at again.
const TURN: Duration = Duration::from_secs(1);
/// How long a CA that did not say when to renew is left alone.
const SILENT: Duration = Duration::from_secs(6 * 60 * 60);
/// The answer of a CA is not asked for more often than this.
const OFTEN: Duration = Duration::from_secs(60);

/// Keeps every domain on its way.
pub(in crate::control) struct Certs {
    desk: Desk,
    attempts: JoinSet<()>,
    /// The attempt that is being made for a domain.
    running: BTreeMap<Domain, (u32, AbortHandle)>,
    questions: JoinSet<Told>,
    /// What the CA wishes for the renewal of each certificate.
    wishes: BTreeMap<Domain, Wish>,
}

/// When the CA wants a certificate to be renewed.
struct Wish {
    /// Of this one.
    certificate: Digest,
    window: Option<Window>,
    /// When to ask again; absent while it is being asked.
    again: Option<Timestamp>,
}

/// What a CA has told of the renewal of a certificate.
struct Told {
    domain: Domain,
    certificate: Digest,
    answer: Option<(Window, Duration)>,
}

impl Certs {
    pub(in crate::control) fn new(desk: Desk) -> Self {
        Self {
            desk,
            attempts: JoinSet::new(),
            running: BTreeMap::new(),
            questions: JoinSet::new(),
            wishes: BTreeMap::new(),
        }
    }

    /// The next step of a domain that has news, or what there is to do without any.
    async fn step(&self, state: &State, domain: &Domain, now: Timestamp) -> Next {
        let present = state.issuances().find(domain);
        let row = present.map_or_else(|| Row::new(now), |present| present.row.clone());
        let wish = self.wishes.get(domain).and_then(|wish| wish.window);
        let served = validity(state, domain);
        let decided = |certificate: Option<Validity>| {
            let facts = Facts { now, certificate, window: wish, outcome: None };
            step(&row, domain, &self.desk.issuer.settings(), &facts)
        };
        let mut decision = decided(served);
        // The disk is only asked before the CA would be.
        let begins = row.phase.attempt().is_none() && decision.row.phase.attempt().is_some();
        let cached = match served {
            None if begins => self.desk.cached(domain, now).await,
            _ => None,
        };
        let cached = cached.and_then(|c| self.desk.issuer.stored(domain, &c, now));
        if let Some(c) = &cached {
            let found = Validity { not_before: c.not_before, not_after: c.not_after };
            decision = decided(Some(found));
        }
        let Step { row: next, action } = decision;
        if present.is_some_and(|present| present.row == next) {
            return Next::Act { row: next, action };
        }
        let certificate = cached.filter(|_| next.phase == Phase::Issued);
        let issuance = Issuance {
            domain: domain.clone(),
            row: next,
            challenges: Vec::new(),
            version: present.map_or(0, |present| present.version),
        };
        Next::Write(Box::new(AdvanceIssuance { issuance, certificate }))
    }

    /// Makes an attempt, unless it is being made.
    fn make(&mut self, domain: &Domain, attempt: u32) {
        let made = self.running.get(domain);
        if made.is_some_and(|(number, task)| *number == attempt && !task.is_finished()) {
            return;
        }
        let task = self.attempts.spawn(make(self.desk.clone(), domain.clone(), attempt));
        if let Some((_, former)) = self.running.insert(domain.clone(), (attempt, task)) {
            former.abort();
        }
    }

    /// Ends what nobody wants any more, and takes in what has been told.
    fn tidy(&mut self, wanted: &BTreeSet<Domain>, now: Timestamp) {
        while self.attempts.try_join_next().is_some() {}
        self.running.retain(|domain, (_, task)| {
            if !wanted.contains(domain) {
                task.abort();
            }
            !task.is_finished() && wanted.contains(domain)
        });
        self.wishes.retain(|domain, _| wanted.contains(domain));
        while let Some(told) = self.questions.try_join_next() {
            let Ok(Told { domain, certificate, answer }) = told else { continue };
            let Some(wish) = self.wishes.get_mut(&domain) else { continue };
            if wish.certificate == certificate {
                wish.window = answer.map(|(window, _)| window);
                let pause = answer.map_or(SILENT, |(_, pause)| pause.max(OFTEN));
                wish.again = Some(now.after(pause));
            }
        }
    }

    /// Asks the CA when a certificate is to be renewed, if it is time to. Returns when it is.
    fn ask(&mut self, state: &State, domain: &Domain, now: Timestamp) -> Option<Timestamp> {
        let certificate = state.certificates().find(domain)?;
        let fingerprint = certificate.fingerprint;
        match self.wishes.get(domain).filter(|wish| wish.certificate == fingerprint) {
            Some(Wish { again: None, .. }) => return Some(now.after(TURN)),
            Some(Wish { again: Some(again), .. }) if *again > now => return Some(*again),
            _ => {}
        }
        let kept = self.wishes.get(domain).filter(|wish| wish.certificate == fingerprint);
        let window = kept.and_then(|wish| wish.window);
        let wish = Wish { certificate: fingerprint, window, again: None };
        self.wishes.insert(domain.clone(), wish);
        let (desk, domain, chain) = (self.desk.clone(), domain.clone(), certificate.chain.clone());
        self.questions.spawn(async move {
            let answer = desk.renewal_window(&domain, &chain).await;
            Told { domain, certificate: fingerprint, answer }
        });
        Some(now.after(TURN))
    }
}

/// What comes next for a domain.
enum Next {
    /// A row to be written; what it says is done when the state shows it.
    Write(Box<AdvanceIssuance>),
    /// What the present row says.
    Act { row: Row, action: Action },
}

impl Next {
    /// Whether another domain would be in the middle of an attempt.
    fn begins(&self) -> bool {
        matches!(self, Self::Write(next) if next.issuance.row.phase.attempt().is_some())
    }
}

#[async_trait]
impl Task for Certs {
    fn name(&self) -> &'static str {
        "certs"
    }

    async fn pass(&mut self, state: Arc<State>) -> Result<Option<Timestamp>, ApiError> {
        let now = self.desk.clock.now();
        if !self.desk.issuer.options.enabled {
            return Ok(None);
        }
        let wanted: BTreeSet<Domain> = state.domains_to_obtain().map(|(d, _)| d).collect();
        self.tidy(&wanted, now);
        let is_busy = |domain: &Domain| {
            state.issuances().find(domain).is_some_and(|i| i.row.phase.attempt().is_some())
        };
        let mut busy = wanted.iter().filter(|domain| is_busy(domain)).count();
        let mut due = Vec::new();
        for domain in &wanted {
            let next = self.step(&state, domain, now).await;
            if next.begins() && !is_busy(domain) {
                if busy >= AT_A_TIME {
                    due.push(now.after(TURN));
                    continue;
                }
                busy += 1;
            }
            match next {
                Next::Write(next) => {
                    self.desk.advance(*next).await?;
                }
                Next::Act { row, action } => {
                    match action {
                        Action::OrderAtStaging | Action::OrderAtProduction | Action::Renew => {
                            self.make(domain, row.attempt);
                            due.push(row.deadline);
                        }
                        Action::Wait { until } => due.extend(until),
                        Action::GiveUp { until } => due.push(until),
                    }
                    if row.phase == Phase::Issued {
                        due.extend(self.ask(&state, domain, now));
                    }
                }
            }
        }
        Ok(due.into_iter().min())
    }
}

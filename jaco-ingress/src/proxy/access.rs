//! Who may come, and how often.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;

use super::{answer::Refusal, visitors::block_of};
use crate::route::{Credential, RateLimit, RouteOptions};

/// So many visitors are remembered for one route. Beyond it those whose bucket is full are forgotten, which changes
/// nothing; a flood from more addresses than this is for another wall.
const REMEMBERED: usize = 16_384;

/// What one route asks of its visitors.
#[derive(Debug)]
pub(super) struct Access {
    allow: Vec<ipnet::IpNet>,
    deny: Vec<ipnet::IpNet>,
    credentials: Option<Vec<Credential>>,
    /// Digests of `name:password`: comparing them takes the same time wherever they differ. Absent where no
    /// password is asked for.
    digests: Option<Vec<[u8; 32]>>,
    rate: Option<RateLimit>,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    filled: Instant,
}

impl Access {
    pub(super) fn new(options: &RouteOptions) -> Self {
        let digest = |credential: &Credential| -> [u8; 32] {
            let mut hash = Sha256::new();
            hash.update(&credential.user);
            hash.update(":");
            hash.update(credential.password.as_bytes());
            hash.finalize().into()
        };
        Self {
            allow: options.allow.clone(),
            deny: options.deny.clone(),
            credentials: options.basic_auth.clone(),
            digests: options.basic_auth.as_ref().map(|all| all.iter().map(digest).collect()),
            rate: options.rate_limit,
            buckets: Mutex::default(),
        }
    }

    /// Whether it asks exactly what the options say.
    pub(super) fn is_for(&self, options: &RouteOptions) -> bool {
        self.allow == options.allow
            && self.deny == options.deny
            && self.credentials == options.basic_auth
            && self.rate == options.rate_limit
    }

    pub(super) fn check(&self, visitor: IpAddr, headers: &HeaderMap) -> Result<(), Refusal> {
        let within = |blocks: &[ipnet::IpNet]| blocks.iter().any(|block| block.contains(&visitor));
        if within(&self.deny) || !(self.allow.is_empty() || within(&self.allow)) {
            return Err(Refusal::NotAllowed);
        }
        // Before the password: guessing is what a limit is for, too.
        if !self.rate.is_none_or(|rate| self.has_left(rate, visitor)) {
            return Err(Refusal::TooMany);
        }
        if self.digests.as_ref().is_some_and(|known| !knows(known, headers)) {
            return Err(Refusal::Unauthorized);
        }
        Ok(())
    }

    /// Whether the request brings a name and password, and so its header is ours and not the service's.
    pub(super) fn asks_for_password(&self) -> bool {
        self.digests.is_some()
    }

    fn has_left(&self, rate: RateLimit, visitor: IpAddr) -> bool {
        let (now, burst) = (Instant::now(), f64::from(rate.burst.max(1)));
        let refilled = |bucket: &Bucket| {
            let since = now.saturating_duration_since(bucket.filled).as_secs_f64();
            (bucket.left + since * rate.per_second()).min(burst)
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= REMEMBERED {
            buckets.retain(|_, bucket| refilled(bucket) < burst);
            if buckets.len() >= REMEMBERED {
                buckets.clear();
            }
        }
        let full = Bucket { left: burst, filled: now };
        let bucket = buckets.entry(block_of(visitor)).or_insert(full);
        let left = refilled(bucket);
        let enough = left >= 1.0;
        *bucket = Bucket { left: if enough { left - 1.0 } else { left }, filled: now };
        enough
    }
}

fn knows(known: &[[u8; 32]], headers: &HeaderMap) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
        .and_then(|(_, pair)| STANDARD.decode(pair.trim()).ok());
    let Some(given) = given else { return false };
    let given: [u8; 32] = Sha256::digest(given).into();
    known.iter().fold(0, |found, known| found | known.ct_eq(&given).unwrap_u8()) == 1
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;

    use super::*;

    fn at(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_is_refilled_evenly_and_is_each_visitors_own() {
        let rate_limit = Some(RateLimit { requests: 2, per: Duration::from_secs(1), burst: 3 });
        let access = Access::new(&RouteOptions { rate_limit, ..RouteOptions::default() });
        let ask = |visitor| access.check(visitor, &HeaderMap::new()).is_ok();
        assert_eq!([ask(at(1)), ask(at(1)), ask(at(1)), ask(at(1))], [true, true, true, false]);
        assert!(ask(at(2)));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!([ask(at(1)), ask(at(1))], [true, false]);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!([ask(at(1)), ask(at(1)), ask(at(1)), ask(at(1))], [true, true, true, false]);
    }

    #[test]
    fn a_denied_address_is_denied_though_it_is_allowed() {
        let access = Access::new(&RouteOptions {
            allow: vec!["10.0.0.0/24".parse().expect("a block")],
            deny: vec!["10.0.0.7/32".parse().expect("a block")],
            ..RouteOptions::default()
        });
        let ask = |visitor| access.check(visitor, &HeaderMap::new());
        assert_eq!(ask(at(1)), Ok(()));
        assert_eq!(ask(at(7)), Err(Refusal::NotAllowed));
        assert_eq!(ask([11, 0, 0, 1].into()), Err(Refusal::NotAllowed));
    }

    #[test]
    fn a_password_opens_and_is_not_shown() {
        let credential =
            Credential { user: "ann".into(), password: String::from("s3:cret").into() };
        let access = Access::new(&RouteOptions {
            basic_auth: Some(vec![credential]),
            ..RouteOptions::default()
        });
        let ask = |pair: &str| {
            let value = format!("Basic {}", STANDARD.encode(pair));
            let value = HeaderValue::from_str(&value).expect("a value");
            access.check(at(1), &HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
        };
        assert_eq!(ask("ann:s3:cret"), Ok(()));
        for wrong in ["ann:", "ann:s3", "bob:s3:cret", ""] {
            assert_eq!(ask(wrong), Err(Refusal::Unauthorized), "{wrong}");
        }
        assert_eq!(access.check(at(1), &HeaderMap::new()), Err(Refusal::Unauthorized));
        assert!(!format!("{access:?}").contains("s3"));
    }
}

//! The authority of a request: the host that it is for.

use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderValue, Version, header, request::Parts};

use super::answer::Refusal;
use crate::route::host_of;

/// What was asked for.
#[derive(Debug)]
pub(super) struct Authority {
    /// As it was written.
    pub(super) written: HeaderValue,
    /// The name in it, as routes have it.
    pub(super) host: String,
}

/// The last authority that a connection asked for. Mostly it asks for the same again, and what was read stays so.
#[derive(Debug, Default)]
pub(super) struct LastAuthority(Mutex<Option<Arc<Authority>>>);

impl LastAuthority {
    /// The one authority of a request.
    ///
    /// # Errors
    /// It has none, or more than one, or that names no host.
    pub(super) fn of(&self, request: &Parts) -> Result<Arc<Authority>, Refusal> {
        let written = written(request)?;
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last.as_ref().filter(|last| last.written.as_bytes() == written) {
            return Ok(Arc::clone(last));
        }
        let authority = Arc::new(Authority::read(written).ok_or(NO_HOST)?);
        *last = Some(Arc::clone(&authority));
        Ok(authority)
    }
}

pub(super) const NO_HOST: Refusal = Refusal::BadRequest("no host of this form");

impl Authority {
    fn read(written: &[u8]) -> Option<Self> {
        let host = host_of(std::str::from_utf8(written).ok()?)?.into_owned();
        Some(Self { written: HeaderValue::from_bytes(written).ok()?, host })
    }
}

/// Two that differ are what a cache in front of us could be poisoned with.
fn written(request: &Parts) -> Result<&[u8], Refusal> {
    let mut lines = request.headers.get_all(header::HOST).iter();
    let (host, second) = (lines.next().map(HeaderValue::as_bytes), lines.next());
    if second.is_some() {
        return Err(Refusal::BadRequest("more than one host"));
    }
    let target = request.uri.authority().map(|target| target.as_str().as_bytes());
    match (target, host) {
        (Some(target), Some(host)) if host.eq_ignore_ascii_case(target) => Ok(host),
        // An absolute target goes before the header in HTTP/1.1; in HTTP/2 the two must agree.
        (Some(_), Some(_)) if request.version == Version::HTTP_2 => {
            Err(Refusal::BadRequest("two hosts"))
        }
        (Some(one), _) | (None, Some(one)) => Ok(one),
        (None, None) => Err(Refusal::BadRequest("no host")),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn asked(target: &str, hosts: &[&str], version: Version) -> Parts {
        let mut request = Request::builder().uri(target).version(version);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn one_host_is_asked_for_whatever_was_before() {
        let last = LastAuthority::default();
        let (old, new) = (Version::HTTP_11, Version::HTTP_2);
        for _ in 0..2 {
            for (target, hosts, version, expected) in [
                ("/", &["a.test"][..], old, Ok("a.test")),
                ("/", &["A.test:80"], old, Ok("a.test")),
                ("http://b.test/", &[], new, Ok("b.test")),
                ("http://b.test/", &["B.test"], new, Ok("b.test")),
                ("http://b.test/", &["a.test"], old, Ok("b.test")),
                ("http://b.test/", &["a.test"], new, Err(Refusal::BadRequest("two hosts"))),
                ("/", &["a.test", "a.test"], old, Err(Refusal::BadRequest("more than one host"))),
                ("/", &[], old, Err(Refusal::BadRequest("no host"))),
                ("/", &["a b"], old, Err(NO_HOST)),
                ("/", &["\u{e9}.test"], old, Err(NO_HOST)),
            ] {
                let found = last.of(&asked(target, hosts, version));
                assert_eq!(found.as_ref().map(|a| &*a.host).map_err(|e| *e), expected);
                if let (Ok(found), [host]) = (found, hosts) {
                    let written = if expected == Ok("a.test") { host } else { &&*found.host };
                    assert!(found.written.as_bytes().eq_ignore_ascii_case(written.as_bytes()));
                }
            }
        }
    }
}

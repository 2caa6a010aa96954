//! Passwords of routes: sealed before anything is written, opened where what is in force is compared with.

use std::collections::BTreeMap;

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::{ManifestDocument, Password, RouteSpec, Sealed},
};

use crate::{
    seal::{self, Keyring, SealError},
    state::State,
};

/// The routes of a manifest with their passwords sealed. One that is in force already keeps its ciphertext, so that
/// state can tell that nothing is new.
pub(super) fn sealed(
    state: &State,
    keyring: &Keyring,
    document: &ManifestDocument,
) -> Vec<RouteSpec> {
    let mut present: BTreeMap<(&str, &str, &str), &Sealed> = BTreeMap::new();
    let in_force = state.revision_in_force(&document.deployment);
    for route in in_force.iter().flat_map(|revision| &revision.routes) {
        for (user, password) in &route.options.basic_auth {
            present.insert((&route.domain, &route.path, user), password);
        }
    }
    let seal = |route: &RouteSpec<Password>| {
        let (domain, path) = (route.domain.clone(), route.path.clone());
        let sealed = route.clone().try_with_passwords(|user, password| {
            let plain = password.0.as_bytes();
            let same = present.get(&(&*domain, &*path, user)).filter(|sealed| {
                keyring.open(seal::ROUTE_PASSWORD, sealed).is_ok_and(|known| *known == plain)
            });
            Ok::<_, std::convert::Infallible>(match same {
                Some(sealed) => Sealed::clone(sealed),
                None => keyring.seal(seal::ROUTE_PASSWORD, plain),
            })
        });
        match sealed {
            Ok(route) => route,
            Err(never) => match never {},
        }
    };
    document.routes.iter().map(seal).collect()
}

/// The password that was sealed.
///
/// # Errors
/// [`SealError`]; one that is no text counts as one that does not open.
pub(crate) fn password(keyring: &Keyring, sealed: &Sealed) -> Result<Password, SealError> {
    let plain = keyring.open(seal::ROUTE_PASSWORD, sealed)?;
    let text = std::str::from_utf8(&plain)
        .map_err(|_| SealError::DoesNotOpen { context: seal::ROUTE_PASSWORD.to_owned() })?;
    Ok(Password(text.to_owned()))
}

/// The routes with their passwords opened.
///
/// # Errors
/// `internal` when one cannot be opened with this node's keys.
pub(super) fn opened(
    keyring: &Keyring,
    routes: &[RouteSpec],
) -> Result<Vec<RouteSpec<Password>>, ApiError> {
    let open = |route: &RouteSpec| {
        let shown = format!("{}{}", route.domain, route.path);
        route.clone().try_with_passwords(|user, sealed| {
            password(keyring, &sealed).map_err(|error| {
                let message =
                    format!("the password of {user} at {shown} cannot be opened: {error}");
                ApiError::new(ErrorCode::Internal, message)
            })
        })
    };
    routes.iter().map(open).collect()
}

#[cfg(test)]
mod tests {
    use jaco_api::{
        manifest::Source,
        model::{Principal, Role},
    };

    use super::*;
    use crate::{
        admission::{apply, document_of},
        command::{Envelope, Outcome, encode},
        state::snapshot,
        summary,
        testing::builders::{Scenario, name},
    };

    const COMPOSE: &str = "services: {web: {image: 'web:1'}}\n";

    fn source(text: String) -> Source {
        Source { name: "file".to_owned(), text }
    }

    /// Applies a route with these users, and says what the log holds of it.
    fn applied(s: &mut Scenario, keyring: &Keyring, users: &str) -> (Outcome, Vec<u8>) {
        let who = Principal {
            identity: name("ci"),
            role: Role::Admin,
            deployments: Vec::new(),
            allow_privileged: false,
            uid: None,
        };
        let jaco = format!(
            "deployment: shop\nacme_email: ops@shop.example\nroutes:\n  - {{domain: shop.example, service: web, port: 80, basic_auth: {users}}}\n"
        );
        let compose = source(COMPOSE.to_owned());
        let admitted = apply(&s.state, &who, keyring, &source(jaco), &compose).unwrap();
        let command = admitted.into_command();
        let entry = encode(&Envelope { command: command.clone(), ..s.log[0].1.clone() });
        (s.run(command), entry)
    }

    fn holds(bytes: &[u8], text: &str) -> bool {
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    }

    #[test]
    fn the_same_passwords_again_are_no_change_and_the_log_holds_none() {
        let (mut s, keyring) = (Scenario::new(), Keyring::ephemeral());
        let revision = |number, changed| Outcome::Revision { number, changed };
        for (users, outcome) in [
            ("{ann: hunter2}", revision(1, true)),
            ("{ann: hunter2}", revision(1, false)),
            ("{ann: hunter3}", revision(2, true)),
            ("{ann: hunter3, bob: hunter2}", revision(3, true)),
            ("{bob: hunter2, ann: hunter3}", revision(3, false)),
            ("{bob: hunter2}", revision(4, true)),
        ] {
            let (found, entry) = applied(&mut s, &keyring, users);
            assert_eq!(found, outcome, "{users}");
            assert!(holds(&entry, "shop.example") && !holds(&entry, "hunter"), "{users}");
        }
        let bytes = snapshot::write(&s.state);
        assert!(holds(&bytes, "bob") && !holds(&bytes, "hunter"));
        let status = summary::deployment(&s.state, &name("shop")).unwrap();
        assert_eq!(status.routes[0].options.basic_auth.keys().collect::<Vec<_>>(), ["bob"]);
    }

    #[test]
    fn what_is_in_force_is_read_with_the_keys_it_was_sealed_with() {
        let (mut s, keyring) = (Scenario::new(), Keyring::ephemeral());
        applied(&mut s, &keyring, "{ann: hunter2}");
        // A new key seals what is new; what is in force stays as it is.
        keyring.rotate().unwrap();
        let (outcome, _) = applied(&mut s, &keyring, "{ann: hunter2}");
        assert_eq!(outcome, Outcome::Revision { number: 1, changed: false });
        let revision = s.state.revision_in_force(&name("shop")).unwrap();
        let read = |keyring: &Keyring| document_of(&s.state, keyring, &name("shop"), revision);
        let document = read(&keyring).unwrap();
        assert_eq!(document.routes[0].options.basic_auth["ann"], Password("hunter2".to_owned()));
        assert_eq!(document.acme_email.as_deref(), Some("ops@shop.example"));
        assert_eq!(read(&Keyring::ephemeral()).unwrap_err().code, ErrorCode::Internal);
    }
}

//! What a route asks for, in one field of a table.

use jaco_api::model::{Hidden, RouteOptions, RouteProtocol, Stickiness};

/// Every option by the key of the manifest, in its order; empty where there is none. Of passwords only who has one.
#[must_use]
pub fn told(options: &RouteOptions<Hidden>) -> String {
    let mut parts = Vec::new();
    let mut tell = |given: bool, text: &dyn Fn() -> String| {
        if given {
            parts.push(text());
        }
    };
    tell(options.protocol == RouteProtocol::H2c, &|| "protocol h2c".to_owned());
    tell(options.strip_path, &|| "strip_path".to_owned());
    if let Some(to) = &options.redirect_to {
        let path = if to.keep_path { "/…" } else { "" };
        let permanent = if to.permanent { " permanent" } else { "" };
        tell(true, &|| format!("redirect_to {}{path}{permanent}", to.url));
    }
    let (request, response) = (&options.headers.request, &options.headers.response);
    let changed = request.set.len() + request.remove.len() + response.set.len();
    let changed = changed + response.remove.len();
    tell(changed > 0, &|| format!("headers {changed}"));
    if let Some(timeout) = options.timeout {
        tell(true, &|| format!("timeout {timeout}"));
    }
    if let Some(most) = options.max_body {
        tell(true, &|| format!("max_body {}", bytes(most)));
    }
    if let Some(by) = options.sticky {
        let by = match by {
            Stickiness::Cookie => "cookie",
            Stickiness::Ip => "ip",
        };
        tell(true, &|| format!("sticky {by}"));
    }
    let users: Vec<&str> = options.basic_auth.keys().map(String::as_str).collect();
    tell(!users.is_empty(), &|| format!("basic_auth {}", listed(&users)));
    if let Some(rate) = options.rate_limit {
        tell(true, &|| format!("rate_limit {rate}"));
    }
    for (key, blocks) in [("allow", &options.allow), ("deny", &options.deny)] {
        let blocks: Vec<String> = blocks.iter().map(ToString::to_string).collect();
        tell(!blocks.is_empty(), &|| format!("{key} {}", listed(&blocks)));
    }
    tell(options.compress, &|| "compress".to_owned());
    parts.join("; ")
}

/// The first few, and how many more.
fn listed(all: &[impl AsRef<str>]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<&str> = all.iter().take(SHOWN).map(AsRef::as_ref).collect();
    let more = match all.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", shown.join(", "))
}

/// A size as manifests write it, where it has that form.
fn bytes(size: u64) -> String {
    let units = [("g", 30), ("m", 20), ("k", 10)];
    let fits = |(_, shift): &&(&str, u32)| size >> shift << shift == size && size > 0;
    match units.iter().find(fits) {
        Some((unit, shift)) => format!("{}{unit}", size >> shift),
        None => size.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use jaco_api::model::{RedirectSpec, RequestRate, Span};

    use super::*;

    #[test]
    fn options_are_told_by_their_keys() {
        assert_eq!(told(&RouteOptions::default()), "");
        let users = ["ann", "bob", "cy", "dee"];
        let options = RouteOptions {
            strip_path: true,
            redirect_to: Some(RedirectSpec {
                url: "https://b.example".to_owned(),
                permanent: true,
                keep_path: true,
            }),
            timeout: Some(Span::secs(30)),
            max_body: Some(10 << 20),
            sticky: Some(Stickiness::Cookie),
            basic_auth: users.map(|user| (user.to_owned(), Hidden)).into(),
            rate_limit: Some(RequestRate { requests: 10, per: Span::secs(1), burst: 20 }),
            deny: vec!["10.0.0.0/8".parse().unwrap()],
            ..RouteOptions::default()
        };
        assert_eq!(
            told(&options),
            "strip_path; redirect_to https://b.example/… permanent; timeout 30s; max_body 10m; \
             sticky cookie; basic_auth ann, bob, cy and 1 more; rate_limit 10 in 1s, 20 at once; \
             deny 10.0.0.0/8"
        );
        assert_eq!((bytes(1500), bytes(3 << 30)), ("1500".to_owned(), "3g".to_owned()));
    }
}

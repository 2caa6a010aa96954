//! Routes, as they are shown: without passwords.

use ipnet::IpNet;

use super::{InvalidMessage, parse};
use crate::{
    model,
    model::{Hidden, Span},
    pb,
};

impl From<model::RouteSpec<Hidden>> for pb::Route {
    fn from(r: model::RouteSpec<Hidden>) -> Self {
        Self {
            domain: r.domain,
            path: r.path,
            service: r.service.into(),
            port: r.port.into(),
            tls: match r.tls {
                model::TlsMode::Auto => "auto".to_owned(),
                model::TlsMode::Off => "off".to_owned(),
                model::TlsMode::Imported(name) => format!("imported:{name}"),
            },
            options: (r.options != model::RouteOptions::default()).then(|| r.options.into()),
        }
    }
}
impl TryFrom<pb::Route> for model::RouteSpec<Hidden> {
    type Error = InvalidMessage;
    fn try_from(r: pb::Route) -> Result<Self, InvalidMessage> {
        Ok(Self {
            domain: r.domain,
            path: r.path,
            service: parse("service", &r.service)?,
            port: u16::try_from(r.port).map_err(|e| InvalidMessage::new("port", e))?,
            tls: match r.tls.as_str() {
                "auto" => model::TlsMode::Auto,
                "off" => model::TlsMode::Off,
                other => match other.strip_prefix("imported:") {
                    Some(name) => model::TlsMode::Imported(name.to_owned()),
                    None => return Err(InvalidMessage::new("tls", "is not a tls mode")),
                },
            },
            options: r.options.map(TryInto::try_into).transpose()?.unwrap_or_default(),
        })
    }
}

impl From<model::RouteOptions<Hidden>> for pb::RouteOptions {
    fn from(o: model::RouteOptions<Hidden>) -> Self {
        let texts = |nets: Vec<IpNet>| nets.iter().map(ToString::to_string).collect();
        Self {
            strip_path: o.strip_path,
            redirect_to: o.redirect_to.map(|to| pb::RouteRedirect {
                url: to.url,
                permanent: to.permanent,
                keep_path: to.keep_path,
            }),
            request_headers: changes(o.headers.request),
            response_headers: changes(o.headers.response),
            timeout_ms: o.timeout.map(|t| t.0),
            max_body: o.max_body,
            sticky: match o.sticky {
                None => pb::Stickiness::Unspecified,
                Some(model::Stickiness::Cookie) => pb::Stickiness::Cookie,
                Some(model::Stickiness::Ip) => pb::Stickiness::Ip,
            }
            .into(),
            users: o.basic_auth.into_keys().collect(),
            rate_limit: o.rate_limit.map(|rate| pb::RequestRate {
                requests: rate.requests,
                per_ms: rate.per.0,
                burst: rate.burst,
            }),
            allow: texts(o.allow),
            deny: texts(o.deny),
            compress: o.compress,
            protocol: match o.protocol {
                model::RouteProtocol::Http => pb::RouteProtocol::Unspecified,
                model::RouteProtocol::H2c => pb::RouteProtocol::H2c,
            }
            .into(),
        }
    }
}
impl TryFrom<pb::RouteOptions> for model::RouteOptions<Hidden> {
    type Error = InvalidMessage;
    fn try_from(o: pb::RouteOptions) -> Result<Self, InvalidMessage> {
        let unknown = |field: &'static str| move |e| InvalidMessage::new(field, e);
        Ok(Self {
            strip_path: o.strip_path,
            redirect_to: o.redirect_to.map(|to| model::RedirectSpec {
                url: to.url,
                permanent: to.permanent,
                keep_path: to.keep_path,
            }),
            headers: model::HeaderRules {
                request: changed(o.request_headers),
                response: changed(o.response_headers),
            },
            timeout: o.timeout_ms.map(Span),
            max_body: o.max_body,
            sticky: match pb::Stickiness::try_from(o.sticky).map_err(unknown("sticky"))? {
                pb::Stickiness::Unspecified => None,
                pb::Stickiness::Cookie => Some(model::Stickiness::Cookie),
                pb::Stickiness::Ip => Some(model::Stickiness::Ip),
            },
            basic_auth: o.users.into_iter().map(|user| (user, Hidden)).collect(),
            rate_limit: o.rate_limit.map(|rate| model::RequestRate {
                requests: rate.requests,
                per: Span(rate.per_ms),
                burst: rate.burst,
            }),
            allow: nets("allow", &o.allow)?,
            deny: nets("deny", &o.deny)?,
            compress: o.compress,
            protocol: match pb::RouteProtocol::try_from(o.protocol).map_err(unknown("protocol"))? {
                pb::RouteProtocol::Unspecified => model::RouteProtocol::Http,
                pb::RouteProtocol::H2c => model::RouteProtocol::H2c,
            },
        })
    }
}

fn nets(field: &'static str, texts: &[String]) -> Result<Vec<IpNet>, InvalidMessage> {
    texts.iter().map(|text| parse(field, text)).collect()
}

fn changes(changes: model::HeaderChanges) -> Option<pb::HeaderChanges> {
    let some = changes != model::HeaderChanges::default();
    some.then_some(pb::HeaderChanges { set: changes.set, remove: changes.remove })
}

fn changed(changes: Option<pb::HeaderChanges>) -> model::HeaderChanges {
    let changes = changes.unwrap_or_default();
    model::HeaderChanges { set: changes.set, remove: changes.remove }
}

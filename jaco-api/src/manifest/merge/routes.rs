//! Routes: every one leads to a service, and no two claim the same.

use std::collections::BTreeMap;

use super::{Merge, unknown_service};
use crate::{
    error::ErrorCode,
    manifest::{
        compose::Shared,
        report::{Mark, cut},
        route::RouteDraft,
    },
    model::{Password, RouteSpec, ServiceName, TlsMode},
};

impl Merge<'_, '_, '_> {
    /// The routes in the order of the manifest.
    pub(super) fn routes(&mut self) -> Vec<RouteSpec<Password>> {
        let mut out: Vec<RouteSpec<Password>> = Vec::new();
        let mut tls_of: BTreeMap<String, TlsMode> = BTreeMap::new();
        let mut lines: BTreeMap<(String, String), u32> = BTreeMap::new();
        let jaco = self.jaco;
        for (index, draft) in jaco.routes.iter().enumerate().filter(|(_, d)| !d.broken) {
            let path = format!("routes[{index}]");
            let route = self.route(draft, &path);
            let (domain, prefix, tls) = self.identity(draft);
            let at = draft.domain.as_ref().map_or(draft.mark, |d| d.1);
            self.jaco_report.within(&path, |report| {
                let key = (domain.clone(), prefix.clone());
                if let Some(line) = lines.insert(key, draft.mark.line) {
                    let message = if domain.is_empty() {
                        format!("a second catch-all route for `{prefix}`: without a domain it takes every request")
                    } else {
                        format!("a second route for {domain}{prefix}")
                    };
                    let hint = Some(format!("the first is on line {line}"));
                    report.coded(ErrorCode::RouteConflict, at, message, hint);
                }
                let first = tls_of.entry(domain.clone()).or_insert_with(|| tls.clone());
                if *first != tls {
                    let message = format!(
                        "`tls` differs between the routes of {}: {} and {}",
                        if domain.is_empty() { "the catch-all" } else { &domain },
                        shown(first),
                        shown(&tls)
                    );
                    let mark = draft.tls.as_ref().map_or(at, |t| t.1);
                    let hint = Some("give all routes of a domain the same `tls`".to_owned());
                    report.coded(ErrorCode::RouteTlsMixed, mark, message, hint);
                }
            });
            out.extend(route);
        }
        out
    }

    /// Domain, path and effective TLS. No certificate can be obtained for a route without a domain.
    fn identity(&self, draft: &RouteDraft) -> (String, String, TlsMode) {
        let domain = draft.domain.as_ref().map(|d| d.0.clone()).unwrap_or_default();
        let path = draft.path.clone().unwrap_or_else(|| "/".to_owned());
        let unset =
            if self.jaco.acme_off || domain.is_empty() { TlsMode::Off } else { TlsMode::Auto };
        (domain, path, draft.tls.as_ref().map_or(unset, |t| t.0.clone()))
    }

    fn route(&mut self, draft: &RouteDraft, path: &str) -> Option<RouteSpec<Password>> {
        let (domain, prefix, tls) = self.identity(draft);
        let file = self.report.file();
        if let (TlsMode::Auto, Some((_, mark)), true) = (&tls, &draft.tls, domain.is_empty()) {
            self.jaco_report.within(&format!("{path}.tls"), |report| {
                let message = "no certificate can be obtained for a route without a domain";
                report.error_hint(*mark, message, "write `tls: off`, or name the domain");
            });
        }
        let (service, mark) = draft.service.as_ref()?;
        self.jaco_report.within(&format!("{path}.service"), |report| {
            if !self.compose.service_names.contains(service) {
                unknown_service(service, *mark, self.compose, file, report);
            }
        });
        self.check_reachable(service, *mark, path);
        self.check_cron_route(service, *mark, path);
        Some(RouteSpec {
            domain,
            path: prefix,
            service: ServiceName::new(service).ok()?,
            port: draft.port?,
            tls,
            options: draft.options.clone(),
        })
    }

    fn check_reachable(&mut self, service: &str, mark: Mark, path: &str) {
        let Some(draft) = self.compose.services.get(service) else { return };
        if let Some(join) = draft.joins.iter().find(|j| j.shared == Shared::Network) {
            return self.jaco_report.within(path, |report| {
                let lead = cut(&join.service);
                let message =
                    format!("`{}` has no address of its own, but that of `{lead}`", cut(service));
                report.error_hint(mark, message, format!("write `service: {lead}`"));
            });
        }
        let isolated = draft.network_mode.is_some();
        if isolated {
            self.jaco_report.within(path, |report| {
                let message =
                    format!("`{}` cannot be reached: its `network_mode` is none", cut(service));
                report.error(mark, message);
            });
        }
    }
}

fn shown(tls: &TlsMode) -> String {
    match tls {
        TlsMode::Auto => "auto".to_owned(),
        TlsMode::Off => "off".to_owned(),
        TlsMode::Imported(name) => format!("the certificate {}", cut(name)),
    }
}

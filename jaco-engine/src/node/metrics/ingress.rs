//! What visitors asked for, by route, and until when certificates are valid.

use std::{collections::HashMap, fmt};

use jaco_ingress::proxy::{BUCKETS_MS, RouteKey, RouteStats};
use prometheus_client::{
    encoding::{EncodeMetric as _, NoLabelSet},
    metrics::{MetricType, counter::ConstCounter, exemplar::Exemplar},
    registry::Unit,
};

use super::{
    Reading,
    text::{Page, number},
};

/// The classes of answers, as [`RouteStats::answers`] has them.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

fn labels(route: &RouteKey) -> [(&str, &str); 4] {
    [
        ("domain", route.domain.as_str()),
        ("path", route.path.as_str()),
        ("deployment", route.deployment.as_str()),
        ("service", route.service.as_str()),
    ]
}

impl Page<'_> {
    /// The numbers of every route that has been served since the node began.
    pub(super) fn routes(&mut self, reading: &Reading) -> fmt::Result {
        let routes = &reading.routes;
        let help = "Requests of visitors, by the class of the answer";
        let mut family =
            self.0.encode_descriptor("ingress_requests", help, None, MetricType::Counter)?;
        for (route, stats) in routes {
            let [domain, path, deployment, service] = labels(route);
            for (class, count) in CLASSES.iter().zip(stats.answers) {
                let set = [domain, path, deployment, service, ("class", class)];
                ConstCounter::new(count).encode(family.encode_family(&set)?)?;
            }
        }
        let help = "From the head of a request until its answer was sent whole";
        let mut family = self.0.encode_descriptor(
            "ingress_request_duration",
            help,
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        for (route, stats) in routes {
            let none: Option<&HashMap<usize, Exemplar<NoLabelSet, f64>>> = None;
            let (sum, count) = (stats.duration_sum.as_secs_f64(), stats.durations.iter().sum());
            family.encode_family(&labels(route))?.encode_histogram(
                sum,
                count,
                &buckets(stats),
                none,
            )?;
        }
        let help =
            "Connects and exchanges with replicas that failed, those that were tried again too";
        self.each("ingress_upstream_errors", help, reading, |stats| stats.upstream_errors)?;
        let help = "Requests that were sent to another replica";
        self.each("ingress_retries", help, reading, |stats| stats.retries)?;
        let help = "Requests under way";
        let mut family =
            self.0.encode_descriptor("ingress_in_flight", help, None, MetricType::Gauge)?;
        for (route, stats) in routes {
            family.encode_family(&labels(route))?.encode_gauge(&number(stats.in_flight))?;
        }
        Ok(())
    }

    fn each(
        &mut self,
        name: &str,
        help: &str,
        reading: &Reading,
        of: impl Fn(&RouteStats) -> u64,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (route, stats) in &reading.routes {
            ConstCounter::new(of(stats)).encode(family.encode_family(&labels(route))?)?;
        }
        Ok(())
    }

    /// When each certificate ends: the same on every node.
    pub(super) fn certificates<'c>(
        &mut self,
        all: impl Iterator<Item = (&'c String, &'c u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(
            "certificate_expiry_timestamp",
            "When the certificate of a domain ends, in Unix time",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        for (domain, end) in all {
            family.encode_family(&[("domain", domain.as_str())])?.encode_gauge(&number(*end))?;
        }
        Ok(())
    }
}

/// How many requests took up to so many seconds, and longer than the bound before.
fn buckets(stats: &RouteStats) -> Vec<(f64, u64)> {
    #[expect(clippy::cast_precision_loss, reason = "the bounds are small")]
    let bounds = BUCKETS_MS.iter().map(|ms| *ms as f64 / 1000.0).chain([f64::INFINITY]);
    bounds.zip(stats.durations).collect()
}

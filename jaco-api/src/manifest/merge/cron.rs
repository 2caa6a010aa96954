//! Services that run at times: what goes with a schedule and what does not.

use super::{Merge, override_of};
use crate::{
    manifest::{
        compose::ServiceDraft,
        report::{Mark, cut},
    },
    model::{CronSchedule, Placement, RestartCondition, ServiceName},
};

impl Merge<'_, '_, '_> {
    /// The schedule of a service, if it has one.
    pub(super) fn cron_of(&self, service: &str) -> Option<&CronSchedule> {
        self.overrides.get(service)?.cron.as_ref().map(|(cron, _)| cron)
    }

    /// Refuses what a service that runs at times cannot have: each tick is one run, which ends, and
    /// between runs there is nothing.
    pub(super) fn check_cron(
        &mut self,
        name: &ServiceName,
        draft: &ServiceDraft,
        path: &str,
        placement: Option<&Placement>,
    ) {
        if self.cron_of(name.as_str()).is_none() {
            return;
        }
        self.check_cron_counts(name, draft, path, placement);
        if let Some((RestartCondition::Any, mark)) = draft.deploy.restart.condition {
            let message = format!("a run of `{name}` would never end: its restart policy is `any`");
            self.report.within(&format!("{path}.deploy.restart_policy.condition"), |r| {
                r.error_hint(mark, message, "write `on-failure` or `none`");
            });
        }
        if let Some((_, mark)) = draft.ports.first() {
            let message = format!(
                "`{name}` runs only at its times: a published port needs a service that always runs"
            );
            self.report.within(&format!("{path}.ports"), |r| {
                r.error_hint(*mark, message, "remove `ports`, or the `schedule` in jaco.yaml");
            });
        }
        if let Some((true, mark)) = draft.deploy.wishes.singleton {
            let message = format!("`{name}` has a schedule and cannot be a singleton");
            let hint = "remove the label `jaco.io/singleton`: with `concurrency: forbid`, \
                        which is the default, no run starts beside another one";
            self.report.within(path, |r| r.error_hint(mark, message, hint));
        }
    }

    fn check_cron_counts(
        &mut self,
        name: &ServiceName,
        draft: &ServiceDraft,
        path: &str,
        placement: Option<&Placement>,
    ) {
        let own = override_of(self, name);
        let deploy = &draft.deploy;
        if placement == Some(&Placement::Global) {
            let message =
                format!("`{name}` has a schedule and cannot be global: a tick is one run");
            let hint = "remove `global`, or run one service for each node with `hosts`";
            match (own.and_then(|o| o.placement), deploy.global) {
                (Some((_, mark)), _) => {
                    self.jaco_report.within("services", |r| r.error_hint(mark, message, hint));
                }
                (None, Some(mark)) => {
                    self.report.within(&format!("{path}.deploy.mode"), |r| {
                        r.error_hint(mark, message, hint);
                    });
                }
                (None, None) => {}
            }
            return;
        }
        let message =
            |n| format!("`{name}` has a schedule and cannot have {n} replicas: a tick is one run");
        let hint = "write `replicas: 1`; 0 suspends the schedule";
        match (own.and_then(|o| o.replicas), deploy.replicas.or(deploy.scale)) {
            (Some((n, mark)), _) if n > 1 => {
                self.jaco_report.within("services", |r| r.error_hint(mark, message(n), hint));
            }
            (None, Some((n, mark))) if n > 1 => {
                self.report.within(&format!("{path}.deploy.replicas"), |r| {
                    r.error_hint(mark, message(n), hint);
                });
            }
            _ => {}
        }
    }

    /// Nobody can wait for a service that runs at times, or be led to one.
    pub(super) fn check_cron_route(&mut self, service: &str, mark: Mark, path: &str) {
        if self.cron_of(service).is_some() {
            self.jaco_report.within(path, |report| {
                let message = format!(
                    "`{}` runs only at its times: a route needs a service that always runs",
                    cut(service)
                );
                report.error_hint(mark, message, "remove the route, or the `schedule`");
            });
        }
    }

    /// The same for dependencies.
    pub(super) fn check_cron_dependency(
        &mut self,
        name: &ServiceName,
        attribute: &str,
        target: &str,
        mark: Mark,
    ) {
        if self.cron_of(target).is_some() {
            self.report.within(&format!("services.{name}.{attribute}"), |report| {
                let message = format!(
                    "`{name}` cannot wait for `{}`: it runs only at its times",
                    cut(target)
                );
                let hint = "remove the dependency, or the `schedule` in jaco.yaml";
                report.error_hint(mark, message, hint);
            });
        }
    }
}

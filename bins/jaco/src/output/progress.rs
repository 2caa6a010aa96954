//! Live progress of a deployment: one bar per service on terminals, lines with `--verbose`
//! elsewhere, otherwise nothing.

use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jaco_api::model::{DeploymentName, DeploymentState, ServiceName, ServiceStatus};
use jaco_client::StatusView;

use super::{Output, Talk, style::upper};

/// Shows how far a deployment is.
pub struct Progress {
    deployment: DeploymentName,
    manner: Manner,
}

enum Manner {
    Bars { all: MultiProgress, of: BTreeMap<ServiceName, ProgressBar> },
    Lines { talk: Talk, last: BTreeMap<ServiceName, String> },
    Silent,
}

impl Progress {
    /// Progress of this deployment, as this output shows it.
    #[must_use]
    pub fn of(deployment: &DeploymentName, out: &Output) -> Self {
        let manner = if out.quiet {
            Manner::Silent
        } else if out.draws {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
            Manner::Bars { all, of: BTreeMap::new() }
        } else if out.verbose {
            Manner::Lines { talk: out.talk(), last: BTreeMap::new() }
        } else {
            Manner::Silent
        };
        Self { deployment: deployment.clone(), manner }
    }

    /// Shows what `view` says.
    pub fn show(&mut self, view: &StatusView) {
        let services: &[ServiceStatus] =
            view.deployment(&self.deployment).map_or(&[], |d| &d.services);
        match &mut self.manner {
            Manner::Silent => {}
            Manner::Bars { all, of } => {
                for service in services {
                    let bar =
                        of.entry(service.name.clone()).or_insert_with(|| all.add(bar(service)));
                    draw(bar, service);
                }
                of.retain(|name, bar| {
                    let kept = services.iter().any(|s| s.name == *name);
                    if !kept {
                        bar.finish_and_clear();
                    }
                    kept
                });
            }
            Manner::Lines { talk, last } => {
                for service in services {
                    let text = line(service);
                    if last.get(&service.name) != Some(&text) {
                        talk.say(&text);
                        last.insert(service.name.clone(), text);
                    }
                }
            }
        }
    }

    /// Takes the bars away.
    pub fn end(self) {
        if let Manner::Bars { all, .. } = self.manner {
            // The bars are a help while waiting; the result is printed instead.
            let _ = all.clear();
        }
    }
}

fn bar(service: &ServiceStatus) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:>20} [{bar:24}] {pos}/{len} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    ProgressBar::new(service.desired.into()).with_style(style).with_prefix(service.name.to_string())
}

/// Replicas that are both current and running.
fn done(service: &ServiceStatus) -> u32 {
    service.running.min(service.updated)
}

fn draw(bar: &ProgressBar, service: &ServiceStatus) {
    bar.set_length(service.desired.into());
    bar.set_position(done(service).into());
    bar.set_message(match (&service.reason, service.state) {
        (_, DeploymentState::Active) => String::new(),
        (_, DeploymentState::Scheduled) => "scheduled".to_owned(),
        (Some(reason), _) => reason.clone(),
        (None, state) => upper(&state).to_lowercase(),
    });
}

fn line(service: &ServiceStatus) -> String {
    let ServiceStatus { name, desired, state, .. } = service;
    let reason = service.reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
    format!("{name}: {}/{desired} {}{reason}", done(service), upper(state).to_lowercase())
}

//! The manifests of a scenario's deployments.

use std::time::Duration;

use jaco_client::Apply;

use crate::scenario::{Deployment, Image, Recipe};

/// How often [`Deployment::Timed`] is due.
pub const PERIOD: Duration = Duration::from_secs(15);

/// A deployment with this content, for a cluster of so many hosts.
#[must_use]
pub fn manifest(deployment: Deployment, recipe: &Recipe, hosts: usize) -> Apply {
    let compose = match deployment {
        Deployment::Web => services(&[app(recipe, &replicated(recipe, "start-first", 1), "")]),
        Deployment::Pool => {
            services(&[app(recipe, &replicated(recipe, "stop-first", 2), ""), side(recipe)])
        }
        Deployment::Db => {
            let deploy = format!("replicas: 1, {}", updates(recipe, "stop-first", 1));
            let volume = "    volumes: [\"data:/data\"]\n";
            services(&[app(recipe, &deploy, volume)]) + "volumes:\n  data: {}\n"
        }
        Deployment::Agent => {
            let deploy = format!("mode: global, {}", updates(recipe, "stop-first", 1));
            services(&[app(recipe, &deploy, "")])
        }
        Deployment::Batch => batch(recipe),
        Deployment::Cron => {
            let label = "labels: { \"jaco.io/singleton\": \"true\" }";
            let deploy = format!("replicas: 1, {label}, {}", updates(recipe, "stop-first", 1));
            services(&[app(recipe, &deploy, "")])
        }
        Deployment::Timed => timed(recipe),
        Deployment::Shop => {
            let waits = "    depends_on: { db: { condition: service_healthy } }\n";
            let page = app(recipe, &replicated(recipe, "start-first", 1), waits);
            let db = "  db:\n    image: \"db:1\"\n    deploy: { replicas: 1 }\n    healthcheck: \
                      { test: [CMD-SHELL, \"exit 0\"], interval: 1s, retries: 2 }\n";
            services(&[page, db.to_owned(), side(recipe)])
        }
    };
    let name = deployment.name();
    let jaco = format!("deployment: {name}\n{}", placement(deployment, recipe, hosts));
    Apply {
        jaco,
        compose,
        jaco_name: "jaco.yaml".to_owned(),
        compose_name: "compose.yml".to_owned(),
        ..Apply::default()
    }
}

fn services(all: &[String]) -> String {
    format!("services:\n{}", all.concat())
}

/// The service `app`.
fn app(recipe: &Recipe, deploy: &str, more: &str) -> String {
    let (image, command) = match recipe.image {
        Image::Good | Image::Sick => ("app:1", "[\"serve\"]"),
        Image::Broken => ("broken:1", "[\"sh\", \"-c\", \"exit 1\"]"),
        Image::Missing => ("missing:1", "[\"serve\"]"),
        Image::Stubborn => ("stubborn:1", "[\"sleep\", \"infinity\"]"),
    };
    let verdict = u8::from(recipe.image == Image::Sick);
    // Half of the contents have a check, so that both kinds of health are used.
    let check = match recipe.greeting.is_multiple_of(2) || verdict == 1 {
        true => format!(
            "    healthcheck: {{ test: [CMD-SHELL, \"exit {verdict}\"], interval: 1s, retries: 2 }}\n"
        ),
        false => String::new(),
    };
    let greeting = recipe.greeting;
    format!(
        "  app:\n    image: \"{image}\"\n    command: {command}\n    stop_grace_period: 3s\n    \
         environment: {{ GREETING: \"{greeting}\" }}\n    deploy: {{ {deploy} }}\n{check}{more}"
    )
}

/// A service beside `app`; its content changes with every third of the other's.
fn side(recipe: &Recipe) -> String {
    let content = recipe.greeting / 3;
    format!(
        "  side:\n    image: \"side:1\"\n    command: [\"serve\"]\n    network_mode: service:app\n    \
         environment: {{ GREETING: \"{content}\" }}\n"
    )
}

fn replicated(recipe: &Recipe, order: &str, parallelism: u32) -> String {
    format!("replicas: {}, {}", recipe.replicas, updates(recipe, order, parallelism))
}

fn updates(recipe: &Recipe, order: &str, parallelism: u32) -> String {
    let action = match recipe.on_failure {
        0 | 3 => "rollback",
        1 => "continue",
        _ => "pause",
    };
    format!(
        "update_config: {{ order: {order}, parallelism: {parallelism}, delay: 200ms, monitor: 1s, \
         failure_action: {action} }}"
    )
}

/// What is never started again: each of its ticks runs once, or not at all.
fn timed(recipe: &Recipe) -> String {
    // Between a moment and most of the time until the next tick, so that much happens to runs.
    let seconds = 1 + recipe.greeting % 4 * 3;
    format!(
        "services:\n  app:\n    image: \"app:1\"\n    command: [\"sh\", \"-c\", \"sleep \
         {seconds}; exit 0\"]\n    environment: {{ GREETING: \"{}\" }}\n    deploy: {{ restart_policy: {{ \
         condition: none }} }}\n",
        recipe.greeting
    )
}

/// Every [`PERIOD`], and everything is kept.
fn schedule(recipe: &Recipe) -> String {
    let concurrency = ["forbid", "replace", "allow"][recipe.on_failure as usize % 3];
    let seconds = PERIOD.as_secs();
    format!(
        "services:\n  - name: app\n    schedule: {{ cron: \"*/{seconds} * * * * *\", concurrency: \
         {concurrency}, history: 100, starting_deadline: 30s }}\n"
    )
}

fn batch(recipe: &Recipe) -> String {
    let ends = u8::from(recipe.image == Image::Broken);
    let Recipe { greeting, replicas, .. } = recipe;
    format!(
        "services:\n  app:\n    image: \"app:1\"\n    command: [\"sh\", \"-c\", \"sleep 4; exit \
         {ends}\"]\n    environment: {{ GREETING: \"{greeting}\" }}\n    deploy: {{ replicas: \
         {replicas}, restart_policy: {{ condition: on-failure, max_attempts: 3 }} }}\n"
    )
}

/// Where replicas may be placed, for services that are placed freely.
fn placement(deployment: Deployment, recipe: &Recipe, hosts: usize) -> String {
    if deployment == Deployment::Timed {
        return schedule(recipe);
    }
    if !matches!(deployment, Deployment::Web | Deployment::Pool) {
        return String::new();
    }
    let kind = match recipe.placement {
        1 => "spread".to_owned(),
        2 => "pack".to_owned(),
        3 if recipe.replicas as usize <= hosts => {
            let named = |at| jaco_engine::testing::cluster::host_name(at).to_string();
            let names: Vec<String> = (0..recipe.replicas as usize).map(named).collect();
            format!("hosts, hosts: [{}]", names.join(", "))
        }
        _ => return String::new(),
    };
    format!("services:\n  - {{ name: app, placement: {kind} }}\n")
}

#[cfg(test)]
mod tests {
    use jaco_api::manifest::{Source, check};

    use super::*;

    #[test]
    fn every_deployment_is_a_valid_manifest_whatever_its_content() {
        for deployment in Deployment::ALL.into_iter().chain([Deployment::Timed]) {
            for image in [Image::Good, Image::Broken, Image::Missing, Image::Sick, Image::Stubborn]
            {
                for n in 0..6 {
                    let recipe =
                        Recipe { image, greeting: n, replicas: n + 1, on_failure: n, placement: n };
                    let apply = manifest(deployment, &recipe, 4);
                    let source = |name: &str, text: &str| Source {
                        name: name.to_owned(),
                        text: text.to_owned(),
                    };
                    let read = check(
                        &source("jaco.yaml", &apply.jaco),
                        &source("compose.yml", &apply.compose),
                    );
                    let problems = read.err();
                    assert!(problems.is_none(), "{problems:?}\n{}\n{}", apply.jaco, apply.compose);
                }
            }
        }
    }
}

//! From a container request to the engine's request body. Pure.

mod isolation;
mod mounts;

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig,
    NetworkingConfig, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use jaco_api::model::{ContainerSpec, Healthcheck, Span};

pub(super) use self::mounts::is_short;
use super::memory::Binds;
use crate::container::{ContainerRequest, NetworkJoin};

/// A list that is left out when empty.
fn list(items: &[String]) -> Option<Vec<String>> {
    Some(items.to_vec()).filter(|l| !l.is_empty())
}
/// A number that is left out when zero.
fn set<T: Default + PartialEq>(number: T) -> Option<T> {
    Some(number).filter(|n| *n != T::default())
}
fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
fn nanos(span: Span) -> i64 {
    signed(span.0.saturating_mul(1_000_000))
}
fn map<'a>(
    entries: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Option<HashMap<String, String>> {
    let map: HashMap<_, _> = entries.into_iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    Some(map).filter(|m| !m.is_empty())
}

/// The body that creates a container on its first network; the others are joined afterwards.
pub(super) fn container(request: &ContainerRequest, files: &Binds) -> ContainerCreateBody {
    let spec = &*request.spec;
    let environment = spec.environment.iter().map(|(key, value)| match value {
        Some(value) => format!("{key}={value}"),
        // Without an equals sign the engine takes the variable out of the image's.
        None => key.clone(),
    });
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        hostname: spec.hostname.clone(),
        domainname: spec.domainname.clone(),
        user: spec.user.clone(),
        exposed_ports: list(&spec.expose),
        tty: Some(spec.tty),
        open_stdin: Some(spec.stdin_open),
        env: Some(environment.collect::<Vec<_>>()).filter(|e| !e.is_empty()),
        cmd: spec.command.clone(),
        entrypoint: spec.entrypoint.clone(),
        healthcheck: spec.healthcheck.as_ref().map(health),
        working_dir: spec.working_dir.clone(),
        labels: map(&request.labels),
        stop_signal: spec.stop_signal.clone(),
        stop_timeout: Some(signed(spec.grace().0.div_ceil(1000))),
        host_config: Some(host(request, files)),
        networking_config: networking(request.networks.first()),
        ..ContainerCreateBody::default()
    }
}

fn host(request: &ContainerRequest, files: &Binds) -> HostConfig {
    let spec = &*request.spec;
    let resources = &spec.resources;
    let mut host = HostConfig {
        cpu_shares: set(resources.cpu_shares),
        memory: set(signed(resources.memory_bytes)),
        memory_reservation: set(signed(resources.memory_reservation_bytes)),
        memory_swap: set(resources.memory_swap_bytes),
        nano_cpus: set(signed(resources.cpu_millis.saturating_mul(1_000_000))),
        pids_limit: set(resources.pids),
        cpuset_cpus: Some(resources.cpuset.clone()).filter(|c| !c.is_empty()),
        cpu_period: set(resources.cpu_period_us),
        cpu_quota: set(resources.cpu_quota_us),
        cpu_realtime_period: set(resources.cpu_rt_period_us),
        cpu_realtime_runtime: set(resources.cpu_rt_runtime_us),
        memory_swappiness: resources.memory_swappiness.map(i64::from),
        oom_kill_disable: set(resources.oom_kill_disable),
        network_mode: Some(network_mode(request)),
        // The node restarts its containers; nothing of them is published by the engine.
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        publish_all_ports: Some(false),
        init: spec.init,
        annotations: map(&spec.annotations),
        cap_add: list(&spec.cap_add),
        cap_drop: list(&spec.cap_drop),
        group_add: list(&spec.group_add),
        readonly_rootfs: Some(spec.read_only),
        privileged: Some(spec.privileged),
        security_opt: list(&spec.security_opt),
        oom_score_adj: set(i64::from(spec.oom_score_adj)),
        shm_size: set(signed(spec.shm_size_bytes)),
        sysctls: map(&spec.sysctls),
        ulimits: ulimits(spec),
        ..HostConfig::default()
    };
    resolver(spec, &mut host);
    mounts::fill(&spec.mounts, files, &mut host);
    isolation::fill(request, &mut host);
    host.log_config = spec.logging.as_ref().map(|logging| HostConfigLogConfig {
        typ: Some(logging.driver.clone()),
        config: map(&logging.options),
    });
    host
}

fn resolver(spec: &ContainerSpec, host: &mut HostConfig) {
    let dns: Vec<String> = spec.dns.iter().map(ToString::to_string).collect();
    let hosts = spec.extra_hosts.iter();
    let lines: Vec<String> =
        hosts.flat_map(|(name, to)| to.iter().map(move |ip| format!("{name}:{ip}"))).collect();
    host.dns = list(&dns);
    host.dns_search = list(&spec.dns_search);
    host.dns_options = list(&spec.dns_opt);
    host.extra_hosts = list(&lines);
}

fn network_mode(request: &ContainerRequest) -> String {
    let spec = &request.spec;
    let lead = request.lead.as_ref().filter(|_| spec.beside.as_ref().is_some_and(|b| b.network));
    match (lead, &spec.network_mode, request.networks.first()) {
        (Some(lead), ..) => isolation::of_container(lead),
        (None, Some(mode), _) => mode.clone(),
        (None, None, Some(first)) => first.network.clone(),
        (None, None, None) => "none".to_owned(),
    }
}

fn ulimits(spec: &ContainerSpec) -> Option<Vec<ResourcesUlimits>> {
    let all: Vec<_> = spec
        .ulimits
        .iter()
        .map(|(name, limit)| ResourcesUlimits {
            name: Some(name.clone()),
            soft: Some(limit.soft),
            hard: Some(limit.hard),
        })
        .collect();
    Some(all).filter(|l| !l.is_empty())
}

fn networking(first: Option<&NetworkJoin>) -> Option<NetworkingConfig> {
    let first = first?;
    let endpoints = HashMap::from([(first.network.clone(), endpoint(first))]);
    Some(NetworkingConfig { endpoints_config: Some(endpoints) })
}

/// The option of an endpoint that names its interface.
const INTERFACE: &str = "com.docker.network.endpoint.ifname";

/// How a container joins a network.
pub(super) fn endpoint(join: &NetworkJoin) -> EndpointSettings {
    let mut options = join.driver_opts.clone();
    options.extend(join.interface.iter().map(|name| (INTERFACE.to_owned(), name.clone())));
    EndpointSettings {
        aliases: list(&join.aliases),
        gw_priority: set(join.gateway),
        driver_opts: map(&options),
        ..EndpointSettings::default()
    }
}

fn health(check: &Healthcheck) -> HealthConfig {
    match check {
        Healthcheck::Disabled => {
            HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }
        }
        Healthcheck::Check { test, interval, timeout, start_period, start_interval, retries } => {
            HealthConfig {
                test: list(test),
                interval: interval.map(nanos),
                timeout: timeout.map(nanos),
                start_period: start_period.map(nanos),
                start_interval: start_interval.map(nanos),
                retries: retries.map(i64::from),
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! Attributes of a container that the engine may be too old for. Pure.
//!
//! An engine ignores what it does not know. So what is newer than the oldest engine that works is
//! asked for only of one that knows it; from another one it is an error.

use bollard::ClientVersion;
use jaco_api::model::{ContainerSpec, DeviceRequest, Healthcheck, Mount, MountSource, Recursion};

use crate::container::{ContainerRequest, Labels, NetworkRequest, RuntimeError};

/// An attribute, the minor version of the API that brought it, and the release of Docker.
type Need = (&'static str, usize, &'static str);

/// Refuses a container that asks for more than an engine of this version knows.
pub(super) fn check(request: &ContainerRequest, spoken: ClientVersion) -> Result<(), RuntimeError> {
    let known = (spoken.major_version, spoken.minor_version);
    let newest = needs(request).into_iter().max_by_key(|(_, minor, _)| *minor);
    match newest.filter(|(_, minor, _)| (1, *minor) > known) {
        None => Ok(()),
        Some((attribute, minor, release)) => Err(RuntimeError::AttributeTooNew {
            attribute,
            found: spoken.to_string(),
            needed: format!("1.{minor}"),
            release,
        }),
    }
}

/// The options of a network that an engine of this version knows. What it has no option for, it does not do.
pub(super) fn known_to(options: &Labels, spoken: ClientVersion) -> Labels {
    let known = (spoken.major_version, spoken.minor_version) >= (1, 48);
    let all = options.iter().filter(|(key, _)| known || *key != NetworkRequest::GATEWAY_MODE);
    all.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn needs(request: &ContainerRequest) -> Vec<Need> {
    let spec: &ContainerSpec = &request.spec;
    let mut out = Vec::new();
    let mut need = |wanted: bool, need: Need| out.extend(wanted.then_some(need));
    need(!spec.annotations.is_empty(), ("annotations", 43, "24.0"));
    let cdi = spec.device_requests.iter().any(|r| r.driver == DeviceRequest::CDI);
    need(cdi, ("a device of the Container Device Interface", 44, "25.0"));
    let often =
        matches!(&spec.healthcheck, Some(Healthcheck::Check { start_interval: Some(_), .. }));
    need(often, ("healthcheck.start_interval", 44, "25.0"));
    let gateway = spec.networks.iter().any(|n| n.gw_priority != 0);
    need(gateway, ("networks.gw_priority", 48, "28.0"));
    let interface = request.networks.iter().any(|n| n.interface.is_some());
    need(interface, ("networks.interface_name", 49, "28.1"));
    out.extend(spec.mounts.iter().flat_map(of_mount));
    out
}

fn of_mount(mount: &Mount) -> Option<Need> {
    match &mount.source {
        MountSource::Volume { subpath: Some(_), .. } => Some(("volume.subpath", 45, "26.0")),
        MountSource::Bind { recursive: Some(Recursion::Writable), .. } => {
            Some(("bind.recursive: writable", 44, "25.0"))
        }
        MountSource::Bind { recursive: Some(Recursion::Readonly), .. } => {
            Some(("bind.recursive: readonly", 44, "25.0"))
        }
        source @ MountSource::Bind { create: true, .. }
            if !super::body::is_short(source, &mount.target) =>
        {
            Some(("a path that is made and cannot be written short", 42, "23.0"))
        }
        MountSource::Image { subpath: Some(_), .. } => Some(("image.subpath", 49, "28.1")),
        MountSource::Image { .. } => Some(("a mount of an image", 48, "28.0")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::container::NetworkJoin;

    #[test]
    fn an_old_engine_is_not_told_how_to_route() {
        let options: Labels = [NetworkRequest::GATEWAY_MODE, NetworkRequest::MASQUERADE]
            .map(|key| (key.to_owned(), "x".to_owned()))
            .into();
        assert_eq!(known_to(&options, version(48)), options);
        let old = known_to(&options, version(41));
        assert_eq!(old.keys().collect::<Vec<_>>(), [NetworkRequest::MASQUERADE]);
    }

    fn version(minor_version: usize) -> ClientVersion {
        ClientVersion { major_version: 1, minor_version }
    }

    fn request(spec: serde_json::Value) -> ContainerRequest {
        let spec: ContainerSpec = serde_json::from_value(spec).unwrap();
        let join = |n: &jaco_api::model::Attachment| NetworkJoin {
            interface: n.interface_name.clone(),
            ..NetworkJoin::default()
        };
        let networks = spec.networks.iter().map(join).collect();
        let name = "jaco.shop.web.1".to_owned();
        ContainerRequest {
            name,
            labels: Default::default(),
            networks,
            spec: Arc::new(spec),
            files: Vec::new(),
            lead: None,
        }
    }

    #[test]
    fn an_engine_that_is_too_old_for_an_attribute_is_told_apart() {
        let mount =
            |source: serde_json::Value| json!({"mounts": [{"target": "/t", "source": source}]});
        for (spec, minor) in [
            (json!({"annotations": {"a": "b"}}), 43),
            (json!({"device_requests": [{"driver": "cdi", "device_ids": ["v.com/c=n"]}]}), 44),
            (json!({"healthcheck": {"type": "check", "test": [], "start_interval": "1s"}}), 44),
            (json!({"networks": [{"network": "a", "gw_priority": 1}]}), 48),
            (json!({"networks": [{"network": "a", "interface_name": "x"}]}), 49),
            (mount(json!({"type": "volume", "name": "v", "subpath": "x"})), 45),
            (mount(json!({"type": "bind", "path": "/p", "recursive": "writable"})), 44),
            (mount(json!({"type": "bind", "path": "/p", "recursive": "readonly"})), 44),
            (mount(json!({"type": "bind", "path": "/p:q", "create": true})), 42),
            (mount(json!({"type": "image", "name": "i"})), 48),
            (mount(json!({"type": "image", "name": "i", "subpath": "x"})), 49),
        ] {
            let request = request(spec.clone());
            assert!(check(&request, version(minor)).is_ok(), "{spec}");
            let error = check(&request, version(minor - 1)).unwrap_err();
            let needed = format!("1.{minor}");
            assert!(
                matches!(&error, RuntimeError::AttributeTooNew { needed: n, .. } if *n == needed),
                "{spec}: {error}"
            );
        }
    }

    #[test]
    fn what_everybody_writes_runs_on_the_oldest_engine() {
        let spec = json!({
            "networks": [{"network": "a", "priority": 3}], "init": true, "cgroup": "private",
            "mounts": [
                {"target": "/v", "source": {"type": "volume", "name": "v"}},
                {"target": "/b", "source": {"type": "bind", "path": "/p", "create": true}},
                {"target": "/z", "source": {"type": "bind", "path": "/p", "create": true, "selinux": "shared"}},
                {"target": "/n", "source": {"type": "bind", "path": "/p", "recursive": "disabled"}},
                {"target": "/t", "source": {"type": "tmpfs", "options": ["uid=1"]}}
            ],
            "device_requests": [{"count": -1, "capabilities": ["gpu"]}]
        });
        assert!(check(&request(spec), super::super::OLDEST).is_ok());
    }
}

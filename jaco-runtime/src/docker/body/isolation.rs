//! What a container shares with its host or another container: devices, disks, namespaces and mounts.

use std::collections::BTreeMap;

use bollard::models::{
    DeviceMapping, DeviceRequest, HostConfig, HostConfigCgroupnsModeEnum,
    ResourcesBlkioWeightDevice, ThrottleDevice,
};
use jaco_api::model::{
    BlockIo, Borrowed, CgroupMode, ContainerSpec, HostNamespace, IpcMode, Sharing,
};

use super::{list, map, set, signed};
use crate::container::ContainerRequest;

/// A namespace of another container, as the engine names it.
pub(super) fn of_container(id: &str) -> String {
    format!("container:{id}")
}

/// What it shares with the container that it lives beside, its network apart.
fn share(sharing: &Sharing, lead: &str, host: &mut HostConfig) {
    if sharing.ipc {
        host.ipc_mode = Some(of_container(lead));
    }
    if sharing.pid {
        host.pid_mode = Some(of_container(lead));
    }
    host.volumes_from = sharing.volumes.map(|how| {
        vec![match how {
            Borrowed::AsMounted => lead.to_owned(),
            Borrowed::ReadOnly => format!("{lead}:ro"),
        }]
    });
}

/// Fills in everything of this kind.
pub(super) fn fill(request: &ContainerRequest, host: &mut HostConfig) {
    let spec = &*request.spec;
    let name = |HostNamespace::Host: HostNamespace| "host".to_owned();
    host.pid_mode = spec.pid.map(name);
    host.uts_mode = spec.uts.map(name);
    host.userns_mode = spec.userns.map(name);
    host.ipc_mode = spec.ipc.map(|mode| {
        match mode {
            IpcMode::Host => "host",
            IpcMode::Shareable => "shareable",
            IpcMode::Private => "private",
            IpcMode::None => "none",
        }
        .to_owned()
    });
    host.cgroupns_mode = spec.cgroup.map(|mode| match mode {
        CgroupMode::Host => HostConfigCgroupnsModeEnum::HOST,
        CgroupMode::Private => HostConfigCgroupnsModeEnum::PRIVATE,
    });
    host.cgroup_parent.clone_from(&spec.cgroup_parent);
    host.runtime.clone_from(&spec.runtime);
    host.storage_opt = map(&spec.storage_opt);
    if let (Some(sharing), Some(lead)) = (&spec.beside, &request.lead) {
        share(sharing, lead, host);
    }
    devices(spec, host);
    block_io(&spec.resources.block_io, host);
}

fn devices(spec: &ContainerSpec, host: &mut HostConfig) {
    let mapped = spec.devices.iter().map(|device| DeviceMapping {
        path_on_host: Some(device.source.clone()),
        path_in_container: Some(device.target.clone()),
        cgroup_permissions: Some(device.permissions.clone()),
    });
    host.devices = some(mapped);
    host.device_cgroup_rules = list(&spec.device_cgroup_rules);
    let requests = spec.device_requests.iter().map(|request| DeviceRequest {
        driver: Some(request.driver.clone()).filter(|d| !d.is_empty()),
        count: set(request.count),
        device_ids: list(&request.device_ids),
        // Alternatives, each of which is a list of what is needed together.
        capabilities: list(&request.capabilities).map(|all| vec![all]),
        options: map(&request.options),
    });
    host.device_requests = some(requests);
}

fn block_io(io: &BlockIo, host: &mut HostConfig) {
    host.blkio_weight = set(io.weight);
    host.blkio_weight_device = some(io.weight_device.iter().map(|(path, weight)| {
        ResourcesBlkioWeightDevice { path: Some(path.clone()), weight: Some(usize::from(*weight)) }
    }));
    host.blkio_device_read_bps = rates(&io.read_bps);
    host.blkio_device_write_bps = rates(&io.write_bps);
    host.blkio_device_read_iops = rates(&io.read_iops);
    host.blkio_device_write_iops = rates(&io.write_iops);
}

fn rates(by_path: &BTreeMap<String, u64>) -> Option<Vec<ThrottleDevice>> {
    some(
        by_path.iter().map(|(path, rate)| ThrottleDevice {
            path: Some(path.clone()),
            rate: Some(signed(*rate)),
        }),
    )
}

/// A list that is left out when empty.
fn some<T>(items: impl Iterator<Item = T>) -> Option<Vec<T>> {
    Some(items.collect::<Vec<_>>()).filter(|all| !all.is_empty())
}

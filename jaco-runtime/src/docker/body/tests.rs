use std::sync::Arc;

use jaco_api::model::{Logging, Resources, Ulimit};
use serde_json::{Value, json};

use super::*;

fn body(spec: ContainerSpec) -> Value {
    let networks = ["jaco_shop_front", "jaco_shop_back"].map(|n| NetworkJoin {
        network: n.to_owned(),
        aliases: vec!["web".to_owned()],
        gateway: 1,
        interface: Some("front0".to_owned()),
        driver_opts: [("a".to_owned(), "b".to_owned())].into(),
    });
    let request = ContainerRequest {
        name: "jaco.shop.web.1".to_owned(),
        labels: [("jaco.service".to_owned(), "web".to_owned())].into(),
        spec: Arc::new(spec),
        networks: networks.into(),
        files: Vec::new(),
        lead: Some("4711".to_owned()),
    };
    serde_json::to_value(container(&request, &Binds::new())).unwrap()
}

/// Every field of a container reaches the engine.
#[test]
fn every_field_is_mapped() {
    let spec: ContainerSpec = serde_json::from_value(json!({
        "image": "web:1", "command": ["serve", "$HOME"], "entrypoint": ["/init"],
        "environment": {"A": "1", "B": null, "C": "x=y"}, "user": "1000:1000",
        "group_add": ["audio"], "working_dir": "/srv", "hostname": "h", "domainname": "d.example",
        "annotations": {"note": "n"}, "expose": ["80/tcp"],
        "extra_hosts": {"db": ["10.0.0.1", "10.0.0.2"]}, "dns": ["10.0.0.53"],
        "dns_search": ["example"], "dns_opt": ["ndots:1"],
        "healthcheck": {"type": "check", "test": ["CMD", "true"], "interval": "1s 500ms",
            "timeout": "2s", "start_period": "3s", "start_interval": "10ms", "retries": 4},
        "stop_signal": "SIGINT", "stop_grace_period": "1s 500ms",
        "resources": {"cpu_millis": 1500, "memory_bytes": 1024, "memory_reservation_bytes": 512,
            "memory_swap_bytes": -1, "pids": 10, "cpu_shares": 2, "cpuset": "0-1"},
        "cap_add": ["NET_ADMIN"], "cap_drop": ["ALL"], "sysctls": {"net.core.somaxconn": "1"},
        "ulimits": {"nofile": {"soft": 1, "hard": -1}}, "shm_size_bytes": 64, "read_only": true,
        "init": true, "tty": true, "stdin_open": true, "privileged": true,
        "security_opt": ["no-new-privileges"], "oom_score_adj": -5,
        "logging": {"driver": "local", "options": {"max-size": "1m"}}
    }))
    .unwrap();
    assert_eq!(spec.resources, Resources { ..spec.resources.clone() });
    assert_eq!(spec.ulimits["nofile"], Ulimit { soft: 1, hard: -1 });
    assert!(matches!(&spec.logging, Some(Logging { driver, .. }) if driver == "local"));
    let expected: Value = serde_json::from_str(
        r#"{
        "Hostname": "h", "Domainname": "d.example", "User": "1000:1000",
        "ExposedPorts": {"80/tcp": {}}, "Tty": true, "OpenStdin": true,
        "Env": ["A=1", "B", "C=x=y"], "Cmd": ["serve", "$HOME"], "Entrypoint": ["/init"],
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1500000000,
            "Timeout": 2000000000, "StartPeriod": 3000000000, "StartInterval": 10000000,
            "Retries": 4},
        "Image": "web:1", "WorkingDir": "/srv", "Labels": {"jaco.service": "web"},
        "StopSignal": "SIGINT", "StopTimeout": 2,
        "HostConfig": {
            "CpuShares": 2, "Memory": 1024, "MemoryReservation": 512, "MemorySwap": -1,
            "NanoCpus": 1500000000, "PidsLimit": 10, "CpusetCpus": "0-1",
            "NetworkMode": "jaco_shop_front", "RestartPolicy": {"Name": "no"},
            "PublishAllPorts": false, "Init": true, "Annotations": {"note": "n"},
            "CapAdd": ["NET_ADMIN"], "CapDrop": ["ALL"], "GroupAdd": ["audio"],
            "ReadonlyRootfs": true, "Privileged": true, "SecurityOpt": ["no-new-privileges"],
            "OomScoreAdj": -5, "ShmSize": 64, "Sysctls": {"net.core.somaxconn": "1"},
            "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": -1}],
            "Dns": ["10.0.0.53"], "DnsSearch": ["example"], "DnsOptions": ["ndots:1"],
            "ExtraHosts": ["db:10.0.0.1", "db:10.0.0.2"],
            "LogConfig": {"Type": "local", "Config": {"max-size": "1m"}}
        },
        "NetworkingConfig": {"EndpointsConfig": {
            "jaco_shop_front": {"Aliases": ["web"], "GwPriority": 1,
                "DriverOpts": {"a": "b", "com.docker.network.endpoint.ifname": "front0"}}
        }}
    }"#,
    )
    .unwrap();
    assert_eq!(body(spec), expected);
}

#[test]
fn devices_disks_and_namespaces_are_mapped() {
    let spec: ContainerSpec = serde_json::from_value(json!({
        "resources": {"cpu_period_us": 100000, "cpu_quota_us": 50000, "cpu_rt_period_us": 1000000,
            "cpu_rt_runtime_us": 950000, "memory_swappiness": 0, "oom_kill_disable": true,
            "block_io": {"weight": 300, "weight_device": {"/dev/sda": 400},
                "read_bps": {"/dev/sdb": 1}, "write_bps": {"/dev/sdb": 2},
                "read_iops": {"/dev/sdb": 3}, "write_iops": {"/dev/sdb": 4}}},
        "devices": [{"source": "/dev/a", "target": "/dev/b", "permissions": "r"}],
        "device_cgroup_rules": ["c 1:3 mr"],
        "device_requests": [{"driver": "nvidia", "count": -1, "device_ids": ["0"],
            "capabilities": ["gpu", "utility"], "options": {"x": "y"}}],
        "pid": "host", "ipc": "shareable", "uts": "host", "userns": "host", "cgroup": "private",
        "cgroup_parent": "/batch", "runtime": "runsc", "storage_opt": {"size": "1G"}
    }))
    .unwrap();
    let expected = json!({
        "CpuPeriod": 100000, "CpuQuota": 50000, "CpuRealtimePeriod": 1000000,
        "CpuRealtimeRuntime": 950000, "MemorySwappiness": 0, "OomKillDisable": true,
        "BlkioWeight": 300, "BlkioWeightDevice": [{"Path": "/dev/sda", "Weight": 400}],
        "BlkioDeviceReadBps": [{"Path": "/dev/sdb", "Rate": 1}],
        "BlkioDeviceWriteBps": [{"Path": "/dev/sdb", "Rate": 2}],
        "BlkioDeviceReadIOps": [{"Path": "/dev/sdb", "Rate": 3}],
        "BlkioDeviceWriteIOps": [{"Path": "/dev/sdb", "Rate": 4}],
        "Devices": [
            {"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r"}
        ],
        "DeviceCgroupRules": ["c 1:3 mr"],
        "DeviceRequests": [{"Driver": "nvidia", "Count": -1, "DeviceIDs": ["0"],
            "Capabilities": [["gpu", "utility"]], "Options": {"x": "y"}}],
        "PidMode": "host", "IpcMode": "shareable", "UTSMode": "host", "UsernsMode": "host",
        "CgroupnsMode": "private", "CgroupParent": "/batch", "Runtime": "runsc",
        "StorageOpt": {"size": "1G"}
    });
    let host = &body(spec)["HostConfig"];
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&host[field], value, "{field}");
    }
}

/// What is shared is shared with the container of this moment, by its id.
#[test]
fn what_is_shared_with_another_container_names_it() {
    let beside = |sharing: Value| {
        let sharing = json!({"image": "x", "beside": sharing});
        let host = body(serde_json::from_value(sharing).unwrap())["HostConfig"].clone();
        ["NetworkMode", "IpcMode", "PidMode", "VolumesFrom"].map(|field| host[field].clone())
    };
    let own = json!("jaco_shop_front");
    let of = json!("container:4711");
    let all =
        json!({"lead": "vpn", "network": true, "ipc": true, "pid": true, "volumes": "read_only"});
    assert_eq!(beside(all), [of.clone(), of.clone(), of, json!(["4711:ro"])]);
    let volumes = json!({"lead": "vpn", "volumes": "as_mounted"});
    assert_eq!(beside(volumes), [own, Value::Null, Value::Null, json!(["4711"])]);
}

#[test]
fn mounts_take_the_form_every_engine_understands() {
    let spec: ContainerSpec = serde_json::from_value(json!({"image": "x", "mounts": [
        {"source": {"type": "volume", "name": "jaco_shop_db", "nocopy": true}, "target": "/db"},
        {"source": {"type": "volume", "name": ""}, "target": "/scratch"},
        {"source": {"type": "bind", "path": "/etc/app"}, "target": "/etc/app", "read_only": true},
        {"source": {"type": "bind", "path": "/srv", "create": true, "propagation": "rslave"},
            "target": "/srv"},
        {"source": {"type": "tmpfs", "size_bytes": 4096, "mode": 448}, "target": "/tmp"},
        {"source": {"type": "tmpfs", "size_bytes": 4096, "mode": 448, "options": ["uid=1"]},
            "target": "/run", "read_only": true},
        {"source": {"type": "bind", "path": "/srv", "create": true, "selinux": "private"},
            "target": "/label", "read_only": true},
        {"source": {"type": "bind", "path": "/srv", "create": true, "recursive": "disabled"},
            "target": "/deep"},
        {"source": {"type": "volume", "name": "jaco_shop_db", "subpath": "a/b",
            "labels": {"c": "d"}}, "target": "/part"},
        {"source": {"type": "volume", "name": "", "labels": {"c": "d"}}, "target": "/own"},
        {"source": {"type": "image", "name": "docs:1", "subpath": "html"}, "target": "/docs",
            "read_only": true}
    ]}))
    .unwrap();
    let host = &body(spec)["HostConfig"];
    assert_eq!(host["Binds"], json!(["/srv:/srv:rw,rslave", "/srv:/label:ro,Z"]));
    assert_eq!(
        host["Mounts"],
        json!([
            {"Target": "/db", "Source": "jaco_shop_db", "Type": "volume", "ReadOnly": false,
                "VolumeOptions": {"NoCopy": true}},
            {"Target": "/scratch", "Type": "volume", "ReadOnly": false,
                "VolumeOptions": {"NoCopy": false, "DriverConfig": {}}},
            {"Target": "/etc/app", "Source": "/etc/app", "Type": "bind", "ReadOnly": true,
                "BindOptions": {}},
            {"Target": "/tmp", "Type": "tmpfs", "ReadOnly": false,
                "TmpfsOptions": {"SizeBytes": 4096, "Mode": 448}},
            {"Target": "/deep", "Source": "/srv", "Type": "bind", "ReadOnly": false,
                "BindOptions": {"CreateMountpoint": true, "NonRecursive": true}},
            {"Target": "/part", "Source": "jaco_shop_db", "Type": "volume", "ReadOnly": false,
                "VolumeOptions": {"NoCopy": false, "Subpath": "a/b"}},
            {"Target": "/own", "Type": "volume", "ReadOnly": false,
                "VolumeOptions": {"NoCopy": false, "DriverConfig": {}, "Labels": {"c": "d"}}},
            {"Target": "/docs", "Source": "docs:1", "Type": "image", "ReadOnly": true,
                "ImageOptions": {"Subpath": "html"}}
        ])
    );
    assert_eq!(host["Tmpfs"], json!({"/run": "uid=1,size=4096,mode=700,ro"}));
}

#[test]
fn a_health_check_is_inherited_unless_it_is_disabled() {
    let with = |healthcheck| body(ContainerSpec { healthcheck, ..Default::default() });
    assert_eq!(with(None)["Healthcheck"], Value::Null);
    assert_eq!(with(Some(Healthcheck::Disabled))["Healthcheck"], json!({"Test": ["NONE"]}));
}

#[test]
fn ports_are_never_published_and_the_engine_never_restarts() {
    let host = &body(ContainerSpec::default())["HostConfig"];
    assert_eq!((&host["PortBindings"], &host["PublishAllPorts"]), (&Value::Null, &json!(false)));
    assert_eq!(host["RestartPolicy"], json!({"Name": "no"}));
}

//! Mounts in the form that every engine understands.

use std::{collections::HashMap, path::PathBuf};

use bollard::models::{
    HostConfig, Mount as EngineMount, MountBindOptions, MountBindOptionsPropagationEnum,
    MountImageOptions, MountTmpfsOptions, MountType, MountVolumeOptions,
    MountVolumeOptionsDriverConfig,
};
use jaco_api::model::{Mount, MountSource, Recursion, Relabel};

use super::{Binds, list, map, set, signed};

/// Fills in everything that is mounted.
pub(super) fn fill(all: &[Mount], files: &Binds, host: &mut HostConfig) {
    let (mut binds, mut mounts, mut memory) = (Vec::new(), Vec::new(), HashMap::new());
    for one in all {
        match &one.source {
            source if is_short(source, &one.target) => binds.push(bind(one)),
            // Its options can be said nowhere else.
            MountSource::Tmpfs { size_bytes, mode, options } if !options.is_empty() => {
                let text = tmpfs(*size_bytes, *mode, one.read_only, options);
                drop(memory.insert(one.target.clone(), text));
            }
            _ => mounts.push(mount(one)),
        }
    }
    mounts.extend(files.iter().map(file));
    host.binds = list(&binds);
    host.mounts = Some(mounts).filter(|m| !m.is_empty());
    host.tmpfs = Some(memory).filter(|m| !m.is_empty());
}

/// A path of the host that is made when it is missing, or relabelled: every engine version does
/// that only for the short form of a bind, which cannot hold colons nor say more.
pub(in crate::docker) fn is_short(source: &MountSource, target: &str) -> bool {
    let MountSource::Bind { path, create: true, recursive: None, .. } = source else {
        return false;
    };
    !path.contains(':') && !target.contains(':')
}

/// A secret or config: nobody writes to it from inside.
fn file((path, target): (&PathBuf, &String)) -> EngineMount {
    EngineMount {
        typ: Some(MountType::BIND),
        source: Some(path.to_string_lossy().into_owned()),
        target: Some(target.clone()),
        read_only: Some(true),
        ..EngineMount::default()
    }
}

fn bind(mount: &Mount) -> String {
    let MountSource::Bind { path, propagation, selinux, .. } = &mount.source else {
        return String::new();
    };
    let mut options = vec![if mount.read_only { "ro" } else { "rw" }];
    options.extend(propagation.as_deref());
    options.extend(selinux.map(|label| match label {
        Relabel::Shared => "z",
        Relabel::Private => "Z",
    }));
    format!("{path}:{}:{}", mount.target, options.join(","))
}

fn tmpfs(size_bytes: u64, mode: u32, read_only: bool, options: &[String]) -> String {
    let mut all: Vec<String> = options.to_vec();
    all.extend((size_bytes > 0).then(|| format!("size={size_bytes}")));
    all.extend((mode > 0).then(|| format!("mode={mode:o}")));
    all.extend(read_only.then(|| "ro".to_owned()));
    all.join(",")
}

fn mount(mount: &Mount) -> EngineMount {
    let common = EngineMount {
        target: Some(mount.target.clone()),
        read_only: Some(mount.read_only),
        ..EngineMount::default()
    };
    match &mount.source {
        MountSource::Volume { name, driver, driver_opts, nocopy, subpath, labels, .. } => {
            let own = name.is_empty();
            let options = MountVolumeOptions {
                no_copy: Some(*nocopy),
                labels: map(labels).filter(|_| own),
                driver_config: own.then(|| MountVolumeOptionsDriverConfig {
                    name: Some(driver.clone()).filter(|d| !d.is_empty()),
                    options: map(driver_opts),
                }),
                subpath: subpath.clone(),
            };
            EngineMount {
                typ: Some(MountType::VOLUME),
                source: Some(name.clone()).filter(|_| !own),
                volume_options: Some(options),
                ..common
            }
        }
        MountSource::Bind { path, create, propagation, recursive, .. } => EngineMount {
            typ: Some(MountType::BIND),
            source: Some(path.clone()),
            bind_options: Some(MountBindOptions {
                propagation: propagation.as_deref().and_then(propagate),
                create_mountpoint: set(*create),
                non_recursive: set(*recursive == Some(Recursion::Disabled)),
                read_only_non_recursive: set(*recursive == Some(Recursion::Writable)),
                read_only_force_recursive: set(*recursive == Some(Recursion::Readonly)),
            }),
            ..common
        },
        MountSource::Tmpfs { size_bytes, mode, .. } => EngineMount {
            typ: Some(MountType::TMPFS),
            tmpfs_options: Some(MountTmpfsOptions {
                size_bytes: set(signed(*size_bytes)),
                mode: set(i64::from(*mode)),
                options: None,
            }),
            ..common
        },
        MountSource::Image { name, subpath } => EngineMount {
            typ: Some(MountType::IMAGE),
            source: Some(name.clone()),
            image_options: subpath.clone().map(|s| MountImageOptions { subpath: Some(s) }),
            ..common
        },
    }
}

fn propagate(text: &str) -> Option<MountBindOptionsPropagationEnum> {
    use MountBindOptionsPropagationEnum as P;
    Some(match text {
        "private" => P::PRIVATE,
        "rprivate" => P::RPRIVATE,
        "shared" => P::SHARED,
        "rshared" => P::RSHARED,
        "slave" => P::SLAVE,
        "rslave" => P::RSLAVE,
        _ => return None,
    })
}

//! Which volumes a service mounts, by their name in the engine.

use std::collections::{BTreeMap, BTreeSet};

use super::{Merge, digest};
use crate::{
    manifest::{
        compose::{ComposeDraft, ServiceDraft, VolumeDraft},
        report::{Mark, cut},
        suggest,
    },
    model::{
        ContainerSpec, DeploymentName, Digest, MountSource, ServiceName, VolumeName, VolumeSpec,
    },
};

/// What mounts mean for the schedule of a service.
pub(super) struct Storage {
    /// Engine names of its volumes.
    pub(super) volumes: Vec<String>,
    /// Whether it stays on its node.
    pub(super) stateful: bool,
}

impl Merge<'_, '_, '_> {
    /// Fills `spec.mounts` and adds the volumes to those in use.
    pub(super) fn mounts(
        &mut self,
        name: &ServiceName,
        draft: &ServiceDraft,
        path: &str,
        spec: &mut ContainerSpec,
        used: &mut BTreeMap<VolumeName, VolumeSpec>,
    ) -> Storage {
        let mut volumes = BTreeSet::new();
        let mut stateful = false;
        let mut targets = BTreeSet::new();
        for mount_draft in &draft.mounts {
            let mut mount = mount_draft.mount.clone();
            match (&mut mount.source, &mount_draft.key) {
                (MountSource::Bind { .. }, _) => stateful = true,
                (
                    MountSource::Volume { name, external, driver, driver_opts, labels, .. },
                    Some(key),
                ) => {
                    let Some((key, (volume, digest))) = self.volumes.get_key_value(key.as_str())
                    else {
                        self.unknown_volume(key, mount_draft.mark, path);
                        continue;
                    };
                    name.clone_from(&volume.engine_name);
                    *external = volume.external;
                    driver.clone_from(&volume.driver);
                    driver_opts.clone_from(&volume.driver_opts);
                    labels.clone_from(&volume.labels);
                    volumes.insert(volume.engine_name.clone());
                    spec.references.insert(format!("volume:{key}"), *digest);
                    used.entry(key.clone()).or_insert_with(|| volume.clone());
                    stateful = true;
                }
                _ => {}
            }
            if !targets.insert(mount.target.clone()) {
                self.report.within(&format!("{path}.volumes"), |report| {
                    let message = format!("`{name}` mounts two things at `{}`", cut(&mount.target));
                    report.error(mount_draft.mark, message);
                });
                continue;
            }
            spec.mounts.push(mount);
        }
        spec.mounts.sort_by(|a, b| a.target.cmp(&b.target));
        Storage { volumes: volumes.into_iter().collect(), stateful }
    }

    fn unknown_volume(&mut self, key: &str, mark: Mark, path: &str) {
        if self.compose.partial || self.compose.other_names.contains(&("volume", key.to_owned())) {
            return;
        }
        let known = self.volumes.keys().map(VolumeName::as_str);
        let near = if self.report.full() { None } else { suggest::nearest(key, known) };
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "declare it under the top-level `volumes`: `{}:`; a path begins with `./` or `/`",
                cut(key)
            ),
        };
        self.report.within(&format!("{path}.volumes"), |report| {
            report.once(format!("unknown volume {key}"), mark, |report| {
                report.error_hint(mark, format!("the volume `{}` is not defined", cut(key)), hint);
            });
        });
    }
}

/// The volumes of the file.
pub(super) fn declared(
    deployment: &DeploymentName,
    compose: &ComposeDraft,
) -> BTreeMap<VolumeName, (VolumeSpec, Digest)> {
    let with_digest = |(name, draft): (&VolumeName, &VolumeDraft)| {
        let spec = spec(deployment, name, draft);
        let digest = digest(&spec);
        (name.clone(), (spec, digest))
    };
    compose.volumes.iter().map(with_digest).collect()
}

fn spec(deployment: &DeploymentName, name: &VolumeName, draft: &VolumeDraft) -> VolumeSpec {
    let engine_name = match &draft.name {
        Some(literal) => literal.clone(),
        None if draft.external => name.to_string(),
        None => VolumeSpec::engine_name(deployment, name),
    };
    VolumeSpec {
        engine_name,
        external: draft.external,
        driver: draft.driver.clone(),
        driver_opts: draft.driver_opts.clone(),
        labels: draft.labels.clone(),
    }
}

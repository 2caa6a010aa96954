//! Which volumes a service mounts, by their name in the engine.

use std::collections::{BTreeMap, BTreeSet};

use super::Merge;
use crate::{
    manifest::{
        compose::{ServiceDraft, VolumeDraft},
        report::cut,
        suggest,
    },
    model::{ContainerSpec, DeploymentName, MountSource, ServiceName, VolumeName, VolumeSpec},
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
        for mount_draft in &draft.mounts {
            let mut mount = mount_draft.mount.clone();
            match (&mut mount.source, &mount_draft.key) {
                (MountSource::Bind { .. }, _) => stateful = true,
                (MountSource::Volume { name, external, driver, driver_opts, .. }, Some(key)) => {
                    let Some((key, volume)) = self.volume(key, mount_draft.mark, path) else {
                        continue;
                    };
                    name.clone_from(&volume.engine_name);
                    *external = volume.external;
                    driver.clone_from(&volume.driver);
                    driver_opts.clone_from(&volume.driver_opts);
                    volumes.insert(volume.engine_name.clone());
                    used.insert(key, volume);
                    stateful = true;
                }
                _ => {}
            }
            if spec.mounts.iter().any(|m| m.target == mount.target) {
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

    fn volume(
        &mut self,
        key: &str,
        mark: crate::manifest::report::Mark,
        path: &str,
    ) -> Option<(VolumeName, VolumeSpec)> {
        if let Some((name, draft)) = self.compose.volumes.get_key_value(key) {
            return Some((name.clone(), spec(&self.deployment, name, draft)));
        }
        if self.compose.other_names.contains(&("volume", key.to_owned())) {
            return None;
        }
        let known = self.compose.volumes.keys().map(VolumeName::as_str);
        let hint = suggest::nearest(key, known).map_or_else(
            || {
                format!(
                    "declare it under the top-level `volumes`: `{0}:`; a path begins with `./` or `/`",
                    cut(key)
                )
            },
            |near| format!("did you mean `{near}`?"),
        );
        self.report.within(&format!("{path}.volumes"), |report| {
            report.error_hint(mark, format!("the volume `{}` is not defined", cut(key)), hint);
        });
        None
    }
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

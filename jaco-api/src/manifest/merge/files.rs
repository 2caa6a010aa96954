//! Which secrets and configs a service is given, and where.

use std::collections::BTreeSet;

use super::Merge;
use crate::{
    manifest::{
        compose::{FileUseDraft, ServiceDraft},
        report::cut,
        suggest,
    },
    model::{
        ContainerSpec, FileId, FileKind, FileMount, FileName, FileSource, ServiceName,
        ServiceSchedule,
    },
};

/// Permission bits where the file gives none: everybody may read, as with Compose.
const MODE: u32 = 0o444;

impl Merge<'_, '_, '_> {
    /// Fills `spec.files` and names those of the cluster in the schedule.
    pub(super) fn files(
        &mut self,
        name: &ServiceName,
        draft: &ServiceDraft,
        path: &str,
        spec: &mut ContainerSpec,
        schedule: &mut ServiceSchedule,
    ) {
        let mut targets: BTreeSet<String> = spec.mounts.iter().map(|m| m.target.clone()).collect();
        for wish in &draft.files {
            let Some(source) = self.source(wish, path) else { continue };
            let target = match target(wish) {
                Ok(target) => target,
                Err(problem) => {
                    self.refuse(wish, path, &problem);
                    continue;
                }
            };
            if !targets.insert(target.clone()) {
                let problem = format!("`{name}` mounts two things at `{}`", cut(&target));
                self.refuse(wish, path, &problem);
                continue;
            }
            if let FileSource::Named(id) = &source {
                schedule.files.insert(id.clone());
            }
            let mode = wish.mode.unwrap_or(MODE);
            spec.files.push(FileMount { target, source, uid: wish.uid, gid: wish.gid, mode });
        }
        spec.files.sort_by(|a, b| a.target.cmp(&b.target));
    }

    fn refuse(&mut self, wish: &FileUseDraft, path: &str, problem: &str) {
        let path = format!("{path}.{}s", wish.kind);
        self.report.within(&path, |report| report.error(wish.mark, problem));
    }

    /// What a service means by a name; absent when that is reported.
    fn source(&mut self, wish: &FileUseDraft, path: &str) -> Option<FileSource> {
        let kind = wish.kind;
        let Some((file, mark)) = self.compose.files.get(&(kind, wish.source.clone())) else {
            let known = self.compose.files.keys().filter(|(of, _)| *of == kind);
            let near = suggest::nearest(&wish.source, known.map(|(_, key)| key.as_str()));
            let shown = cut(&wish.source);
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!(
                    "declare it under the top-level `{kind}s`: `{shown}: {{file: …}}`, or \
                     `{shown}: {{external: true}}` for one of the cluster"
                ),
            };
            self.report.within(&format!("{path}.{kind}s"), |report| {
                report.error_hint(wish.mark, format!("the {kind} `{shown}` is not defined"), hint);
            });
            return None;
        };
        if !file.external {
            // Without a content it is reported at its place.
            return file.content.clone().map(FileSource::Content);
        }
        let name = match &file.name {
            Some(name) => Ok(name.clone()),
            None => FileName::new(&wish.source),
        };
        match name {
            Ok(name) => Some(FileSource::Named(FileId { kind, name })),
            Err(error) => {
                self.report.within(&format!("{kind}s.{}", wish.source), |report| {
                    report.error(*mark, error.to_string());
                });
                None
            }
        }
    }
}

/// Where it is mounted: secrets below `/run/secrets`, configs below `/`, unless the path is absolute.
fn target(wish: &FileUseDraft) -> Result<String, String> {
    let given = wish.target.as_deref().unwrap_or(&wish.source);
    let target = match (given.starts_with('/'), wish.kind) {
        (true, _) => given.to_owned(),
        (false, FileKind::Secret) => format!("/run/secrets/{given}"),
        (false, FileKind::Config) => format!("/{given}"),
    };
    let plain = target.split('/').skip(1).all(|part| !matches!(part, "" | "." | ".."));
    let printable = !target.chars().any(char::is_control);
    if plain && printable && target.len() <= 4096 {
        Ok(target)
    } else {
        Err(format!("`{}` is no path of a file", cut(given)))
    }
}

//! Images of the engine.

use bollard::{
    auth::DockerCredentials, models::CreateImageInfo, query_parameters::CreateImageOptionsBuilder,
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};

use jaco_api::model::Timestamp;

use super::{DockerRuntime, containers::time, error::Engine as _};
use crate::container::{Credential, ImageRef, PullProgress, RuntimeError, registry_host};

/// With neither tag nor digest the engine would fetch every tag there is.
fn tagged(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) { name.to_owned() } else { format!("{name}:latest") }
}

fn progress_of(info: CreateImageInfo) -> PullProgress {
    let bytes = |n: Option<i64>| n.and_then(|n| n.try_into().ok());
    let detail = info.progress_detail.unwrap_or_default();
    PullProgress {
        layer: info.id,
        status: info.status.unwrap_or_default(),
        current: bytes(detail.current),
        total: bytes(detail.total),
    }
}

impl DockerRuntime {
    pub(super) async fn look_for_image(&self, image: &ImageRef) -> Result<bool, RuntimeError> {
        match self.client().await?.inspect_image(&image.name).await.engine(self, "image") {
            Ok(found) => {
                let has = [found.os, found.architecture].map(Option::unwrap_or_default).join("/");
                Ok(image.platform.as_ref().is_none_or(|wanted| {
                    // A variant such as `/v8` is the engine's business.
                    wanted.splitn(3, '/').take(2).eq(has.splitn(3, '/').take(2))
                }))
            }
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// `Metadata.LastTagTime`; the engine writes the year 1 for never.
    pub(super) async fn image_tagged_at(
        &self,
        image: &ImageRef,
    ) -> Result<Option<Timestamp>, RuntimeError> {
        match self.client().await?.inspect_image(&image.name).await.engine(self, "image") {
            Ok(found) => Ok(time(found.metadata.and_then(|m| m.last_tag_time).as_deref())),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn fetch_image(
        &self,
        image: &ImageRef,
        credential: Option<&Credential>,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), RuntimeError> {
        let mut options = CreateImageOptionsBuilder::default().from_image(&tagged(&image.name));
        if let Some(platform) = &image.platform {
            options = options.platform(platform);
        }
        let login = credential.map(|c| DockerCredentials {
            username: Some(c.username.clone()),
            password: Some(c.password.clone()),
            serveraddress: Some(registry_host(&image.name)),
            ..DockerCredentials::default()
        });
        let client = self.client().await?;
        let mut steps = client.create_image(Some(options.build()), None, login).boxed();
        while let Some(step) = steps.next().await {
            match step.engine(self, "pull") {
                Ok(info) => progress(progress_of(info)),
                Err(error) => return Err(refused(&image.name, error)),
            }
        }
        Ok(())
    }

    /// Makes an image of one layer from a tar archive of its files.
    ///
    /// # Errors
    /// The engine's refusal.
    pub async fn import_image(&self, name: &str, layer: Bytes) -> Result<(), RuntimeError> {
        let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "latest"));
        let options =
            CreateImageOptionsBuilder::default().from_src("-").repo(repository).tag(tag).build();
        let client = self.client().await?;
        let body = bollard::body_full(layer);
        let steps = client.create_image(Some(options), Some(body), None);
        steps.try_collect::<Vec<_>>().await.engine(self, "import").map(drop)
    }
}

/// A reference that nobody knows, or that is none, will not get better by itself.
fn refused(image: &str, error: RuntimeError) -> RuntimeError {
    let image = image.to_owned();
    match error {
        RuntimeError::NotFound { message } | RuntimeError::Refused { status: 400, message } => {
            RuntimeError::ImageNotFound { image, message }
        }
        RuntimeError::Refused { message, .. } | RuntimeError::Conflict { message } => {
            RuntimeError::PullFailed { image, message }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_without_a_tag_means_latest() {
        for (name, expected) in [
            ("nginx", "nginx:latest"),
            ("host:5000/nginx", "host:5000/nginx:latest"),
            ("host:5000/nginx:1", "host:5000/nginx:1"),
            ("nginx@sha256:00", "nginx@sha256:00"),
        ] {
            assert_eq!(tagged(name), expected);
        }
    }
}

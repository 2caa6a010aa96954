//! Mappings of the specification that are not decoded here: what has no effect and what is refused.
//!
//! They are for the documentation and for explanations. Below a key without effect nothing is
//! checked: a typing error there changes nothing either.

use crate::manifest::fields::{Schema, Supported, ignored, rejected};

/// Why `build` has no effect.
pub(super) const BUILD: &str = "images are pulled, not built";
/// Why `develop` has no effect.
pub(super) const DEVELOP: &str = "it is for local work";
/// Why `credential_spec` is refused.
pub(super) const CREDENTIAL_SPEC: &str = "exists on Windows only";
/// Why `provider` is refused.
pub(super) const PROVIDER: &str = "would run a program on the client";
/// What to do instead.
pub(super) const NO_PROVIDER: &str = "run it as a service with an `image`";
/// Why `models` are refused.
pub(super) const MODELS: &str = "are not supported: they are run by Docker Desktop";
/// What to do instead.
pub(super) const NO_MODELS: &str = "run a model server as a service, and name it in `environment`";

static BUILDS: Schema<()> = Schema {
    what: "`build`",
    at: &["services.*.build"],
    extensions: true,
    attributes: &[
        ignored("context", "Directory or repository the image is built from.", BUILD),
        ignored("dockerfile", "Path of the Dockerfile.", BUILD),
        ignored("dockerfile_inline", "The Dockerfile itself.", BUILD),
        ignored("target", "Stage of the Dockerfile that is built.", BUILD),
        ignored("args", "Arguments of the build.", BUILD),
        ignored("additional_contexts", "Further named contexts.", BUILD),
        ignored("cache_from", "Where cached layers come from.", BUILD),
        ignored("cache_to", "Where layers are cached.", BUILD),
        ignored("no_cache", "Builds every layer anew.", BUILD),
        ignored("pull", "Fetches base images even when they are there.", BUILD),
        ignored("platforms", "Platforms the image is built for.", BUILD),
        ignored("tags", "Further names of the image.", BUILD),
        ignored("labels", "Labels of the image.", BUILD),
        ignored("network", "Network of the build's commands.", BUILD),
        ignored("extra_hosts", "Further host names for the build.", BUILD),
        ignored("isolation", "Isolation of the build.", BUILD),
        ignored("privileged", "Builds with all rights of the host.", BUILD),
        ignored("entitlements", "Rights of the build.", BUILD),
        ignored("secrets", "Secrets the build may read.", BUILD),
        ignored("ssh", "SSH keys the build may use.", BUILD),
        ignored("shm_size", "Size of `/dev/shm` in the build.", BUILD),
        ignored("ulimits", "Limits of the build's processes.", BUILD),
        ignored("provenance", "Attests how the image was built.", BUILD),
        ignored("sbom", "Attests what is in the image.", BUILD),
    ],
};

static BUILD_SECRET: Schema<()> = Schema {
    what: "a secret of `build`",
    at: &["services.*.build.secrets"],
    extensions: true,
    attributes: &[
        ignored("source", "Key of the secret at the top level.", BUILD),
        ignored("target", "Name in the build.", BUILD),
        ignored("uid", "Owner of the file.", BUILD),
        ignored("gid", "Group of the file.", BUILD),
        ignored("mode", "Mode of the file.", BUILD),
    ],
};

static BUILD_LIMIT: Schema<()> = Schema {
    what: "a limit of `build`",
    at: &["services.*.build.ulimits.*"],
    extensions: true,
    attributes: &[ignored("soft", "Soft limit.", BUILD), ignored("hard", "Hard limit.", BUILD)],
};

static DEVELOPS: Schema<()> = Schema {
    what: "`develop`",
    at: &["services.*.develop"],
    extensions: true,
    attributes: &[ignored("watch", "Files that are synchronised while one works.", DEVELOP)],
};

static WATCH: Schema<()> = Schema {
    what: "a watch of `develop`",
    at: &["services.*.develop.watch"],
    extensions: true,
    attributes: &[
        ignored("path", "What is watched.", DEVELOP),
        ignored("action", "What a change leads to.", DEVELOP),
        ignored("target", "Where files are copied to.", DEVELOP),
        ignored("include", "Patterns of files that count.", DEVELOP),
        ignored("ignore", "Patterns of files that do not count.", DEVELOP),
        ignored("initial_sync", "Copies everything at the start.", DEVELOP),
        ignored("exec", "Command that runs after a change.", DEVELOP),
    ],
};

static WATCH_COMMAND: Schema<()> = Schema {
    what: "the command of a watch",
    at: &["services.*.develop.watch.exec"],
    extensions: true,
    attributes: &[
        ignored("command", "What runs.", DEVELOP),
        ignored("user", "As whom.", DEVELOP),
        ignored("privileged", "With all rights of the host.", DEVELOP),
        ignored("working_dir", "Where.", DEVELOP),
        ignored("environment", "With which variables.", DEVELOP),
    ],
};

static CREDENTIALS: Schema<()> = Schema {
    what: "`credential_spec`",
    at: &["services.*.credential_spec"],
    extensions: true,
    attributes: &[
        rejected("config", "The credentials, from a config.", CREDENTIAL_SPEC, "remove it"),
        rejected("file", "The credentials, from a file.", CREDENTIAL_SPEC, "remove it"),
        rejected("registry", "The credentials, from Windows.", CREDENTIAL_SPEC, "remove it"),
    ],
};

static PROVIDERS: Schema<()> = Schema {
    what: "`provider`",
    at: &["services.*.provider"],
    extensions: true,
    attributes: &[
        rejected("type", "The program.", PROVIDER, NO_PROVIDER),
        rejected("options", "Its options.", PROVIDER, NO_PROVIDER),
    ],
};

static MODEL_OF_SERVICE: Schema<()> = Schema {
    what: "a model of a service",
    at: &["services.*.models.*"],
    extensions: true,
    attributes: &[
        rejected("endpoint_var", "Variable with the address.", MODELS, NO_MODELS),
        rejected("model_var", "Variable with the name of the model.", MODELS, NO_MODELS),
    ],
};

static MODEL: Schema<()> = Schema {
    what: "a model",
    at: &["models.*"],
    extensions: true,
    attributes: &[
        rejected("name", "Name of the model.", MODELS, NO_MODELS),
        rejected("model", "Image of the model.", MODELS, NO_MODELS),
        rejected("context_size", "Most tokens it looks at.", MODELS, NO_MODELS),
        rejected("runtime_flags", "Flags of the program that runs it.", MODELS, NO_MODELS),
    ],
};

/// Every key of these mappings.
pub(super) fn describe() -> Vec<Supported> {
    let all = [
        &CREDENTIALS,
        &PROVIDERS,
        &MODEL_OF_SERVICE,
        &MODEL,
        &BUILDS,
        &BUILD_SECRET,
        &BUILD_LIMIT,
        &DEVELOPS,
        &WATCH,
        &WATCH_COMMAND,
    ];
    all.into_iter().flat_map(Schema::describe).collect()
}

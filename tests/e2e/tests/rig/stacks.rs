//! Small stacks of the scenarios, made of the busybox image.

/// A jaco.yaml that only names the deployment.
pub(crate) fn named(deployment: &str) -> String {
    format!("deployment: {deployment}\n")
}

/// A compose file with one service `app` that runs `script` in a shell; `further` are lines of the
/// service, indented by four spaces.
pub(crate) fn shell(script: &str, further: &str) -> String {
    format!(
        "services:\n  app:\n    image: busybox:rig\n    pull_policy: never\n    \
         stop_grace_period: 1s\n    command: [\"sh\", \"-c\", {script:?}]\n{further}"
    )
}

/// A script that runs until it is told to stop, and then stops at once. `$$` is Compose's `$`.
pub(crate) const FOREVER: &str = "trap 'exit 0' TERM; while :; do sleep 1 & wait $$!; done";

/// The same without waking up: for many containers on one machine.
pub(crate) const QUIET: &str = "trap 'exit 0' TERM; sleep 86400 & wait $$!";

/// A compose file with one service `app` of that many quiet replicas; `further` as in [`shell`].
pub(crate) fn many(replicas: usize, further: &str) -> String {
    shell(QUIET, &format!("{further}    deploy:\n      replicas: {replicas}\n"))
}

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

/// A compose file with a service `app` of that many replicas that serve the text `page` on port 8080 and
/// are checked every second. Told to stop, they go on serving for two seconds: as long as a router may
/// take to hear of it. `further` are lines of the service, indented by four spaces.
pub(crate) fn pages(page: &str, replicas: usize, further: &str) -> String {
    let script = format!(
        "echo {page} >/tmp/index.html; httpd -p 8080 -h /tmp; trap 'sleep 2; exit 0' TERM; \
         sleep 86400 & wait $$!"
    );
    format!(
        "services:\n  app:\n    image: busybox:rig\n    pull_policy: never\n    \
         stop_grace_period: 10s\n    command: [\"sh\", \"-c\", {script:?}]\n    healthcheck:\n      \
         test: [\"CMD\", \"wget\", \"-q\", \"-O\", \"/dev/null\", \"http://127.0.0.1:8080/\"]\n      \
         interval: 1s\n      timeout: 2s\n      retries: 2\n{further}    deploy:\n      \
         replicas: {replicas}\n      update_config:\n        order: start-first\n        \
         parallelism: 2\n        monitor: 1s\n"
    )
}

/// A compose file with a service `app` of that many replicas that answer `/cgi-bin/mirror` on port 8080 with
/// their name (`BY=…`) and with the variables of what they were asked.
pub(crate) fn mirrors(replicas: usize) -> String {
    let script = "mkdir -p /tmp/cgi-bin; cd /tmp/cgi-bin; echo '#!/bin/sh' >mirror; \
                  echo 'echo Content-Type: text/plain; echo; echo BY=$$(hostname); env' >>mirror; \
                  chmod +x mirror; echo up >/tmp/index.html; httpd -p 8080 -h /tmp; \
                  trap 'exit 0' TERM; sleep 86400 & wait $$!";
    format!(
        "services:\n  app:\n    image: busybox:rig\n    pull_policy: never\n    \
         stop_grace_period: 1s\n    command: [\"sh\", \"-c\", {script:?}]\n    healthcheck:\n      \
         test: [\"CMD\", \"wget\", \"-q\", \"-O\", \"/dev/null\", \"http://127.0.0.1:8080/\"]\n      \
         interval: 1s\n      timeout: 2s\n      retries: 2\n    deploy:\n      replicas: {replicas}\n"
    )
}

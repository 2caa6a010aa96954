//! What equals access to the host, and what a cluster lets anybody mount.

use jaco_api::{
    error::ErrorCode,
    manifest::{Resolved, check_allowing, privileges, resolve_allowing},
    model::BindAllowlist,
};

use crate::support::{Memory, NAME, compose, jaco};

/// The code and line of the refusal, or the resolved manifest.
fn resolved(compose_text: &str, allowed: &str) -> Result<Resolved, (ErrorCode, u32, String)> {
    let allowed = allowed.parse::<BindAllowlist>().unwrap();
    let (jaco, compose) = (jaco(NAME), compose(compose_text));
    resolve_allowing(&jaco, &compose, &Memory::default(), &allowed)
        .map_err(|found| (found[0].code, found[0].line, found[0].message.clone()))
}

fn web(attributes: &str) -> String {
    format!("services:\n  web:\n    image: a\n    {attributes}\n")
}

#[test]
fn a_bind_mount_that_the_list_covers_needs_no_label() {
    let text = web(
        "volumes: ['/srv/data/a:/a', './conf:/b:ro', {type: bind, source: /srv/data, target: /c}]",
    );
    let refused = |allowed| resolved(&text, allowed).unwrap_err().0;
    assert_eq!(refused(""), ErrorCode::PrivilegeDenied);
    assert_eq!(refused("/srv/data"), ErrorCode::PrivilegeDenied, "./conf is /srv/app/conf");
    assert_eq!(refused("/srv/dat,/srv/ap"), ErrorCode::PrivilegeDenied);
    let resolved = resolved(&text, "/srv/data,/srv/app").unwrap();
    let spec = &resolved.document.services["web"].1;
    assert_eq!(privileges(spec, &"/srv".parse().unwrap()), Vec::<String>::new());
    assert_eq!(privileges(spec, &"/srv/data".parse().unwrap()), ["bind mount of /srv/app/conf"]);
    assert_eq!(privileges(spec, &BindAllowlist::default()).len(), 3);
}

#[test]
fn the_daemon_decides_as_the_client_does() {
    let text = web("volumes: ['/srv/data:/a']");
    let allowed: BindAllowlist = "/srv".parse().unwrap();
    let sent = compose(&resolved(&text, "/srv").unwrap().compose);
    assert!(check_allowing(&jaco(NAME), &sent, &allowed).is_ok());
    let refused = check_allowing(&jaco(NAME), &sent, &BindAllowlist::default());
    assert_eq!(refused.unwrap_err()[0].code, ErrorCode::PrivilegeDenied);
}

#[test]
fn sockets_and_what_belongs_to_the_system_stay_access_to_the_host() {
    for path in [
        "/",
        "/etc",
        "/etc/ssl/certs",
        "/proc",
        "/sys/fs/cgroup",
        "/dev/sda",
        "/run/docker.sock",
        "/var/run/docker.sock",
        "/var",
        "/var/lib/docker",
        "/var/lib/jaco",
        "/srv/docker.sock",
        "/srv/../etc",
    ] {
        let text = web(&format!("volumes: ['{path}:/a:ro']"));
        let (code, line, message) = resolved(&text, "/srv,/var,/home").unwrap_err();
        assert_eq!((code, line), (ErrorCode::PrivilegeDenied, 4), "{path}: {message}");
    }
}

#[test]
fn nothing_else_becomes_allowed_with_a_mount() {
    let (code, line, message) = resolved(
        &web("volumes:\n      - /srv/a:/a\n      - /opt/b:/b\n    cap_add: [SYS_ADMIN]\n    privileged: true"),
        "/srv",
    )
    .unwrap_err();
    assert_eq!((code, line), (ErrorCode::PrivilegeDenied, 6), "the first that is not allowed");
    assert_eq!(
        message,
        "this equals access to the host: privileged; cap_add SYS_ADMIN; bind mount of /opt/b"
    );
    let device = "services: {web: {image: a, volumes: ['d:/d']}}\nvolumes: {d: {driver_opts: {type: none, o: bind, device: /srv/a}}}\n";
    assert_eq!(resolved(device, "/srv").unwrap_err().0, ErrorCode::PrivilegeDenied);
}

#[test]
fn the_label_still_admits_what_the_list_does_not_cover() {
    let text = web("labels: {jaco.io/allow-privileged: 'true'}\n    volumes: ['/etc:/etc:ro']");
    let resolved = resolved(&text, "/srv").unwrap();
    let spec = &resolved.document.services["web"].1;
    assert_eq!(privileges(spec, &"/srv".parse().unwrap()), ["bind mount of /etc"]);
}

//! What is said of an attribute that somebody asks about.

use jaco_api::manifest::{ManifestFile, Treatment, explain, supported};

fn paths(field: &str) -> Vec<String> {
    explain(field).unwrap_or_else(|e| panic!("{field}: {e}")).into_iter().map(|e| e.path).collect()
}

#[test]
fn an_attribute_is_named_by_its_path_or_the_end_of_it() {
    for (field, expected) in [
        ("ports", &["services.*.ports"][..]),
        ("services.ports", &["services.*.ports"]),
        ("services.*.ports", &["services.*.ports"]),
        ("services.web.ports[0].target", &["services.*.ports.target"]),
        ("services.*.healthcheck.test", &["services.*.healthcheck.test"]),
        ("deploy.update_config.order", &["services.*.deploy.update_config.order"]),
        (
            "order",
            &["services.*.deploy.update_config.order", "services.*.deploy.rollback_config.order"],
        ),
        ("routes.path", &["routes.path"]),
        ("services[0].hosts", &["services.hosts"]),
        ("networks", &["services.networks", "networks", "services.*.networks"]),
        ("networks.driver_opts", &["services.*.networks.*.driver_opts", "networks.*.driver_opts"]),
        ("device_write_bps.rate", &["services.*.blkio_config.device_write_bps.rate"]),
        (" build.target ", &["services.*.build.target"]),
        ("x-anything", &["x-*"]),
        ("x-jaco-proxy-protocol", &["services.*.ports.x-jaco-proxy-protocol"]),
    ] {
        assert_eq!(paths(field), expected, "{field}");
    }
}

#[test]
fn every_attribute_can_be_asked_about_by_its_path() {
    for key in supported() {
        for path in key.paths() {
            assert!(paths(&path).contains(&path), "{path}");
        }
    }
}

#[test]
fn it_says_what_happens_and_what_may_stand_below() {
    let [ulimits] = &explain("ulimits").unwrap()[..1] else { panic!() };
    assert_eq!(ulimits.file, ManifestFile::Compose);
    assert_eq!(
        (ulimits.treatment, &ulimits.keys[..]),
        (Treatment::Accepted, &["soft", "hard"][..])
    );
    let restart = &explain("services.restart").unwrap()[0];
    assert!(matches!(restart.treatment, Treatment::Ignored { .. }), "{restart:?}");
    let links = serde_json::to_value(explain("external_links").unwrap()).unwrap();
    assert_eq!(
        links,
        serde_json::json!([{
            "file": "compose",
            "path": "services.*.external_links",
            "about": "Names of containers outside of the project.",
            "support": "refused",
            "reason": "is not supported: a deployment reaches only its own services",
            "instead": "publish a port or declare a route in the other deployment"
        }])
    );
}

#[test]
fn an_attribute_that_is_not_there_is_an_error_with_what_is_near() {
    for (field, hint) in [
        ("prots", Some("did you mean `ports`?")),
        ("services.prots", Some("did you mean `services.ports`?")),
        ("deplyo.replicas", Some("did you mean `deploy.replicas`?")),
        ("deploy.replica", Some("did you mean `deploy.replicas`?")),
        ("web.image", Some("did you mean `image`?")),
        ("", None),
        ("....", None),
        ("completely.different", None),
    ] {
        let error = explain(field).unwrap_err();
        assert_eq!(error.hint.as_deref(), hint, "{field}");
        assert_eq!(error.field, field);
    }
    assert!(explain(&"x".repeat(100_000)).unwrap_err().to_string().len() < 200);
}

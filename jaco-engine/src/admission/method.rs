//! What each method of the API needs. What is not listed is refused.

use jaco_api::model::Role;

/// Who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Anybody who reaches the port.
    Nothing,
    /// An operator of at least this role.
    Operator(Role),
    /// An operator on the node's own socket, or the embedding process.
    Local,
    /// Another member, by its certificate.
    Member,
}

/// The rule of one method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Who may call it.
    pub need: Need,
    /// Whether it answers before the node belongs to a cluster.
    pub before_init: bool,
}

/// The rule of the method with this path (`/package.Service/Method`); absent when there is no such
/// method.
#[must_use]
pub fn rule(path: &str) -> Option<Rule> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let of = |need| Some(Rule { need, before_init: false });
    match (service, method) {
        ("jaco.v1.Cluster", "Init" | "Join") => Some(Rule { need: Need::Local, before_init: true }),
        ("jaco.v1.Cluster", "Status") => {
            Some(Rule { need: Need::Operator(Role::Viewer), before_init: true })
        }
        ("jaco.v1.Cluster", "GetSettings")
        // A repair needs more: the handler looks at what is asked for.
        | ("jaco.v1.Nodes", "List" | "Inspect" | "Diagnose")
        | ("jaco.v1.Watch", "Status" | "Events" | "Replica" | "Usage")
        | ("jaco.v1.Logs" | "jaco.v1.Audit", "Stream")
        | ("jaco.v1.Deploy", "Get" | "History")
        | ("jaco.v1.Files" | "jaco.v1.Certs", "List")
        | ("jaco.v1.Routes", "Inspect")
        | ("jaco.v1.Token", "List") => of(Need::Operator(Role::Viewer)),
        // A dry run of a viewer is refused as well: it may open sealed documents.
        (
            "jaco.v1.Deploy",
            "Apply" | "Rollback" | "Delete" | "Scale" | "Restart" | "Stop" | "Start",
        )
        | ("jaco.v1.Exec", "Run" | "Path" | "CopyOut" | "CopyIn" | "Forward") => {
            of(Need::Operator(Role::Deployer))
        }
        ("jaco.v1.Cluster", "SetSetting" | "TransferLeader" | "RotateKey")
        | ("jaco.v1.Nodes", "IssueJoinToken" | "SetAvailability" | "Remove" | "Label" | "RotateMeshKey")
        | ("jaco.v1.Files", "Set" | "Delete")
        | ("jaco.v1.Certs", "Import" | "Renew" | "Remove")
        | ("jaco.v1.Token", "Issue" | "Revoke") => of(Need::Operator(Role::Admin)),
        ("jaco.v1.Internal" | "jaco.v1.Raft" | "jaco.v1.Relay", _) => of(Need::Member),
        // Its caller is no member yet: the join token is in the request.
        ("jaco.v1.Join", "Enrol") | ("grpc.health.v1.Health", _) => of(Need::Nothing),
        ("grpc.reflection.v1.ServerReflection" | "grpc.reflection.v1alpha.ServerReflection", _) => {
            of(Need::Operator(Role::Viewer))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    /// Every method of a file of descriptors, as a path.
    fn methods(descriptors: &[u8]) -> Vec<String> {
        let set = prost_types::FileDescriptorSet::decode(descriptors).unwrap();
        let mut paths = Vec::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    paths.push(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
                }
            }
        }
        paths
    }

    #[test]
    fn every_method_has_a_rule_and_nothing_else_has_one() {
        let all = methods(jaco_api::pb::DESCRIPTORS);
        assert!(all.len() > 20, "{all:?}");
        for path in &all {
            assert!(rule(path).is_some(), "{path} has no rule");
        }
        for path in ["", "/", "/jaco.v1.Cluster/Destroy", "/jaco.v2.Cluster/Init", "Cluster/Init"] {
            assert_eq!(rule(path), None, "{path}");
        }
    }

    #[test]
    fn only_init_join_and_status_answer_before_there_is_a_cluster() {
        let mut all = methods(jaco_api::pb::DESCRIPTORS);
        all.retain(|path| rule(path).unwrap().before_init);
        assert_eq!(
            all,
            ["/jaco.v1.Cluster/Init", "/jaco.v1.Cluster/Join", "/jaco.v1.Cluster/Status"]
        );
    }

    #[test]
    fn internal_methods_are_for_members_only() {
        for path in methods(jaco_api::pb::DESCRIPTORS) {
            let internal = ["Internal", "Raft", "Relay"]
                .iter()
                .any(|service| path.starts_with(&format!("/jaco.v1.{service}/")));
            assert_eq!(rule(&path).unwrap().need == Need::Member, internal, "{path}");
        }
    }
}

//! What a node must not run any more once it may have been given up by the others.

use jaco_api::model::Assignment;

use crate::state::State;

/// Kills the singletons of an assignment: somebody else may be about to start them. Everything else
/// runs on.
pub fn fence(state: &State, assignment: &mut Assignment) {
    for (id, assigned) in &mut assignment.replicas {
        let service = state.replica(id).and_then(|replica| state.service_of(replica));
        assigned.fenced = service.is_some_and(|service| service.schedule.singleton);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jaco_api::model::{ContainerSpec, Digest, FileContent, NamedFile, NodeId};

    use super::*;
    use crate::{
        assignment::{Documents, project},
        testing::world::{World, service},
    };

    struct Nothing;
    impl Documents for Nothing {
        fn container(&self, _: &Digest) -> Option<Arc<ContainerSpec>> {
            None
        }
        fn file(&self, _: &NamedFile) -> Option<FileContent> {
            None
        }
    }

    #[test]
    fn only_singletons_are_killed() {
        let mut world = World::new(&["a"]);
        let one = jaco_api::model::ServiceSchedule { singleton: true, ..service(1) };
        world.deploy("shop", &[("one", one, "one:1"), ("web", service(1), "web:1")]);
        world.step();
        let mut assignment = project(world.state(), NodeId(1), &Nothing, true).unwrap();
        fence(world.state(), &mut assignment);
        let fenced: Vec<_> = assignment.replicas.values().map(|r| r.fenced).collect();
        assert_eq!(fenced, [true, false]);
    }
}

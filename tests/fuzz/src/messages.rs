//! Protobuf messages of the API: whatever becomes a value of the model is the same after the way back.

use std::fmt::Debug;

use jaco_api::{
    error::ApiError,
    manifest::{Diagnostic, Source},
    model, pb,
};
use prost::Message;

/// The first byte says which message.
pub(crate) fn messages(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let Some(read) = READERS.get(usize::from(*kind)) else { return };
    read(rest);
}

const READERS: [fn(&[u8]); 21] = [
    apply,
    status,
    back_and_forth::<pb::Node, model::Node>,
    back_and_forth::<pb::MemberStatus, model::MemberStatus>,
    back_and_forth::<pb::ClusterStatusResponse, model::ClusterStatus>,
    back_and_forth::<pb::Route, model::RouteSpec<model::Hidden>>,
    back_and_forth::<pb::ServiceStatus, model::ServiceStatus>,
    back_and_forth::<pb::RolloutStatus, model::RolloutStatus>,
    back_and_forth::<pb::DeploymentStatus, model::DeploymentStatus>,
    back_and_forth::<pb::Difference, model::Difference>,
    back_and_forth::<pb::AuditEvent, model::AuditEvent>,
    back_and_forth::<pb::Reason, model::Reason>,
    back_and_forth::<pb::ReplicaStatus, model::ReplicaStatus>,
    back_and_forth::<pb::ReplicaEvent, model::ReplicaEvent>,
    back_and_forth::<pb::Diagnostic, Diagnostic>,
    back_and_forth::<pb::Actor, model::Actor>,
    back_and_forth::<pb::OperatorToken, model::OperatorToken>,
    back_and_forth::<pb::TerminalSize, model::TerminalSize>,
    back_and_forth::<pb::PathInfo, model::PathInfo>,
    back_and_forth::<pb::NodeUsage, model::NodeUsage>,
    back_and_forth::<pb::ReplicaUsage, model::ReplicaUsage>,
];

fn back_and_forth<P, M>(data: &[u8])
where
    P: Message + Default + From<M>,
    M: TryFrom<P, Error: Debug> + Clone + PartialEq + Debug,
{
    let Ok(message) = P::decode(data) else { return };
    let Ok(value) = M::try_from(message) else { return };
    let sent = P::from(value.clone()).encode_to_vec();
    let read = P::decode(sent.as_slice()).expect("what is written is read");
    assert_eq!(M::try_from(read).expect("a value of the model is valid"), value);
}

/// An apply, as the server takes it.
fn apply(data: &[u8]) {
    let Ok(request) = pb::ApplyRequest::decode(data) else { return };
    let jaco = Source { name: request.jaco_name, text: request.jaco };
    let compose = Source { name: request.compose_name, text: request.compose };
    match jaco_api::manifest::check(&jaco, &compose) {
        Ok(_) => {}
        Err(found) => assert!(!found.is_empty()),
    }
}

/// The details of a failed call, as the client takes them.
fn status(data: &[u8]) {
    let details = data.to_vec().into();
    let status = tonic::Status::with_details(tonic::Code::Internal, "message", details);
    let error = ApiError::from(status);
    let again = ApiError::from(tonic::Status::from(error.clone()));
    assert_eq!((again.code, again.message), (error.code, error.message));
}

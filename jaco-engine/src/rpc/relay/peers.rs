//! Members of real clusters: mutual TLS, one pooled connection for streams.

use jaco_api::{
    error::{ApiError, ErrorCode},
    model::Node,
};
use tonic::transport::Channel;

use super::Peers;
use crate::raft::{GrpcTransport, Member, Peer};

impl Peers for GrpcTransport {
    fn channel(&self, to: &Node) -> Result<Channel, ApiError> {
        let member = Member {
            name: to.name.clone(),
            raft_addr: to.facts.raft_addr,
            api_addr: to.facts.api_addr,
        };
        self.streams(&Peer { id: to.id, member }).map_err(|error| {
            ApiError::new(ErrorCode::NodeUnreachable, format!("node {}: {error}", to.name))
        })
    }
}

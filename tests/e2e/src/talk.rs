//! Generated client and server of the gRPC service that the peer speaks.

#![allow(missing_docs, clippy::all, clippy::pedantic, unused_qualifications, unreachable_pub)]

tonic::include_proto!("talk");

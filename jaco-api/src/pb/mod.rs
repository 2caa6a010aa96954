//! Generated protobuf messages, clients and servers of package `jaco.v1`.
//!
//! Nothing here is checked: [`crate::convert`] turns messages into [`crate::model`] values.

#![allow(missing_docs, clippy::all, clippy::pedantic, unused_qualifications, unreachable_pub)]

tonic::include_proto!("jaco.v1");

/// The encoded `FileDescriptorSet` of every file of the package, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/jaco_v1.bin"));

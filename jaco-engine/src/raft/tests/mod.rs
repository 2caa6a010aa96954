//! openraft's own conformance suite, a group in one process, and TLS on real sockets.

mod group;
mod nodes;
mod single;
mod sockets;
mod suite;

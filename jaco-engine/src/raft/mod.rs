//! openraft behind the `RaftStorage` and `PeerTransport` seams.

pub mod storage;

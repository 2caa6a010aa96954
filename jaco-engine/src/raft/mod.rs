//! openraft behind the `RaftStorage` and `PeerTransport` seams.

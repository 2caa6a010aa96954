//! What the node knows of its host before the container engine has answered.

use std::net::SocketAddr;

use jaco_api::model::NodeFacts;

/// The first facts of a node.
pub(crate) fn first_facts(api_addr: SocketAddr, raft_addr: SocketAddr, version: &str) -> NodeFacts {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = rustix::system::sysinfo();
    NodeFacts {
        api_addr,
        raft_addr,
        version: version.to_owned(),
        engine: None,
        platform: format!("linux/{}", architecture(std::env::consts::ARCH)),
        cpu_millis: u64::try_from(processors).unwrap_or(1) * 1_000,
        memory_bytes: memory.totalram * u64::from(memory.mem_unit),
        mesh: None,
    }
}

/// An architecture as Docker writes it.
fn architecture(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

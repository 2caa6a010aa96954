//! Encrypted tunnels in user space, side by side: the same two namespaces, the same cable, in turn.

mod cable;
mod contender;

pub use cable::Cable;
pub use contender::{JacoMesh, Tunnel, WireguardGo};

use jaco_harness::Result;

/// What iperf3 does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Connections at once.
    pub streams: u8,
    /// How long.
    pub seconds: u8,
}

/// Puts the contender between the ends of the cable, sends, and takes it away: megabits per second.
///
/// # Errors
/// It cannot be started, or nothing comes through.
pub fn throughput(tunnel: &mut dyn Tunnel, cable: &Cable, traffic: &[Traffic]) -> Result<Vec<f64>> {
    let measured = tunnel.up(cable).and_then(|()| {
        cable.reaches(cable::FAR)?;
        traffic.iter().map(|traffic| cable.send(cable::FAR, *traffic)).collect()
    });
    let down = tunnel.down(cable);
    measured.and_then(|measured| down.map(|()| measured))
}

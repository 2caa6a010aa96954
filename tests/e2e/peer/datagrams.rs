//! Datagrams: each is answered with the name of the container and itself.

use std::sync::Arc;

use tokio::net::UdpSocket;

use crate::state::Peer;

/// Serves until the peer stops.
pub(crate) async fn serve(socket: UdpSocket, peer: Arc<Peer>) {
    let mut buffer = vec![0; 65_535];
    while let Some(received) =
        peer.stopping.run_until_cancelled(socket.recv_from(&mut buffer)).await
    {
        let Ok((length, from)) = received else { continue };
        let answer = [peer.host.as_bytes(), b" ", &buffer[..length]].concat();
        let _ = socket.send_to(&answer, from).await;
    }
}

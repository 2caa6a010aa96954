//! WebSockets: each message is answered with the name of the container and itself.

use std::sync::Arc;

use axum::{
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code},
    },
    response::Response,
};

use crate::state::Peer;

/// Opens a WebSocket.
pub(crate) async fn upgrade(State(peer): State<Arc<Peer>>, ask: WebSocketUpgrade) -> Response {
    let token = peer.sockets.token();
    ask.on_upgrade(move |socket| async move {
        let _open = token;
        echo(socket, &peer).await;
    })
}

async fn echo(mut socket: WebSocket, peer: &Peer) {
    loop {
        let message = tokio::select! {
            message = socket.recv() => message,
            () = peer.stopping.cancelled() => return leave(socket).await,
        };
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            // The answer to a Close is sent by what reads on, until the end.
            Some(Ok(_)) => continue,
            Some(Err(_)) | None => return,
        };
        if socket.send(Message::text(format!("{} {text}", peer.host))).await.is_err() {
            return;
        }
    }
}

/// Says that the peer goes away, and nothing more.
async fn leave(mut socket: WebSocket) {
    let frame = CloseFrame { code: close_code::AWAY, reason: "stopping".into() };
    let _ = socket.send(Message::Close(Some(frame))).await;
}

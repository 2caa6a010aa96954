//! A visitor with a WebSocket, on which something is said four times a second.

use std::{
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use tokio_tungstenite::tungstenite::{self, Error, Message, WebSocket};

use super::{Ground, Seen};

const EACH: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens one after the other.
pub(super) fn visit(ground: &Ground, node: SocketAddr) -> Seen {
    let (mut seen, mut said, mut open) = (Seen::default(), 0, None);
    while !ground.is_over() {
        ground.pace(said, EACH);
        said += 1;
        let begun = Instant::now();
        let mut socket = match open.take().map_or_else(|| connect(node, &ground.domain), Ok) {
            Ok(socket) => socket,
            Err(why) => {
                seen.broken.push(ground.noticed(begun, node, why));
                continue;
            }
        };
        match talk(&mut socket, said) {
            Ok(true) => {
                seen.messages += 1;
                open = Some(socket);
            }
            Ok(false) => seen.closed += 1,
            Err(why) => seen.broken.push(ground.noticed(begun, node, why)),
        }
    }
    seen
}

fn connect(node: SocketAddr, domain: &str) -> Result<WebSocket<TcpStream>, String> {
    let opened = || -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&node, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    };
    let stream = opened().map_err(|error| error.to_string())?;
    let opened = tungstenite::client(format!("ws://{domain}/ws"), stream);
    opened.map(|(socket, _)| socket).map_err(|error| format!("cannot be opened: {error}"))
}

/// Says something and hears it again; false when the other side has closed the socket as it should.
fn talk(socket: &mut WebSocket<TcpStream>, number: u32) -> Result<bool, String> {
    let text = number.to_string();
    let mut exchange = || -> Result<bool, Error> {
        // What the other side has said last is still to be read when it takes no more.
        let sent = socket.send(Message::text(text.clone()));
        loop {
            match socket.read() {
                Ok(Message::Text(answer)) if answer.ends_with(&format!(" {text}")) => {
                    return Ok(true);
                }
                Ok(Message::Close(_)) | Err(Error::ConnectionClosed) => return Ok(false),
                Ok(_) => {}
                Err(error) => return Err(sent.err().unwrap_or(error)),
            }
        }
    };
    exchange().map_err(|error| error.to_string())
}

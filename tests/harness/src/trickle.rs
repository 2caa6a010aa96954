//! A datagram every few milliseconds from one network to another, and what arrives of them.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{HarnessError, Result, Vantage};

/// How often one is sent.
const EVERY: Duration = Duration::from_millis(5);
/// How long the last ones may be on their way.
const LATE: Duration = Duration::from_millis(300);

/// Datagrams on their way, until they are stopped.
#[derive(Debug)]
pub struct Trickle {
    stop: Arc<AtomicBool>,
    sender: JoinHandle<io::Result<u32>>,
    receiver: JoinHandle<io::Result<Vec<Instant>>>,
}

/// What became of them.
#[derive(Debug)]
pub struct Trickled {
    /// How many were sent.
    pub sent: u32,
    /// When each of those came that did.
    pub came: Vec<Instant>,
}

impl Trickle {
    /// Begins to send from `from` to `at`, an address in `to`.
    ///
    /// # Errors
    /// The port of `at` is taken in `to`.
    pub fn begin(from: &Vantage, to: &Vantage, at: SocketAddr) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (sends, receives) = (from.udp(0)?, to.udp(at.port())?);
        let stopped = Arc::clone(&stop);
        let sender = thread::spawn(move || {
            let mut sent = 0;
            while !stopped.load(Ordering::Relaxed) {
                // A firewall may say no at once: that is a packet, too, that did not come.
                let _ = sends.send_to(b"trickle", at);
                sent += 1;
                thread::park_timeout(EVERY);
            }
            Ok(sent)
        });
        let stopped = Arc::clone(&stop);
        let receiver = thread::spawn(move || receive(&receives, &stopped));
        Ok(Self { stop, sender, receiver })
    }

    /// Stops, and says what became of them.
    ///
    /// # Errors
    /// The receiving socket broke.
    pub fn end(self) -> Result<Trickled> {
        self.stop.store(true, Ordering::Relaxed);
        let panicked = || io::Error::other("a thread panicked");
        let broken = |error| HarnessError::file("send datagrams through", "the network")(error);
        let sent = self.sender.join().unwrap_or_else(|_| Err(panicked())).map_err(broken)?;
        let came = self.receiver.join().unwrap_or_else(|_| Err(panicked())).map_err(broken)?;
        Ok(Trickled { sent, came })
    }
}

fn receive(socket: &UdpSocket, stopped: &AtomicBool) -> io::Result<Vec<Instant>> {
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(LATE))?;
    let mut came = Vec::new();
    loop {
        match socket.recv(&mut [0; 64]) {
            Ok(_) => came.push(Instant::now()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock) => {
                if stopped.load(Ordering::Relaxed) {
                    return Ok(came);
                }
            }
            Err(error) => return Err(error),
        }
    }
}

//! The TUN interface: packets of this host into the tunnel, and out of it.
//!
//! In: the name of an interface. Out: its two ends, one packet at a time for the protocol, but many at
//! a time for the kernel: it hands over a burst of TCP as one large segment, and takes one as such.
//! Looks at no address: who may send what is the protocol's decision.

use std::{io, sync::Arc};

use bytes::BytesMut;
use gotatun::{
    packet::{Ip, Packet, PacketBufPool},
    tun::{IpRecv, IpSend, MtuWatcher},
};
use tokio::sync::{mpsc, watch};
use tun_rs::{AsyncDevice, DeviceBuilder, GROTable, IDEAL_BATCH_SIZE, VIRTIO_NET_HDR_LEN};

use super::bell::Bell;
use crate::NetError;

/// The largest packet of IP.
const LARGEST: usize = 65535;
/// Packets that wait for the interface.
const QUEUE: usize = 1024;

/// Makes the interface, down and without addresses. It goes with the last of its ends.
pub(super) fn open(
    name: &str,
    mtu: watch::Receiver<u16>,
    bell: Bell,
) -> Result<(TunWriter, TunReader), NetError> {
    let made = DeviceBuilder::new().name(name).offload(true).enable(false).build_async();
    let device = made
        .map_err(|source| NetError::Refused { what: "TUN interface", source: Box::new(source) })?;
    let device = Arc::new(device);
    let (packets, queue) = mpsc::channel(QUEUE);
    tokio::spawn(write(Arc::clone(&device), queue, bell.clone()));
    let reader = TunReader {
        device,
        segment: vec![0; VIRTIO_NET_HDR_LEN + LARGEST].into(),
        packets: Vec::new(),
        room: 0,
        sizes: [0; IDEAL_BATCH_SIZE],
        mtu,
        bell,
    };
    Ok((TunWriter(packets), reader))
}

/// Whether the interface is gone, rather than one packet lost.
fn gone(error: &io::Error) -> bool {
    // A TUN device whose interface was deleted is "in bad state".
    matches!(error.raw_os_error(), Some(9 | 19 | 77))
}

/// Towards the host.
pub(super) struct TunWriter(mpsc::Sender<Packet>);

impl IpSend for TunWriter {
    async fn send(&mut self, packet: Packet<Ip>) -> io::Result<()> {
        self.0.send(packet.into_bytes()).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Takes whatever waits at once, so that the kernel can be given it as few large segments.
async fn write(device: Arc<AsyncDevice>, mut queue: mpsc::Receiver<Packet>, bell: Bell) {
    let mut waiting: Vec<Packet> = Vec::with_capacity(IDEAL_BATCH_SIZE);
    let mut buffers: Vec<BytesMut> = Vec::new();
    let mut table = GROTable::default();
    while queue.recv_many(&mut waiting, IDEAL_BATCH_SIZE).await > 0 {
        buffers.resize_with(waiting.len().max(buffers.len()), BytesMut::new);
        for (packet, buffer) in waiting.iter().zip(&mut buffers) {
            buffer.clear();
            buffer.resize(VIRTIO_NET_HDR_LEN, 0);
            buffer.extend_from_slice(packet);
        }
        let written =
            device.send_multiple(&mut table, &mut buffers[..waiting.len()], VIRTIO_NET_HDR_LEN);
        waiting.clear();
        match written.await {
            Err(error) if gone(&error) => {
                bell.broken();
                return;
            }
            // A packet that the interface does not take, as when it is down, is lost like any other.
            Err(error) => tracing::trace!(%error, "packets lost before the mesh interface"),
            Ok(_) => {}
        }
    }
}

/// From the host.
pub(super) struct TunReader {
    device: Arc<AsyncDevice>,
    segment: Box<[u8]>,
    packets: Vec<Buffer>,
    /// How large a packet fits into each of them.
    room: usize,
    sizes: [usize; IDEAL_BATCH_SIZE],
    mtu: watch::Receiver<u16>,
    bell: Bell,
}

/// A packet still to be filled.
struct Buffer(Packet);

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl TunReader {
    /// As many buffers as one segment can be cut into, each with room for a whole packet.
    fn refill(&mut self, pool: &PacketBufPool) {
        let room = usize::from(*self.mtu.borrow());
        if room > self.room {
            self.packets.clear();
        }
        self.room = room;
        while self.packets.len() < IDEAL_BATCH_SIZE {
            let mut packet = pool.get();
            if packet.len() < room {
                packet.buf_mut().resize(room, 0);
            }
            self.packets.push(Buffer(packet));
        }
    }
}

impl IpRecv for TunReader {
    async fn recv<'a>(
        &'a mut self,
        pool: &mut PacketBufPool,
    ) -> io::Result<impl Iterator<Item = Packet<Ip>> + Send + 'a> {
        let count = loop {
            self.refill(pool);
            let Self { device, segment, packets, sizes, .. } = &mut *self;
            match device.recv_multiple(segment, packets, sizes, 0).await {
                Ok(count) => break count,
                Err(error) if gone(&error) => {
                    self.bell.broken();
                    return Err(error);
                }
                // For the protocol any error is the end, but this one cost no more than a packet.
                Err(error) => tracing::trace!(%error, "a packet lost behind the mesh interface"),
            }
        };
        let sizes = &self.sizes;
        let filled =
            self.packets.drain(..count).zip(sizes).filter_map(|(Buffer(mut packet), size)| {
                packet.truncate(*size);
                packet.try_into_ip().ok()
            });
        Ok(filled)
    }

    fn mtu(&self) -> MtuWatcher {
        self.mtu.clone().into()
    }
}

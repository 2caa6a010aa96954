//! The generic netlink socket of WireGuard.
//!
//! In: attributes to set, or an interface to ask about. Out: the kernel's answer. Decides nothing.

use std::{
    io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::StreamExt as _;
use genetlink::{GenetlinkError, GenetlinkHandle};
use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_generic::GenlMessage;
use netlink_packet_wireguard::{WireguardAttribute, WireguardCmd, WireguardMessage};

use super::message::{Held, held};
use crate::NetError;

/// The interface is gone, or is none of WireGuard's.
const GONE: [i32; 3] = [19, 95, 2];

/// What the interface holds; `None` if it is gone.
pub(super) async fn read(index: u32) -> Result<Option<Held>, NetError> {
    let ask = vec![WireguardAttribute::IfIndex(index)];
    let flags = NLM_F_REQUEST | NLM_F_DUMP;
    match request(&mut connect()?, WireguardCmd::GetDevice, ask, flags).await {
        Ok(attributes) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            Ok(Some(held(&attributes, now.unwrap_or(Duration::ZERO))))
        }
        Err(GenetlinkError::NetlinkError(error)) if gone(&error) => Ok(None),
        Err(error) => Err(NetError::Unreadable { what: "peers", source: Box::new(error) }),
    }
}

fn gone(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|number| GONE.contains(&number))
}

/// Changes the interface, message by message.
pub(super) async fn write(
    index: u32,
    requests: Vec<Vec<WireguardAttribute>>,
) -> Result<(), NetError> {
    let mut handle = connect()?;
    for mut attributes in requests {
        attributes.insert(0, WireguardAttribute::IfIndex(index));
        let flags = NLM_F_REQUEST | NLM_F_ACK;
        let written = request(&mut handle, WireguardCmd::SetDevice, attributes, flags).await;
        written.map_err(|error| NetError::Refused { what: "peers", source: Box::new(error) })?;
    }
    Ok(())
}

/// Whether the kernel has WireGuard: asking for it loads its module.
pub(in crate::mesh) async fn available() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (connection, handle, _) = genetlink::new_connection()?;
    tokio::spawn(connection);
    handle.resolve_family::<WireguardMessage>().await?;
    Ok(())
}

fn connect() -> Result<GenetlinkHandle, NetError> {
    let opened = genetlink::new_connection();
    let (connection, handle, _) = opened.map_err(|source| NetError::Unavailable {
        facility: "generic netlink",
        source: Box::new(source),
    })?;
    tokio::spawn(connection);
    Ok(handle)
}

async fn request(
    handle: &mut GenetlinkHandle,
    cmd: WireguardCmd,
    attributes: Vec<WireguardAttribute>,
    flags: u16,
) -> Result<Vec<WireguardAttribute>, GenetlinkError> {
    let message = GenlMessage::from_payload(WireguardMessage { cmd, attributes });
    let mut message = NetlinkMessage::from(message);
    message.header.flags = flags;
    let mut answers = std::pin::pin!(handle.request(message).await?);
    let mut attributes = Vec::new();
    while let Some(answer) = answers.next().await {
        match answer?.payload {
            NetlinkPayload::InnerMessage(inner) => attributes.extend(inner.payload.attributes),
            // An acknowledgement is an error without a code.
            NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.into()),
            _ => {}
        }
    }
    Ok(attributes)
}

//! What the routing table knows of the way to an address.

use std::net::IpAddr;

use futures::TryStreamExt as _;
use rtnetlink::{
    RouteMessageBuilder,
    packet_route::route::{RouteAttribute, RouteMessage, RouteMetric},
};

use super::{Links, errno, unreadable};
use crate::{NetError, mesh::mtu::Path};

/// Network unreachable, host unreachable, or a route that says so.
const NO_WAY: [i32; 4] = [101, 113, 13, 22];

/// The largest packet that gets to this address in one piece, as far as this node knows: what ICMP or
/// the route says, else the MTU of the interface that it leaves through. `None` if there is no way, or
/// only one through `except`, the mesh itself.
///
/// # Errors
/// The routing table cannot be asked.
pub async fn path_mtu(endpoint: IpAddr, except: &str) -> Result<Option<Path>, NetError> {
    let links = Links::connect()?;
    let endpoint = endpoint.to_canonical();
    let Some((route, out)) = links.lookup(endpoint).await? else { return Ok(None) };
    if links.find(except).await?.is_some_and(|mesh| mesh.index == out) {
        return Ok(None);
    }
    let Some(link) = links.at(out).await? else { return Ok(None) };
    let mtu = metric_of(&route).map_or(link.mtu, |metric| metric.min(link.mtu));
    Ok(Some(Path { endpoint, mtu }))
}

impl Links {
    /// The interface through which this node sends what is for `address`; `None` if there is no way.
    #[cfg(feature = "doctor")]
    pub(crate) async fn way(&self, address: IpAddr) -> Result<Option<u32>, NetError> {
        Ok(self.lookup(address).await?.map(|(_, out)| out))
    }

    /// The route that the kernel would take, and the interface it leads through.
    async fn lookup(&self, address: IpAddr) -> Result<Option<(RouteMessage, u32)>, NetError> {
        let mut asked = self.0.route().get(question(address)).execute();
        let route = match asked.try_next().await {
            Ok(Some(route)) => route,
            Ok(None) => return Ok(None),
            Err(error) if errno(&error).is_some_and(|n| NO_WAY.contains(&n)) => return Ok(None),
            Err(error) => return Err(unreadable("route", error)),
        };
        let out = route.attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Oif(index) => Some(*index),
            _ => None,
        });
        Ok(out.map(|out| (route, out)))
    }
}

fn question(endpoint: IpAddr) -> RouteMessage {
    let mut question = match endpoint {
        IpAddr::V4(v4) => {
            RouteMessageBuilder::<std::net::Ipv4Addr>::new().destination_prefix(v4, 32).build()
        }
        IpAddr::V6(v6) => {
            RouteMessageBuilder::<std::net::Ipv6Addr>::new().destination_prefix(v6, 128).build()
        }
    };
    // What a strict kernel wants left empty in a question.
    let header = &mut question.header;
    (header.table, header.protocol, header.scope, header.kind) = Default::default();
    question
}

/// The MTU that the route or what was learned of it says.
fn metric_of(route: &RouteMessage) -> Option<u32> {
    let metrics = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Metrics(metrics) => Some(metrics),
        _ => None,
    })?;
    metrics.iter().find_map(|metric| match metric {
        RouteMetric::Mtu(mtu) if *mtu > 0 => Some(*mtu),
        _ => None,
    })
}

//! Blocks of addresses.

use jaco_api::{
    convert::{InvalidMessage, parse},
    model::{NodeId, Subnet, SubnetKey},
    pb,
};

use super::Row;

impl Row for Subnet {
    type Message = pb::SubnetRow;
    fn write(&self) -> pb::SubnetRow {
        pb::SubnetRow {
            deployment: self.key.deployment.to_string(),
            network: self.key.network.to_string(),
            node: self.key.node.0,
            prefix: self.prefix.to_string(),
            released: self.released,
        }
    }
    fn read(m: pb::SubnetRow) -> Result<Self, InvalidMessage> {
        let key = SubnetKey {
            deployment: parse("deployment", &m.deployment)?,
            network: parse("network", &m.network)?,
            node: NodeId(m.node),
        };
        Ok(Self { key, prefix: parse("prefix", &m.prefix)?, released: m.released })
    }
}

//! Virtual addresses of services.

use jaco_api::{
    convert::{InvalidMessage, parse},
    model::{VirtualAddress, VirtualAddressKey},
    pb,
};

use super::Row;

impl Row for VirtualAddress {
    type Message = pb::VirtualAddressRow;
    fn write(&self) -> pb::VirtualAddressRow {
        pb::VirtualAddressRow {
            deployment: self.key.deployment.to_string(),
            network: self.key.network.to_string(),
            service: self.key.service.to_string(),
            address: self.address.to_string(),
        }
    }
    fn read(m: pb::VirtualAddressRow) -> Result<Self, InvalidMessage> {
        let key = VirtualAddressKey {
            deployment: parse("deployment", &m.deployment)?,
            network: parse("network", &m.network)?,
            service: parse("service", &m.service)?,
        };
        Ok(Self { key, address: parse("address", &m.address)? })
    }
}

//! Rows and the values in them as protobuf, for the log and for snapshots.
//!
//! Values of the manifest language travel as JSON: their serde form is their versioned document form.

mod address;
mod certificate;
mod cluster;
mod cron;
mod deployment;
mod file;
mod replica;
mod subnet;

use std::{collections::BTreeMap, fmt::Display, str::FromStr};

use jaco_api::{
    convert::{InvalidMessage, parse},
    model::{Digest, Sealed},
    pb,
};
use serde::{Serialize, de::DeserializeOwned};

/// A value with a protobuf form; reading checks everything the model promises.
pub(crate) trait Row: Sized {
    type Message;
    fn write(&self) -> Self::Message;
    fn read(message: Self::Message) -> Result<Self, InvalidMessage>;
}

/// The JSON form of a manifest value.
pub(crate) fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("a manifest value has only string keys and finite numbers")
}
/// Reads [`json`].
pub(crate) fn from_json<T: DeserializeOwned>(
    field: &'static str,
    bytes: &[u8],
) -> Result<T, InvalidMessage> {
    serde_json::from_slice(bytes).map_err(|e| InvalidMessage::new(field, e))
}
/// Reads a digest.
pub(crate) fn digest(field: &'static str, bytes: &[u8]) -> Result<Digest, InvalidMessage> {
    bytes.try_into().map(Digest).map_err(|_| InvalidMessage::new(field, "is not 32 bytes"))
}
/// Takes a field that must be there.
pub(crate) fn required<T>(field: &'static str, value: Option<T>) -> Result<T, InvalidMessage> {
    value.ok_or_else(|| InvalidMessage::new(field, "is missing"))
}
/// Reads an optional row.
pub(crate) fn optional<T: Row>(message: Option<T::Message>) -> Result<Option<T>, InvalidMessage> {
    message.map(T::read).transpose()
}
/// A map with keys as text.
pub(crate) fn text_keys<K: Display, V, W>(
    map: &BTreeMap<K, V>,
    value: impl Fn(&V) -> W,
) -> BTreeMap<String, W> {
    map.iter().map(|(k, v)| (k.to_string(), value(v))).collect()
}
/// Reads [`text_keys`].
pub(crate) fn named_keys<K: FromStr<Err: Display> + Ord, V, W>(
    field: &'static str,
    map: BTreeMap<String, V>,
    value: impl Fn(V) -> Result<W, InvalidMessage>,
) -> Result<BTreeMap<K, W>, InvalidMessage> {
    map.into_iter().map(|(k, v)| Ok((parse(field, &k)?, value(v)?))).collect()
}
/// Reads an enumeration and refuses a number this version does not know.
pub(crate) fn enumeration<P: TryFrom<i32>>(
    field: &'static str,
    number: i32,
) -> Result<P, InvalidMessage> {
    P::try_from(number).map_err(|_| InvalidMessage::new(field, format!("{number} is not known")))
}

impl Row for Sealed {
    type Message = pb::SealedValue;
    fn write(&self) -> pb::SealedValue {
        pb::SealedValue { key_id: self.key_id, bytes: self.bytes.to_vec() }
    }
    fn read(m: pb::SealedValue) -> Result<Self, InvalidMessage> {
        Ok(Self { key_id: m.key_id, bytes: m.bytes.into() })
    }
}

impl Row for (Digest, Sealed) {
    type Message = pb::DocumentRow;
    fn write(&self) -> pb::DocumentRow {
        pb::DocumentRow { digest: self.0.0.to_vec(), sealed: Some(self.1.write()) }
    }
    fn read(m: pb::DocumentRow) -> Result<Self, InvalidMessage> {
        Ok((digest("digest", &m.digest)?, Sealed::read(required("sealed", m.sealed)?)?))
    }
}

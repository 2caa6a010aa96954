#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod convert;
pub mod error;
pub mod manifest;
pub mod model;
pub mod pb;

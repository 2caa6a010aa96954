//! Commands that look at the cluster.

pub mod audit;
pub mod certs;
pub mod doctor;
pub mod events;
pub mod get;
pub mod logs;
pub mod route_options;
pub mod routes;
pub mod rows;
pub mod runs;
pub mod status;
pub mod time;
pub mod top;

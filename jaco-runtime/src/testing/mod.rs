//! What implementers and users of the seam test with: a whole engine in memory, the suite that
//! every engine must pass, and sample values.

pub mod conformance;
mod fake;
mod program;
pub mod sample;

pub use fake::{Call, FakeRuntime, Op, Usage};

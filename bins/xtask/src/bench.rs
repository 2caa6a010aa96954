//! `bench`: kernels of the code under the stop-watch.

use crate::{
    error::Result,
    machine::{cargo, run},
};

pub(crate) fn run_all(arguments: &[String]) -> Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run(&mut cargo(&[&["bench", "-p", "jaco-engine", "--benches", "--"][..], &arguments].concat()))
}

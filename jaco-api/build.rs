//! Generates `jaco.v1` from `proto/`. protox parses the files in Rust: no `protoc` is needed.

use std::{env, error::Error, fs, path::Path};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut files: Vec<_> = fs::read_dir("proto/jaco/v1")?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    let descriptors = protox::compile(&files, ["proto"])?;
    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("jaco_v1.bin"), descriptors.encode_to_vec())?;
    // What only passes through is not copied.
    let passing = ["ExecInput", "ExecOutput", "CopyPiece", "CopyInput", "ForwardInput"];
    let relayed = ["ForwardOutput", "RelayCopy", "RelayForward"];
    let mut build = tonic_prost_build::configure();
    for message in passing.into_iter().chain(relayed) {
        build = build.bytes(format!(".jaco.v1.{message}"));
    }
    build.btree_map(".").build_transport(false).compile_fds(descriptors)?;
    Ok(())
}

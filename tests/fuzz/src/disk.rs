//! What a node reads back from its disk and from other members.

use jaco_engine::{
    command::{decode, decode_outcome, encode, encode_outcome},
    state,
    testing::fuzzing,
};

/// Entries of the log and outcomes: what was read is read again from what is written.
pub(crate) fn command(data: &[u8]) {
    if let Ok(envelope) = decode(data) {
        let written = encode(&envelope);
        assert_eq!(decode(&written).expect("what is written is read"), envelope);
    }
    if let Ok(outcome) = decode_outcome(data) {
        let written = encode_outcome(&outcome);
        assert_eq!(decode_outcome(&written).expect("what is written is read"), outcome);
    }
}

/// A state: written twice, the bytes are the same.
pub(crate) fn snapshot(data: &[u8]) {
    let Ok(state) = state::snapshot::read(data) else { return };
    let written = state::snapshot::write(&state);
    let again = state::snapshot::read(&written).expect("what is written is read");
    assert_eq!(state::snapshot::write(&again), written);
}

/// Segments, snapshot files and the values in them. The first byte says which, so that checksums can be
/// made to fit.
pub(crate) fn log(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    match kind % 8 {
        0 => segment(rest),
        1 => sealed_segment(rest),
        2 => drop(fuzzing::snapshot(rest)),
        3 => {
            let (meta, data) = rest.split_at(rest.len() / 2);
            let file = fuzzing::snapshot_of(meta, data);
            assert_eq!(fuzzing::snapshot(&file), Some(file));
        }
        4 => stable(rest, fuzzing::entry),
        5 => stable(rest, fuzzing::vote),
        6 => stable(rest, fuzzing::log_id),
        _ => stable(rest, fuzzing::meta),
    }
}

/// What was read and written once is the same from then on.
fn stable(data: &[u8], rewrite: fn(&[u8]) -> Option<Vec<u8>>) {
    if let Some(written) = rewrite(data) {
        assert_eq!(rewrite(&written), Some(written));
    }
}

fn segment(data: &[u8]) {
    for newest in [true, false] {
        if let Some(written) = fuzzing::segment(data, newest) {
            assert_eq!(data.get(..written.len()), Some(written.as_slice()));
            assert!(newest || written.len() == data.len());
        }
    }
}

/// Records whose checksums fit, with whatever kinds and bodies, and a byte that was changed afterwards.
fn sealed_segment(data: &[u8]) {
    let [change, salt, rest @ ..] = data else { return };
    let mut file = fuzzing::header(1, (*salt).into());
    let mut rest = rest;
    while let [kind, durable, len, more @ ..] = rest {
        let (body, more) = more.split_at(more.len().min((*len).into()));
        file.extend(fuzzing::record((*salt).into(), (*durable).into(), kind % 7, body));
        rest = more;
    }
    if *change > 0 {
        let at = usize::from(*change) * 7 % file.len();
        file[at] ^= 1 << (change % 8);
    }
    segment(&file);
}

//! What is written to storage: formats of our own, so that the files outlive a change of openraft.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use openraft::{EntryPayload, Membership, alias::CommittedLeaderIdOf, vote::RaftLeaderId as _};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    error::FormatError,
    storage::Record,
    types::{C, Entry, LogId, Member, Proposal, SnapshotMeta, StoredMembership, Vote},
};

type LeaderId = CommittedLeaderIdOf<C>;

/// Place of an entry: who put it there and in which term.
#[derive(Serialize, Deserialize)]
struct Position {
    term: u64,
    leader: u64,
    index: u64,
}

impl From<LogId> for Position {
    fn from(id: LogId) -> Self {
        Self { term: id.leader_id.term, leader: id.leader_id.node_id, index: id.index }
    }
}
impl From<Position> for LogId {
    fn from(p: Position) -> Self {
        LogId::new(LeaderId::new(p.term, p.leader), p.index)
    }
}

#[derive(Serialize, Deserialize)]
struct Ballot {
    term: u64,
    candidate: u64,
    granted: bool,
}

#[derive(Serialize, Deserialize)]
struct Members {
    /// Voters; two sets while they change.
    voters: Vec<BTreeSet<u64>>,
    all: BTreeMap<u64, Member>,
}

#[derive(Serialize, Deserialize)]
enum Payload {
    Blank,
    Command(Proposal),
    Members(Members),
}

#[derive(Serialize, Deserialize)]
struct Line {
    position: Position,
    payload: Payload,
}

#[derive(Serialize, Deserialize)]
struct Frame {
    last: Option<Position>,
    members_at: Option<Position>,
    members: Members,
}

impl From<&Membership<u64, Member>> for Members {
    fn from(m: &Membership<u64, Member>) -> Self {
        Self {
            voters: m.get_joint_config().clone(),
            all: m.nodes().map(|(id, member)| (*id, member.clone())).collect(),
        }
    }
}
impl TryFrom<Members> for Membership<u64, Member> {
    type Error = FormatError;
    fn try_from(m: Members) -> Result<Self, FormatError> {
        Membership::new(m.voters, m.all).map_err(|_| FormatError::Members)
    }
}

fn write<T: Serialize>(value: &T) -> Bytes {
    postcard::to_stdvec(value)
        .expect("numbers, names and bytes always serialise into memory")
        .into()
}
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FormatError> {
    postcard::from_bytes(bytes).map_err(FormatError::Malformed)
}

pub(crate) fn write_entry(entry: &Entry) -> Record {
    let payload = match &entry.payload {
        EntryPayload::Blank => Payload::Blank,
        EntryPayload::Normal(proposal) => Payload::Command(proposal.clone()),
        EntryPayload::Membership(m) => Payload::Members(m.into()),
    };
    let line = Line { position: entry.log_id.into(), payload };
    Record { index: entry.log_id.index, bytes: write(&line) }
}

pub(crate) fn read_entry(record: &Record) -> Result<Entry, FormatError> {
    let line: Line = read(&record.bytes)?;
    let payload = match line.payload {
        Payload::Blank => EntryPayload::Blank,
        Payload::Command(proposal) => EntryPayload::Normal(proposal),
        Payload::Members(m) => EntryPayload::Membership(m.try_into()?),
    };
    Ok(Entry { log_id: line.position.into(), payload })
}

pub(crate) fn write_vote(vote: &Vote) -> Bytes {
    write(&Ballot {
        term: vote.leader_id.term,
        candidate: vote.leader_id.node_id,
        granted: vote.committed,
    })
}

pub(crate) fn read_vote(bytes: &[u8]) -> Result<Vote, FormatError> {
    let ballot: Ballot = read(bytes)?;
    let leader_id = LeaderId::new(ballot.term, ballot.candidate);
    Ok(Vote { leader_id, committed: ballot.granted })
}

pub(crate) fn write_log_id(id: Option<LogId>) -> Bytes {
    write(&id.map(Position::from))
}

pub(crate) fn read_log_id(bytes: &[u8]) -> Result<Option<LogId>, FormatError> {
    Ok(read::<Option<Position>>(bytes)?.map(LogId::from))
}

pub(crate) fn write_meta(meta: &SnapshotMeta) -> Bytes {
    write(&Frame {
        last: meta.last_log_id.map(Position::from),
        members_at: meta.last_membership.log_id().map(Position::from),
        members: meta.last_membership.membership().into(),
    })
}

pub(crate) fn read_meta(bytes: &[u8]) -> Result<SnapshotMeta, FormatError> {
    let frame: Frame = read(bytes)?;
    // Before the first membership there is none: that one is not valid by openraft's own check.
    let membership = if frame.members.voters.is_empty() && frame.members.all.is_empty() {
        Membership::default()
    } else {
        frame.members.try_into()?
    };
    Ok(SnapshotMeta {
        last_log_id: frame.last.map(LogId::from),
        last_membership: StoredMembership::new(frame.members_at.map(LogId::from), membership),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files written by released versions must stay readable: these bytes never change.
    #[test]
    fn the_bytes_on_disk_are_what_they_always_were() {
        let id = LogId::new(LeaderId::new(3, 2), 300);
        let entry = Entry {
            log_id: id,
            payload: EntryPayload::Normal(Proposal(Bytes::from_static(b"abc"))),
        };
        let record = write_entry(&entry);
        assert_eq!(hex::encode(&record.bytes), "0302ac020103616263");
        assert_eq!(read_entry(&record).unwrap(), entry);
        let vote = Vote { leader_id: LeaderId::new(3, 2), committed: true };
        assert_eq!(hex::encode(write_vote(&vote)), "030201");
        assert_eq!(read_vote(&write_vote(&vote)).unwrap(), vote);
        assert_eq!(hex::encode(write_log_id(Some(id))), "010302ac02");
        assert_eq!(read_log_id(&write_log_id(None)).unwrap(), None);
        let members =
            Membership::new(vec![BTreeSet::from([1])], BTreeMap::from([(1, Member::default())]))
                .unwrap();
        let meta = SnapshotMeta {
            last_log_id: Some(id),
            last_membership: StoredMembership::new(Some(id), members),
        };
        assert_eq!(
            hex::encode(write_meta(&meta)),
            "010302ac02010302ac020101010101046e6f6465007f00000100007f00000100",
        );
        assert_eq!(read_meta(&write_meta(&meta)).unwrap(), meta);
    }
}

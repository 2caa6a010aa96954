use std::collections::BTreeMap;

use super::*;
use crate::{
    raft::status::MemberStatus,
    testing::builders::{Scenario, node},
};

/// A group in which these vote, those follow with their lag, and the first leads.
fn group(voters: &[u64], learners: &[(u64, u64)]) -> RaftStatus {
    let mut members = BTreeMap::new();
    for (n, id) in voters.iter().enumerate() {
        let role = if n == 0 { RaftRole::Leader } else { RaftRole::Voter };
        members.insert(NodeId(*id), status(*id, role, 0));
    }
    for (id, lag) in learners {
        members.insert(NodeId(*id), status(*id, RaftRole::Learner, *lag));
    }
    RaftStatus { members, is_leader: true, ..RaftStatus::default() }
}

fn status(id: u64, role: RaftRole, lag: u64) -> MemberStatus {
    MemberStatus { member: Member::of(&node(id)), role, lag: Some(lag) }
}

fn reach(steady: &[u64]) -> Reach {
    Reach { steady: steady.iter().copied().map(NodeId).collect(), ..Reach::default() }
}

fn vote(ids: &[u64]) -> Option<Change> {
    Some(Change::Vote(ids.iter().copied().map(NodeId).collect()))
}

fn due(nodes: u64, group: &RaftStatus, reach: &Reach) -> Option<Change> {
    next(&Scenario::new().with_nodes(nodes).state, group, NodeId(1), reach)
}

#[test]
fn voters_are_odd_and_at_most_seven() {
    let counts: Vec<_> = (1..=9).map(voters_of).collect();
    assert_eq!(counts, [1, 1, 3, 3, 5, 5, 7, 7, 7]);
}

#[test]
fn a_new_node_follows_first() {
    let follow = due(2, &group(&[1], &[]), &reach(&[]));
    assert!(matches!(follow, Some(Change::Follow(peer)) if peer.id == NodeId(2)));
}

#[test]
fn learners_vote_once_they_are_caught_up_and_steady_and_make_an_odd_number() {
    let all = reach(&[2, 3]);
    assert_eq!(due(2, &group(&[1], &[(2, 0)]), &all), None, "two nodes have one voter");
    assert_eq!(due(3, &group(&[1], &[(2, 0), (3, 0)]), &all), vote(&[1, 2, 3]));
    assert_eq!(due(3, &group(&[1], &[(2, 0), (3, 9_000)]), &all), None, "one is far behind");
    assert_eq!(due(3, &group(&[1], &[(2, 0), (3, 0)]), &reach(&[2])), None, "one just came");
}

#[test]
fn a_voter_that_is_given_up_is_replaced_by_a_learner() {
    let group = group(&[1, 2, 3], &[(4, 0)]);
    let down = Reach { given_up: BTreeSet::from([NodeId(3)]), ..reach(&[2, 4]) };
    assert_eq!(due(4, &group, &down), vote(&[1, 2, 4]));
    let nobody = Reach { given_up: BTreeSet::from([NodeId(3)]), ..reach(&[2]) };
    assert_eq!(due(4, &group, &nobody), None, "it may come back");
}

#[test]
fn what_has_left_the_state_leaves_the_group() {
    let group = group(&[1], &[(2, 0)]);
    assert_eq!(due(1, &group, &reach(&[])), Some(Change::Drop(NodeId(2))));
}

fn leaving(nodes: u64, who: u64) -> State {
    use crate::command::{Command, SetAvailability};
    let mut s = Scenario::new().with_nodes(nodes);
    s.run(Command::SetAvailability(SetAvailability {
        node: NodeId(who),
        availability: Availability::Leaving,
        forced: false,
    }));
    s.state
}

fn emptied(steady: &[u64], who: u64) -> Reach {
    Reach { emptied: BTreeSet::from([NodeId(who)]), ..reach(steady) }
}

#[test]
fn a_node_that_leaves_gives_up_its_vote_its_place_and_its_row() {
    let state = leaving(3, 3);
    let step = |group: &RaftStatus, reach: &Reach| next(&state, group, NodeId(1), reach);
    // Two nodes stay, so one votes.
    assert_eq!(step(&group(&[1, 2, 3], &[]), &emptied(&[2, 3], 3)), vote(&[1]));
    assert_eq!(step(&group(&[1], &[(2, 0), (3, 0)]), &reach(&[2])), None, "not empty yet");
    let gone = emptied(&[2], 3);
    assert_eq!(step(&group(&[1], &[(2, 0), (3, 0)]), &gone), Some(Change::Drop(NodeId(3))));
    assert_eq!(step(&group(&[1], &[(2, 0)]), &gone), Some(Change::Remove(NodeId(3))));
}

#[test]
fn a_leader_that_leaves_hands_over_first() {
    let state = leaving(2, 1);
    let step = |group: &RaftStatus, reach: &Reach| next(&state, group, NodeId(1), reach);
    assert_eq!(step(&group(&[1], &[(2, 0)]), &emptied(&[2], 1)), vote(&[1, 2]));
    assert_eq!(step(&group(&[1, 2], &[]), &emptied(&[2], 1)), Some(Change::HandOver(NodeId(2))));
    // Whoever leads then finds it among the voters and goes on.
    let seen = group(&[2, 1], &[]);
    assert_eq!(next(&state, &seen, NodeId(2), &emptied(&[1], 1)), vote(&[2]));
}

/// Every node joins, all become steady; then they leave, one after the other.
#[test]
fn voters_follow_the_number_of_nodes_up_and_down() {
    let mut seen = Vec::new();
    let mut now = group(&[1], &[]);
    let counts = [1_u64, 2, 3, 4, 5, 7, 3, 1];
    for nodes in counts {
        let state = Scenario::new().with_nodes(nodes).state;
        let steady: Vec<_> = (1..=nodes).collect();
        for _ in 0..40 {
            let Some(change) = next(&state, &now, NodeId(1), &reach(&steady)) else { break };
            match change {
                Change::Follow(p) => {
                    now.members.insert(p.id, status(p.id.0, RaftRole::Learner, 0));
                }
                Change::Vote(voters) => {
                    assert!(voters.contains(&NodeId(1)) && voters.len() % 2 == 1);
                    for (id, m) in &mut now.members {
                        m.role = match (id.0, voters.contains(id)) {
                            (1, _) => RaftRole::Leader,
                            (_, true) => RaftRole::Voter,
                            (_, false) => RaftRole::Learner,
                        };
                    }
                }
                Change::Drop(id) => {
                    now.members.remove(&id);
                }
                other => panic!("{other:?}"),
            }
        }
        seen.push((now.voters().count(), now.members.len()));
    }
    let wanted = [(1, 1), (1, 2), (3, 3), (3, 4), (5, 5), (7, 7), (3, 3), (1, 1)];
    assert_eq!(seen, wanted);
}

//! Which upstream gets the next request: pure, the dice are thrown by the caller.

/// What is known of one candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Its place in the list of the route.
    pub(crate) index: usize,
    /// Requests or connections that it has of this node now.
    pub(crate) in_flight: usize,
    /// Whether it runs on this node.
    pub(crate) local: bool,
}

/// Two random candidates are compared, the less loaded one wins: with news that is always a little old this spreads
/// better than taking the least loaded of all, to which everybody would run. A random local one is taken instead if
/// it is not more loaded than the winner. `dice` are three random numbers.
pub(crate) fn choose(candidates: &[Candidate], dice: [u32; 3]) -> Option<usize> {
    let pick = |from: usize, dice: u32| {
        usize::try_from((u64::from(dice) * from as u64) >> 32).unwrap_or(0)
    };
    let winner = match candidates {
        [] => return None,
        [one] => return Some(one.index),
        many => {
            let first = pick(many.len(), dice[0]);
            let step = 1 + pick(many.len() - 1, dice[1]);
            let (a, b) = (many[first], many[(first + step) % many.len()]);
            if b.in_flight < a.in_flight { b } else { a }
        }
    };
    if winner.local {
        return Some(winner.index);
    }
    let local = candidates.iter().filter(|c| c.local).count();
    let near = (local > 0)
        .then(|| candidates.iter().filter(|c| c.local).nth(pick(local, dice[2])))
        .flatten()
        .filter(|near| near.in_flight <= winner.in_flight);
    Some(near.unwrap_or(&winner).index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidates(loads: &[(usize, bool)]) -> Vec<Candidate> {
        let one = |(index, (in_flight, local)): (usize, &(usize, bool))| Candidate {
            index,
            in_flight: *in_flight,
            local: *local,
        };
        loads.iter().enumerate().map(one).collect()
    }

    proptest! {
        #[test]
        fn the_most_loaded_of_several_is_never_taken(
            loads in prop::collection::vec((0_usize..50, any::<bool>()), 1..8),
            dice in any::<[u32; 3]>(),
        ) {
            let all = candidates(&loads);
            let chosen = choose(&all, dice).expect("there is a candidate");
            let busiest = loads.iter().filter(|l| l.0 >= loads[chosen].0).count();
            let alone_at_the_top = loads.iter().all(|l| l.0 <= loads[chosen].0) && busiest == 1;
            prop_assert!(loads.len() == 1 || !alone_at_the_top);
        }

        #[test]
        fn an_idle_local_one_is_always_taken(
            loads in prop::collection::vec(0_usize..50, 1..8),
            dice in any::<[u32; 3]>(),
        ) {
            let mut loads: Vec<_> = loads.into_iter().map(|l| (l, false)).collect();
            loads.push((0, true));
            prop_assert_eq!(choose(&candidates(&loads), dice), Some(loads.len() - 1));
        }

        #[test]
        fn a_busier_local_one_is_not_taken(dice in any::<[u32; 3]>(), busy in 1_usize..9) {
            let chosen = choose(&candidates(&[(0, false), (busy, true), (0, false)]), dice);
            prop_assert_ne!(chosen, Some(1));
        }
    }

    #[test]
    fn equally_loaded_ones_are_all_taken() {
        let all = candidates(&[(0, false); 3]);
        let mut seen = [0; 3];
        for a in 0..32_u32 {
            for b in 0..32_u32 {
                let dice = [a << 27, b << 27, 0];
                seen[choose(&all, dice).expect("there is a candidate")] += 1;
            }
        }
        assert!(seen.iter().all(|n| *n > 200), "{seen:?}");
    }
}

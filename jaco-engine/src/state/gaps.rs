//! What is left of a pool of addresses: finding room in it takes no look at what is used.

use std::ops::RangeInclusive;

use imbl::OrdMap;

/// Ranges of addresses, as numbers, that nobody uses: each as large as it can be. By their first address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gaps(OrdMap<u128, u128>);

impl Gaps {
    /// One range, of which nothing is used.
    pub(super) fn whole(range: &RangeInclusive<u128>) -> Self {
        Self(OrdMap::unit(*range.start(), *range.end()))
    }

    /// In the order of their addresses.
    pub(super) fn iter(&self) -> impl Iterator<Item = RangeInclusive<u128>> {
        self.0.iter().map(|(first, last)| *first..=*last)
    }

    /// Somebody uses a range. O(log gaps), and the gaps that it fills.
    pub(super) fn take(&mut self, range: &RangeInclusive<u128>) {
        while let Some(gap) = self.last_up_to(*range.end()).filter(|g| g.end() >= range.start()) {
            self.0.remove(gap.start());
            if gap.start() < range.start() {
                self.0.insert(*gap.start(), range.start() - 1);
            }
            if gap.end() > range.end() {
                self.0.insert(range.end() + 1, *gap.end());
            }
        }
    }

    /// Nobody uses a range any more of which all was used. O(log gaps).
    pub(super) fn give_back(&mut self, range: &RangeInclusive<u128>) {
        let (mut first, mut last) = (*range.start(), *range.end());
        if let Some(before) =
            self.last_up_to(first).filter(|g| g.end().checked_add(1) == Some(first))
        {
            first = *before.start();
        }
        if let Some(end) = last.checked_add(1).and_then(|next| self.0.remove(&next)) {
            last = end;
        }
        self.0.insert(first, last);
    }

    /// The last gap that begins at an address or before.
    fn last_up_to(&self, address: u128) -> Option<RangeInclusive<u128>> {
        self.0.get_prev(&address).map(|(first, last)| *first..=*last)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use ipnet::IpNet;
    use jaco_api::model::{AddressPool, overlap};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_gap_is_as_large_as_it_can_be() {
        let mut gaps = Gaps::whole(&(0..=99));
        let seen = |gaps: &Gaps| gaps.iter().map(|g| (*g.start(), *g.end())).collect::<Vec<_>>();
        gaps.take(&(10..=19));
        gaps.take(&(20..=29));
        gaps.take(&(50..=59));
        assert_eq!(seen(&gaps), [(0, 9), (30, 49), (60, 99)]);
        gaps.give_back(&(20..=29));
        assert_eq!(seen(&gaps), [(0, 9), (20, 49), (60, 99)]);
        gaps.give_back(&(10..=19));
        assert_eq!(seen(&gaps), [(0, 49), (60, 99)]);
        gaps.take(&(40..=70));
        assert_eq!(seen(&gaps), [(0, 39), (71, 99)]);
        gaps.take(&(0..=200));
        assert_eq!(seen(&gaps), []);
    }

    #[test]
    fn the_last_number_of_all_is_one_like_others() {
        let mut gaps = Gaps::whole(&(5..=u128::MAX));
        gaps.take(&(9..=u128::MAX));
        gaps.give_back(&(9..=u128::MAX));
        assert_eq!(gaps, Gaps::whole(&(5..=u128::MAX)));
    }

    proptest! {
        /// Whatever was given out with whatever lengths and taken back: what is given out next overlaps
        /// nothing, is aligned, lies in the pool, and no lower block was free.
        #[test]
        fn blocks_never_overlap(
            steps in proptest::collection::vec((0_u8..4, any::<prop::sample::Index>(), any::<bool>()), 1..80),
            v6 in any::<bool>(),
        ) {
            let (prefix, shortest) = if v6 { ("fd00::/56", 58) } else { ("10.0.0.0/24", 26) };
            let whole: AddressPool = format!("{prefix}:{shortest}").parse().unwrap();
            let mut gaps = Gaps::whole(&whole.addresses());
            let mut used: Vec<IpNet> = Vec::new();
            for (length, which, release) in steps {
                if release && !used.is_empty() {
                    let released = used.remove(which.index(used.len()));
                    gaps.give_back(&whole.common(released).unwrap());
                    continue;
                }
                let pool: AddressPool = format!("{prefix}:{}", shortest + length).parse().unwrap();
                let found = pool.lowest_in(gaps.iter());
                let mut all = pool.prefix().subnets(pool.block()).unwrap();
                let expected = all.find(|block| !used.iter().any(|u| overlap(*u, *block)));
                prop_assert_eq!(found, expected);
                let Some(found) = found else { continue };
                gaps.take(&pool.common(found).unwrap());
                prop_assert_eq!(pool.block_of(found), found);
                used.push(found);
            }
        }
    }
}

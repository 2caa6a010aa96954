//! Who comes first. Pure: the same seed gives the same order.

/// Puts `items` into an order that the seed decides, all orders being as likely (to within 2^-32).
pub(super) fn shuffle<T>(items: &mut [T], seed: &mut u64) {
    for last in (1..items.len()).rev() {
        let choices = last as u64 + 1;
        let chosen = ((next(seed) >> 32) * choices) >> 32;
        items.swap(last, usize::try_from(chosen).unwrap_or(last));
    }
}

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_comes_first_about_as_often() {
        let mut first = [0_u32; 5];
        for seed in 0..10_000 {
            let mut items = [0, 1, 2, 3, 4];
            shuffle(&mut items, &mut { seed });
            first[items[0]] += 1;
        }
        assert!(first.iter().all(|count| (1_800..2_200).contains(count)), "{first:?}");
    }
}

//! The order of lines in a message. Pure.

use std::collections::BTreeMap;

use jaco_api::pb;

/// Sorts lines of several replicas by time. Those of one replica stay in the order in which it wrote
/// them, whatever its clock did meanwhile.
pub(super) fn by_time(lines: &mut [pb::LogLine]) {
    let mut latest: BTreeMap<String, u64> = BTreeMap::new();
    let mut keyed: Vec<(u64, pb::LogLine)> = lines
        .iter_mut()
        .map(|line| {
            let line = std::mem::take(line);
            let latest = latest.entry(line.replica.clone()).or_default();
            *latest = line.at.max(*latest);
            (*latest, line)
        })
        .collect();
    keyed.sort_by_key(|(at, _)| *at);
    for (place, (_, line)) in lines.iter_mut().zip(keyed) {
        *place = line;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_merged_by_time_and_keep_their_own_order() {
        let line = |replica: &str, at: u64, text: &str| pb::LogLine {
            replica: replica.to_owned(),
            at,
            text: text.into(),
            ..pb::LogLine::default()
        };
        // The clock of `a` goes back between its second and third line.
        let mut lines = vec![
            line("a", 1, "a1"),
            line("a", 7, "a2"),
            line("a", 3, "a3"),
            line("b", 2, "b1"),
            line("b", 7, "b2"),
            line("b", 8, "b3"),
        ];
        by_time(&mut lines);
        let texts: Vec<_> = lines.iter().map(|l| String::from_utf8_lossy(&l.text)).collect();
        assert_eq!(texts, ["a1", "b1", "a2", "a3", "b2", "b3"]);
    }
}

//! "Did you mean": the nearest of the known words.

use super::report::Report;

/// The known word that is nearest to `word`, when it is near enough to be meant.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let length = word.chars().count();
    if length == 0 || length > 64 {
        return None;
    }
    let limit = (length / 3).clamp(1, 3);
    known
        .into_iter()
        .filter(|k| k.len().abs_diff(word.len()) <= limit)
        .map(|k| (distance(&word.to_lowercase(), &k.to_lowercase()), k))
        .filter(|(d, _)| *d <= limit && *d < length)
        .min()
        .map(|(_, k)| k)
}

/// "did you mean `x`?" or a list of what is known. Nothing when nobody will read it.
pub(super) fn hint<'k>(
    report: &Report<'_>,
    word: &str,
    what: &str,
    known: impl IntoIterator<Item = &'k str> + Clone,
) -> Option<String> {
    if report.full() {
        return None;
    }
    if let Some(k) = nearest(word, known.clone()) {
        return Some(format!("did you mean `{k}`?"));
    }
    let mut all: Vec<&str> = known.into_iter().take(13).collect();
    if all.is_empty() || all.len() > 12 {
        return None;
    }
    all.sort_unstable();
    Some(format!("{what}: {}", all.join(", ")))
}

/// Edits between two words: insert, delete, replace, swap neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["replicas", "ports", "image"];
        assert_eq!(nearest("replcias", known), Some("replicas"));
        assert_eq!(nearest("port", known), Some("ports"));
        assert_eq!(nearest("Image", known), Some("image"));
        assert_eq!(nearest("volumes", known), None);
        assert_eq!(nearest("a", ["b"]), None);
        assert_eq!(nearest("", known), None);
    }
}

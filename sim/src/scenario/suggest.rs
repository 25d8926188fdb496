//! The nearest name: what somebody most likely meant.

use super::read::numbered;

/// Words longer than this get no suggestion; the search is quadratic in their length.
const WORD_MAX: usize = 64;

/// The candidate nearest to `word`, if one is near enough to be a slip of the keyboard: at most
/// one edit in three characters. Of equally near ones the one whose characters are nearest: for
/// `n9` among `n1` to `n6`, it is `n6`.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let length = word.chars().count();
    if length > WORD_MAX {
        return None;
    }
    candidates
        .into_iter()
        .filter(|candidate| {
            candidate.len() <= 4 * WORD_MAX && candidate.chars().count().abs_diff(length) <= length
        })
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(word, candidate),
                apart(word, candidate),
                candidate,
            )
        })
        .filter(|(edits, _, _)| *edits <= length.div_ceil(3))
        .min_by_key(|(edits, apart, _)| (*edits, *apart))
        .map(|(_, _, candidate)| candidate)
}

/// How far apart two words are: their numbers if they differ only in those, or else their characters,
/// place by place.
fn apart(a: &str, b: &str) -> u32 {
    if let (Some((prefix, left)), Some((same, right))) = (numbered(a), numbered(b))
        && prefix == same
    {
        return u32::try_from(left.abs_diff(right)).unwrap_or(u32::MAX);
    }
    a.chars()
        .zip(b.chars())
        .map(|(a, b)| u32::from(a).abs_diff(u32::from(b)))
        .fold(0, u32::saturating_add)
}

/// The help for an unknown word: the nearest, or else all of a short list.
pub(crate) fn help<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<String> {
    const LISTED_MAX: usize = 24;
    if let Some(near) = nearest(word, candidates.clone()) {
        return Some(format!("did you mean `{}`?", shown(near)));
    }
    let all: Vec<String> = candidates
        .into_iter()
        .take(LISTED_MAX + 1)
        .map(|word| format!("`{}`", shown(word)))
        .collect();
    (!all.is_empty() && all.len() <= LISTED_MAX).then(|| format!("allowed: {}", all.join(", ")))
}

/// A word of a file as messages quote it: cut short, without control characters.
pub(crate) fn shown(word: &str) -> String {
    const SHOWN_MAX: usize = 48;
    let mut short: String = word
        .chars()
        .take(SHOWN_MAX)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    if word.chars().nth(SHOWN_MAX).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_a_slip_away_and_close_by() {
        let nodes = ["n1", "n2", "n5", "n6"];
        assert_eq!(nearest("n9", nodes), Some("n6"));
        assert_eq!(nearest("n0", nodes), Some("n1"));
        assert_eq!(nearest("n11", ["n1", "n2", "n9", "n10"]), Some("n10"));
        assert_eq!(nearest("gosip", ["pubsub", "gossip"]), Some("gossip"));
        assert_eq!(nearest("swim", ["pubsub", "gossip"]), None);
    }

    #[test]
    fn without_a_near_name_the_help_lists_what_is_allowed() {
        assert_eq!(
            help("swim", ["pubsub", "gossip"]).as_deref(),
            Some("allowed: `pubsub`, `gossip`")
        );
        assert_eq!(help("x", []), None);
    }

    #[test]
    fn long_words_are_cut_and_get_no_suggestion() {
        let long = "a".repeat(1_000_000);
        assert_eq!(nearest(&long, [long.as_str()]), None);
        assert_eq!(shown(&long).chars().count(), 49);
    }
}

//! A misspelt name gets the known name that it was most likely meant to be, or none.
//!
//! The distance is the number of single-character edits; a third of the name may differ, so that short names are not
//! "corrected" into something unrelated.

/// The longest name that is compared; beyond it nothing known is near.
const LONGEST: usize = 64;

/// The known name nearest to `written`, when it is near enough to be offered.
pub(crate) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if written.len() > LONGEST {
        return None;
    }
    let allowed = (written.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| (distance(&written.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

/// Levenshtein's distance, one row at a time.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (index, wanted) in from.chars().enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        let mut next = vec![left];
        for (found, above) in to.chars().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(wanted != found)).min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (from, to, edits) in
            [("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3), ("uri", "url", 1)]
        {
            assert_eq!(distance(from, to), edits, "{from} → {to}");
        }
    }

    #[test]
    fn only_near_names_are_offered() {
        let known = ["issuer", "listen", "challenge.lifetime"];
        for (written, meant) in [
            ("isuer", Some("issuer")),
            ("LISTEN", Some("listen")),
            ("challenge_lifetime", Some("challenge.lifetime")),
            ("password", None),
            ("x", None),
        ] {
            assert_eq!(nearest(written, known), meant, "{written}");
        }
    }
}

//! The word that was probably meant.

/// Octets of a word that could be a keyword with slips.
const LONGEST: usize = 48;

/// The candidate nearest to `word`, if it is near enough to be a slip of the fingers, or else the one that it begins.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    // One slip in a short word, about one in three characters in a long one; more is another word.
    let most = (word.chars().count() / 3).clamp(1, 4);
    let word = word.to_lowercase();
    let distances = candidates
        .clone()
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&word, &candidate.to_lowercase()), candidate));
    let (distance, nearest) = distances.min_by_key(|(distance, _)| *distance)?;
    if distance <= most {
        return Some(nearest);
    }
    let begun = candidates.into_iter().filter(|candidate| word.len() >= 4 && candidate.starts_with(&word));
    begun.min_by_key(|candidate| candidate.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        let known = ["priority", "preempt", "nopreempt", "advert_int", "garp_master_delay"];
        assert_eq!(nearest("priorty", known), Some("priority"));
        assert_eq!(nearest("advert_itn", known), Some("advert_int"));
        assert_eq!(nearest("Priority", known), Some("priority"));
        assert_eq!(nearest("prio", known), Some("priority"));
        assert_eq!(nearest("Mastr", ["MASTER", "BACKUP"]), Some("MASTER"));
        assert_eq!(nearest("frobnicate", known), None);
        assert_eq!(nearest("x", []), None);
    }
}

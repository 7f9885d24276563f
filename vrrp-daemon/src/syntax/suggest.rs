//! The word that was probably meant.

/// The candidate nearest to `word`, if it is near enough to be a slip of the fingers.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // One slip in a short word, about one in three characters in a long one; more is another word.
    let most = (word.chars().count() / 3).clamp(1, 4);
    let word = word.to_lowercase();
    let distances = candidates.into_iter().map(|candidate| (strsim::osa_distance(&word, candidate), candidate));
    let (distance, nearest) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= most).then_some(nearest)
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
        assert_eq!(nearest("frobnicate", known), None);
        assert_eq!(nearest("x", []), None);
    }
}

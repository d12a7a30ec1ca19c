//! Texts of a bounded length.

/// Cuts a text between two characters, so that it has at most `most` bytes, and adds an ellipsis
/// where something is cut.
pub(crate) fn shortened(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
        text.shrink_to_fit();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let cut = shortened("é".repeat(1000), 801);
        assert_eq!(cut.chars().count(), 401);
        assert!(cut.ends_with('…'));
        assert_eq!(shortened("short".to_owned(), 5), "short");
    }
}

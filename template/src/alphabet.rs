//! Which characters are letters. Go and Rust know different versions of Unicode, so the scripts
//! are listed in which they agree.

/// Returns whether a character may be in a name: a letter, a digit or `_`.
///
/// Go takes the letters of all scripts. A letter of another script is refused.
pub(crate) fn is_name_character(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric() || (!c.is_ascii() && is_known_letter(c))
}

/// Returns whether a character is a letter of a script in which Go and Rust agree.
fn is_known_letter(c: char) -> bool {
    match c {
        // Latin, Greek, Cyrillic
        '\u{aa}'..='\u{2c1}' | '\u{370}'..='\u{481}' | '\u{48a}'..='\u{52f}' | '\u{1e00}'..='\u{1eff}' => {
            c.is_alphabetic()
        }
        // Hiragana, Katakana, Han, Hangul
        '\u{3041}'..='\u{3096}'
        | '\u{30a1}'..='\u{30fa}'
        | '\u{4e00}'..='\u{9fa5}'
        | '\u{ac00}'..='\u{d7a3}' => true,
        _ => false,
    }
}

//! Slugs made of names: what the server derives where a caller gives none.

use deunicode::deunicode;

/// A slug of at most `most` characters: letters and digits of the name in lower case, other scripts in Latin letters,
/// everything else a hyphen. `untitled` when nothing is left.
pub fn of(name: &str, most: usize) -> String {
    let mut slug = String::new();
    for c in deunicode(name).chars() {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => slug.push(c),
            // An apostrophe joins: "don't" is one word.
            '\'' => {}
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
        if slug.len() == most {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "untitled".to_owned() } else { slug.to_owned() }
}

/// `slug` with a number at its end, still of at most `most` characters: for the second one of a name.
pub fn numbered(slug: &str, number: u32, most: usize) -> String {
    let number = format!("-{number}");
    let kept = slug.len().min(most - number.len());
    format!("{}{number}", slug[..kept].trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_made_of_the_letters_and_digits_of_a_name() {
        for (name, slug) in [
            ("Getting started", "getting-started"),
            ("  What's new in 2.0?  ", "whats-new-in-2-0"),
            ("Über die Größe", "uber-die-grosse"),
            ("Café — crème brûlée", "cafe-creme-brulee"),
            ("日本語", "ri-ben-yu"),
            ("Как начать", "kak-nachat"),
            ("---", "untitled"),
        ] {
            assert_eq!(of(name, 120), slug, "{name}");
        }
    }

    #[test]
    fn a_slug_has_no_more_than_it_may_and_ends_in_no_hyphen() {
        assert_eq!(of("aaaa bbbb", 5), "aaaa");
        assert_eq!(of(&"ß".repeat(99), 9), "sssssssss");
        assert_eq!(numbered("aaaa-bbbb", 12, 8), "aaaa-12");
        assert_eq!(numbered("how-to", 2, 120), "how-to-2");
    }
}

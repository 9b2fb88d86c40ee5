//! Slugs made of names: what the server derives where a caller gives none.

/// A slug of at most `most` characters: letters and digits of the name in lower case, accents taken off, everything else
/// a hyphen. `untitled` when nothing is left.
pub fn of(name: &str, most: usize) -> String {
    let mut slug = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        match plain(c) {
            Some(text) => slug.push_str(text),
            None if c.is_ascii_alphanumeric() => slug.push(c),
            // An apostrophe joins: "don't" is one word.
            None if matches!(c, '\'' | '\u{2019}') => {}
            None => {
                if !slug.is_empty() && !slug.ends_with('-') {
                    slug.push('-');
                }
            }
        }
        if slug.len() >= most {
            break;
        }
    }
    slug.truncate(most);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "untitled".to_owned() } else { slug.to_owned() }
}

/// `slug` with a number at its end, still of at most `most` characters: for the second one of a name.
pub fn numbered(slug: &str, number: u32, most: usize) -> String {
    let number = format!("-{number}");
    let kept = slug.len().min(most - number.len());
    format!("{}{number}", slug[..kept].trim_end_matches('-'))
}

/// Latin letters without their accents.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'ä' | 'æ' => "ae",
        'ö' | 'œ' => "oe",
        'ü' => "ue",
        'ß' => "ss",
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ą' => "a",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' => "e",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' => "i",
        'ł' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ø' | 'ō' | 'ő' => "o",
        'ř' => "r",
        'ś' | 'š' | 'ş' => "s",
        'ť' => "t",
        'ù' | 'ú' | 'û' | 'ū' | 'ů' | 'ű' => "u",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_made_of_the_letters_and_digits_of_a_name() {
        for (name, slug) in [
            ("Getting started", "getting-started"),
            ("  What's new in 2.0?  ", "whats-new-in-2-0"),
            ("Über die Größe", "ueber-die-groesse"),
            ("Café — crème brûlée", "cafe-creme-brulee"),
            ("日本語", "untitled"),
            ("---", "untitled"),
        ] {
            assert_eq!(of(name, 120), slug, "{name}");
        }
    }

    #[test]
    fn a_slug_has_no_more_than_it_may_and_ends_in_no_hyphen() {
        assert_eq!(of("aaaa bbbb", 5), "aaaa");
        assert_eq!(of(&"ä".repeat(99), 9), "aeaeaeaea");
        assert_eq!(numbered("aaaa-bbbb", 12, 8), "aaaa-12");
        assert_eq!(numbered("how-to", 2, 120), "how-to-2");
    }
}

//! One letter too many, too few, another one, or two in the wrong order.

/// The shortest word that is taken for misspelt, characters.
const SHORTEST: usize = 3;
/// Words of a search that are looked at.
const MOST: usize = 12;

/// A search with each word that is not among `known` as the first of them that differs from it in one letter; `None` when there is
/// no such. What is within quotes or must not be there is left as it is, and so is a last word that some known one begins with.
pub fn respelt(search: &str, known: &[&str]) -> Option<String> {
    if search.contains('"') {
        return None;
    }
    let count = search.split_whitespace().count();
    let mut changed = false;
    let words = search.split_whitespace().enumerate().map(|(place, word)| {
        let lower = word.to_lowercase();
        let sound = |known: &&str| **known == lower || place + 1 == count && known.starts_with(&lower);
        let is_word = lower.chars().all(char::is_alphabetic) && lower.chars().count() >= SHORTEST && lower != "or";
        if place >= MOST || !is_word || known.iter().any(sound) {
            return word.to_owned();
        }
        let letters: Vec<char> = lower.chars().collect();
        let begins = |known: &&&str| place + 1 == count && letters.len() > SHORTEST && begins_almost(&letters, known);
        let whole = known.iter().find(|known| differ_in_one(&letters, known));
        match whole.or_else(|| known.iter().find(begins)) {
            Some(known) => {
                changed = true;
                (*known).to_owned()
            }
            None => word.to_owned(),
        }
    });
    let words: Vec<String> = words.collect();
    changed.then(|| words.join(" "))
}

/// Whether a word begins with what differs in one letter.
fn begins_almost(letters: &[char], word: &str) -> bool {
    // The first letter of most is right, and tells most words apart.
    let ends = word.char_indices().map(|(at, _)| at).skip(letters.len() - 1).take(3);
    word.starts_with(letters[0]) && ends.into_iter().any(|end| differ_in_one(letters, &word[..end]))
}

fn differ_in_one(one: &[char], other: &str) -> bool {
    // Bytes tell most words apart: a character has at most four.
    if other.len() + 1 < one.len() || other.len() > 4 * (one.len() + 1) {
        return false;
    }
    let other: Vec<char> = other.chars().collect();
    let begin = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
    let (one, other) = (&one[begin..], &other[begin..]);
    match (one, other) {
        ([], [_]) | ([_], []) => true,
        ([], _) | (_, []) => false,
        (one, other) if one.len() == other.len() => {
            one[1..] == other[1..]
                || one.len() >= 2 && one[0] == other[1] && one[1] == other[0] && one[2..] == other[2..]
        }
        (one, other) if one.len() == other.len() + 1 => one[1..] == *other,
        (one, other) if one.len() + 1 == other.len() => *one == other[1..],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 6] = ["export", "data", "invoice", "straße", "policy", "expert"];

    #[test]
    fn one_letter_is_forgiven_and_two_are_not() {
        for (search, expected) in [
            ("exprot", Some("export")),
            ("xport", Some("export")),
            ("exxport", Some("export")),
            ("Exporr dta", Some("export data")),
            ("strase", Some("straße")),
            ("invoic", None),
            ("invoic of", Some("invoice of")),
            ("invoce of", Some("invoice of")),
            ("exp", None),
            ("exprrt", Some("export")),
            ("exqrrt", None),
            ("exprte", None),
            ("invioc", Some("invoice")),
            ("invioc of", None),
            ("exxpo", Some("export")),
            ("exp data", None),
            ("data -exprot", None),
            ("\"exprot\"", None),
            ("dt", None),
            ("expört", Some("export")),
        ] {
            assert_eq!(respelt(search, &KNOWN).as_deref(), expected, "{search}");
        }
    }
}

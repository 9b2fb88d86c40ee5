//! References of tickets, `APP-21`: the prefix of the site, a hyphen, the ticket's number. Unique in the org, as numbers alone
//! are not: they count per site, so that one site's customers learn nothing of another's.

/// What the references of a site's tickets begin with: 2 to 8 letters A-Z.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// What a text must be to be one, for people.
    pub const SHAPE: &str = "must be 2 to 8 letters A-Z";

    /// Small letters are taken for capitals; anything else is none.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (2..=8).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_alphabetic());
        fits.then(|| Self(text.to_ascii_uppercase()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What somebody who searches tickets means.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sought<'a> {
    /// With a number: the ticket of this reference, and no other of that number.
    pub prefix: Option<Prefix>,
    /// Tickets of this number.
    pub number: Option<i64>,
    /// And tickets with these words.
    pub words: Option<&'a str>,
}

impl<'a> Sought<'a> {
    /// `#21` is a number. `21` and `APP-21` may be words as well: an order's number, COVID-19.
    pub fn of(text: &'a str) -> Self {
        let text = text.trim();
        // No sign, and nothing that is no number of a ticket.
        let number = |digits: &str| {
            let plain = digits.bytes().all(|c| c.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten()
        };
        if let Some(number) = text.strip_prefix('#').and_then(number) {
            return Self { number: Some(number), ..Self::default() };
        }
        let reference = text.strip_prefix('#').unwrap_or(text).split_once('-');
        let named = reference.and_then(|(prefix, digits)| Prefix::parse(prefix).zip(number(digits)));
        match named {
            Some((prefix, number)) => Self { prefix: Some(prefix), number: Some(number), words: Some(text) },
            None => Self { prefix: None, number: number(text), words: Some(text) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_two_to_eight_letters_and_kept_in_capitals() {
        for (text, kept) in [("APP", "APP"), ("app", "APP"), ("aB", "AB"), ("ABCDEFGH", "ABCDEFGH")] {
            assert_eq!(Prefix::parse(text).as_ref().map(Prefix::as_str), Some(kept));
        }
        for text in ["", "A", "ABCDEFGHI", "A1", "A-B", " APP", "APP ", "ÄB", "APP\n", "AP\0", "ſs"] {
            assert_eq!(Prefix::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_search_means_a_number_a_reference_or_words() {
        let sought = |text| {
            let Sought { prefix, number, words } = Sought::of(text);
            (prefix.map(|prefix| prefix.0), number, words)
        };
        let app = || Some("APP".to_owned());
        assert_eq!(sought("#21"), (None, Some(21), None));
        assert_eq!(sought(" #21 "), (None, Some(21), None));
        assert_eq!(sought("21"), (None, Some(21), Some("21")));
        assert_eq!(sought("APP-21"), (app(), Some(21), Some("APP-21")));
        assert_eq!(sought("app-21"), (app(), Some(21), Some("app-21")));
        assert_eq!(sought("#App-021"), (app(), Some(21), Some("#App-021")));
        for words in [
            "APP",
            "APP-",
            "-21",
            "#",
            "#-21",
            "#+21",
            "+21",
            "APP--21",
            "APP-+1",
            "APP-2-1",
            "APP 21",
            "A-21",
            "21-APP",
            "my APP-21",
            "٢١",
            "99999999999999999999",
            "#99999999999999999999",
            "APP-99999999999999999999",
        ] {
            assert_eq!(sought(words), (None, None, Some(words)), "{words}");
        }
    }
}

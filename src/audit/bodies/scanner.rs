//! SQL as words, marks and quoted texts; comments and space are left out.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Token<'a> {
    /// A name, a keyword, a number.
    Word(&'a str),
    Mark(char),
    /// What stands between dollar quotes.
    Body(&'a str),
    /// What stands between quotes.
    Text,
}

impl Token<'_> {
    /// Whether this is a keyword, or a name, however it is written.
    pub fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(text) if text.eq_ignore_ascii_case(word))
    }
}

pub fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let length = if first.is_whitespace() {
            first.len_utf8()
        } else if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment(rest)
        } else if first == '\'' {
            tokens.push(Token::Text);
            quoted(rest, '\'', false)
        } else if rest.starts_with("e'") || rest.starts_with("E'") {
            tokens.push(Token::Text);
            1 + quoted(&rest[1..], '\'', true)
        } else if first == '"' {
            let length = quoted(rest, '"', false);
            tokens.push(Token::Word(rest[1..length].trim_end_matches('"')));
            length
        } else if let Some(quote) = dollar_quote(rest) {
            let body = &rest[quote.len()..];
            let end = body.find(quote).unwrap_or(body.len());
            tokens.push(Token::Body(&body[..end]));
            (2 * quote.len() + end).min(rest.len())
        } else if first.is_alphanumeric() || first == '_' {
            let word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$';
            let length = rest.find(|letter| !word(letter)).unwrap_or(rest.len());
            tokens.push(Token::Word(&rest[..length]));
            length
        } else {
            tokens.push(Token::Mark(first));
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// The length of a comment, which may hold others.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of a quoted text. A doubled quote does not end it; an escaped one neither, where there are escapes.
fn quoted(text: &str, quote: char, escapes: bool) -> usize {
    let mut letters = text.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        if escapes && letter == '\\' || letter == quote && letters.peek().is_some_and(|(_, next)| *next == quote) {
            letters.next();
        } else if letter == quote {
            return at + 1;
        }
    }
    text.len()
}

/// `$$` or `$word$`; a parameter, `$1`, is none.
fn dollar_quote(text: &str) -> Option<&str> {
    let tag = text.strip_prefix('$')?;
    let end = tag.find('$')?;
    let named = tag[..end].chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    (named && !tag.starts_with(|letter: char| letter.is_ascii_digit())).then(|| &text[..end + 2])
}

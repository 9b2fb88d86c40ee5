//! SQL as people write it, made from SQL as the catalog prints it. What is left out changes nothing that PostgreSQL would do:
//! tests/it/generated.rs runs the text and compares what becomes of it.

/// No line of a generated file is wider.
pub const WIDTH: usize = 120;

struct Token {
    text: String,
    /// Whether a space stood before it.
    spaced: bool,
    kept: bool,
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '$'
}

/// The length in bytes of the quoted text that `rest` begins with.
fn quoted_length(rest: &str, quote: char, escapes: bool) -> usize {
    let mut letters = rest.char_indices().skip(1).peekable();
    while let Some((place, letter)) = letters.next() {
        if letter == '\\' && escapes {
            letters.next();
        } else if letter == quote {
            match letters.peek() {
                Some((_, next)) if *next == quote => letters.next(),
                _ => return place + quote.len_utf8(),
            };
        }
    }
    rest.len()
}

fn tokens(text: &str) -> Vec<Token> {
    let (mut tokens, mut rest, mut spaced) = (Vec::new(), text, false);
    while let Some(letter) = rest.chars().next() {
        if letter.is_whitespace() {
            (rest, spaced) = (rest.trim_start(), true);
            continue;
        }
        let length = if rest.starts_with("E'") {
            1 + quoted_length(&rest[1..], '\'', true)
        } else if letter == '\'' || letter == '"' {
            quoted_length(rest, letter, false)
        } else if is_word(letter) {
            rest.find(|letter| !is_word(letter)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            letter.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        // An identifier in capitals would be quoted, so a word in capitals is PostgreSQL's.
        let text = if is_word(letter) && !token.ends_with('\'') { token.to_lowercase() } else { token.to_owned() };
        tokens.push(Token { text, spaced, kept: true });
        (rest, spaced) = (after, false);
    }
    tokens
}

/// Of each parenthesis that opens, where it closes.
fn pairs(tokens: &[Token]) -> Vec<(usize, usize)> {
    let (mut open, mut pairs) = (Vec::new(), Vec::new());
    for (place, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "(" => open.push(place),
            ")" => pairs.extend(open.pop().map(|from| (from, place))),
            _ => {}
        }
    }
    pairs.sort_unstable();
    pairs
}

/// What the catalog prints, in lower case.
pub fn lowered(text: &str) -> String {
    written(&tokens(text))
}

/// An expression, or a definition with expressions: in lower case, without the parentheses, casts and aliases that PostgreSQL
/// adds where nothing depends on them. An index wants its parentheses.
pub fn readable(text: &str) -> String {
    let mut tokens = tokens(text);
    for place in 2..tokens.len() {
        // 'word'::text is what 'word' is, but for an array's `text[]`.
        let array = tokens.get(place + 1).is_some_and(|next| next.text == "[");
        if tokens[place].text == "text"
            && tokens[place - 1].text == "::"
            && tokens[place - 2].text.ends_with('\'')
            && !array
        {
            tokens[place].kept = false;
            tokens[place - 1].kept = false;
        }
    }
    for (from, to) in pairs(&tokens) {
        let (mut depth, mut listed, mut reads) = (0_usize, false, false);
        let (mut ands, mut ors) = (false, false);
        for token in &tokens[from + 1..to] {
            match token.text.as_str() {
                "(" => depth += 1,
                ")" => depth -= 1,
                "and" => ands |= depth == 0,
                "or" => ors |= depth == 0,
                "," => listed |= depth == 0,
                "from" => reads |= depth == 0,
                _ => {}
            }
        }
        let query = tokens[from + 1].text == "select";
        if query && !reads && to - from > 3 && tokens[to - 2].text == "as" {
            tokens[to - 2].kept = false;
            tokens[to - 1].kept = false;
        }
        let before = from.checked_sub(1).map(|place| tokens[place].text.as_str());
        let after = tokens.get(to + 1).map(|token| token.text.as_str());
        let alone = matches!((before, after), (None, None) | (Some("("), Some(")")));
        let operand = matches!(before, None | Some("(" | "and" | "or" | "where" | "when"))
            && matches!(after, None | Some(")" | "and" | "or"));
        // (a and b) and c is a and b and c.
        let joined = ands && [before, after].contains(&Some("or")) || ors && [before, after].contains(&Some("and"));
        if !query && !listed && (alone || operand && !joined) && to > from + 1 {
            tokens[from].kept = false;
            tokens[to].kept = false;
            tokens[from + 1].spaced |= tokens[from].spaced;
        }
    }
    written(&tokens)
}

fn written(tokens: &[Token]) -> String {
    let mut out = String::new();
    for token in tokens.iter().filter(|token| token.kept) {
        if token.spaced && !out.is_empty() && !out.ends_with('(') {
            out.push(' ');
        }
        out.push_str(&token.text);
    }
    out
}

/// The conditions that a readable expression joins with AND.
pub fn conditions(expression: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut inside) = (Vec::new(), 0, 0_i32, false);
    for (place, letter) in expression.char_indices() {
        match letter {
            '\'' => inside = !inside,
            '(' if !inside => depth += 1,
            ')' if !inside => depth -= 1,
            ' ' if !inside && depth == 0 && expression[place..].starts_with(" and ") => {
                parts.push(&expression[start..place]);
                start = place + " and ".len();
            }
            _ => {}
        }
    }
    parts.push(&expression[start..]);
    parts
}

/// `text` in lines of at most [`WIDTH`], broken at spaces that stand in no literal; what follows the first line is indented.
pub fn folded(text: &str, indent: usize) -> String {
    let bare = text.trim_start();
    let lead = &text[..text.len() - bare.len()];
    let mut words: Vec<String> = Vec::new();
    let mut inside = false;
    for word in bare.split(' ') {
        match words.last_mut() {
            Some(last) if inside => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
        inside ^= word.matches('\'').count() % 2 == 1;
    }
    words[0].insert_str(0, lead);
    flow(&words, indent)
}

/// `text` in lines of at most [`WIDTH`], broken between the parts of its lists.
pub fn listed(text: &str, indent: usize) -> String {
    let parts: Vec<&str> = text.split_inclusive(", ").map(str::trim_end).collect();
    if parts.iter().any(|part| indent + part.chars().count() > WIDTH) {
        return folded(text, indent);
    }
    flow(&parts, indent)
}

/// `words` with a space between them, in lines of at most [`WIDTH`]; what follows the first line is indented.
pub fn flow<S: AsRef<str>>(words: &[S], indent: usize) -> String {
    let (mut out, mut column) = (String::new(), 0);
    for word in words {
        let width = word.as_ref().chars().count();
        if column > 0 && column + 1 + width > WIDTH {
            out = format!("{}\n{}", out.trim_end(), " ".repeat(indent));
            column = indent;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word.as_ref());
        column += width;
    }
    out
}

/// A paragraph, whose lines may be broken elsewhere.
pub fn paragraph(text: &str) -> String {
    flow(&text.split_whitespace().collect::<Vec<_>>(), 0)
}

/// A literal, in one line.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A literal, continued on further lines where one is too narrow.
pub fn literal(text: &str, indent: usize) -> String {
    let text = text.replace('\'', "''");
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_inclusive(' ') {
        if !line.is_empty() && indent + line.chars().count() + word.chars().count() + 3 > WIDTH {
            lines.push(format!("'{line}'"));
            line.clear();
        }
        line.push_str(word);
    }
    lines.push(format!("'{line}'"));
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

#[cfg(test)]
mod tests {
    use super::{WIDTH, flow, folded, literal, readable};

    #[test]
    fn what_the_catalog_adds_is_left_out_and_nothing_else() {
        for (printed, written) in [
            (
                "((org_id = ( SELECT ctx.org_id() AS org_id)) AND ((site_id IS NULL) OR (site_id = 5)))",
                "org_id = (select ctx.org_id()) and (site_id is null or site_id = 5)",
            ),
            ("((a OR b) AND c)", "(a or b) and c"),
            ("(((a AND b) AND c) OR (d OR e))", "(a and b and c) or d or e"),
            ("(a AND (b OR (c AND d)))", "a and (b or (c and d))"),
            ("( SELECT ctx.may('a:b'::text) AS may)", "(select ctx.may('a:b'))"),
            ("(id = ANY (ARRAY( SELECT ctx.ids() AS ids)))", "id = any (array(select ctx.ids()))"),
            ("(a = ANY ('{x,y}'::text[]))", "a = any ('{x,y}'::text[])"),
            ("((a)::text = 'it''s (A AND B)'::text)", "(a)::text = 'it''s (A AND B)'"),
            ("(x ~ E'\\\\S''\\''::text)", "x ~ E'\\\\S''\\''"),
            (
                "((a, b) IN ( SELECT m.a,\n    m.b AS c\n   FROM vicket.t m\n  WHERE (m.x = 1)))",
                "(a, b) in (select m.a, m.b as c from vicket.t m where m.x = 1)",
            ),
            ("(NOT internal)", "not internal"),
            ("((\"Odd\" = 'X'::name))", "\"Odd\" = 'X'::name"),
            ("CHECK (((a >= 1) AND (a <= 2)))", "check (a >= 1 and a <= 2)"),
            ("(NULLIF(x, ''::text))::uuid", "(nullif(x, ''))::uuid"),
            ("f((a + b))", "f(a + b)"),
            ("()", "()"),
        ] {
            assert_eq!(readable(printed), written, "{printed}");
            assert_eq!(readable(written), written, "again");
        }
    }

    #[test]
    fn lines_are_broken_at_spaces_and_not_in_literals() {
        let words = "a 'b c' ".repeat(40);
        let text = folded(words.trim_end(), 4);
        assert!(text.lines().count() == 3 && text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("    ") && !line.starts_with("    c'")), "{text}");
        assert_eq!(text.replace("\n   ", ""), words.trim_end());
        assert_eq!(flow(&["a", "b"], 2), "a b");
    }

    #[test]
    fn a_long_literal_goes_on_in_the_next_line() {
        assert_eq!(literal("it's", 2), "'it''s'");
        let text = literal(&"word ".repeat(40), 2);
        assert!(text.lines().count() == 2 && text.lines().all(|line| line.len() <= WIDTH - 2), "{text}");
        assert_eq!(text.replace("'\n  '", ""), format!("'{}'", "word ".repeat(40)));
    }
}

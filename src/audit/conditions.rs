//! The conditions of a policy's expression, as the catalog prints it.

/// The conditions that an expression joins with AND at its top.
pub fn top_level(expression: &str) -> Vec<&str> {
    let inner = expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(expression);
    let (mut parts, mut start, mut depth, mut quoted) = (Vec::new(), 0, 0_i32, false);
    for (place, letter) in inner.char_indices() {
        match letter {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            ' ' if !quoted && depth == 0 && inner[place..].starts_with(" AND ") => {
                parts.push(&inner[start..place]);
                start = place + " AND ".len();
            }
            ' ' if !quoted && depth == 0 && inner[place..].starts_with(" OR ") => return vec![expression],
            _ => {}
        }
    }
    if parts.is_empty() {
        return vec![expression];
    }
    parts.push(&inner[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::top_level;

    #[test]
    fn conditions_are_those_at_the_top() {
        assert_eq!(top_level("((a = 1) AND ((b) OR (c AND d)) AND f(x))"), ["(a = 1)", "((b) OR (c AND d))", "f(x)"]);
        assert_eq!(top_level("((a) OR (b))"), ["((a) OR (b))"]);
        assert_eq!(top_level("(a = ' AND ')"), ["(a = ' AND ')"]);
        assert_eq!(top_level("((a = 'it''s (') AND b)"), ["(a = 'it''s (')", "b"]);
    }
}

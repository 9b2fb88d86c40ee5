//! Roles, in the order in which every report names them.

/// Requests' roles first, whoever should not be there last.
pub fn rank(role: &str) -> (usize, &str) {
    const ORDER: [&str; 5] = ["vicket_widget", "vicket_agent", "vicket_mail", "vicket_operator", "vicket_definer"];
    (ORDER.into_iter().position(|known| known == role).unwrap_or(ORDER.len()), role)
}

/// A role without the prefix that all of them have.
pub fn short(role: &str) -> &str {
    role.strip_prefix("vicket_").unwrap_or(role)
}

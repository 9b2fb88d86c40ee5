//! The tables of operations in `docs/api-endpoints.md`, as the documents say them.

use serde_json::Value;

/// `text` with what stands between the markers of `name` replaced.
pub fn put(text: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: `just docs` writes this -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no {end}"));
    format!("{before}{begin}\n{table}\n{end}{after}")
}

/// Each operation, and how the table calls it.
fn operations(document: &str) -> Vec<(String, Value)> {
    let document: Value = serde_json::from_str(document).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let all = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods");
        methods
            .iter()
            .map(move |(method, operation)| (format!("`{} {path}`", method.to_uppercase()), operation.clone()))
    });
    all.collect()
}

/// The statuses of its answers below 400, and those above.
fn statuses(operation: &Value) -> (String, Vec<&str>) {
    let all = operation["responses"].as_object().expect("responses").keys().map(String::as_str);
    let (good, bad): (Vec<&str>, Vec<&str>) = all.partition(|status| *status < "400");
    (good.join(", "), bad)
}

pub fn support(document: &str) -> String {
    let mut table = "| call | credential | success | codes of its own |\n|---|---|---|---|\n".to_owned();
    for (call, operation) in operations(document) {
        let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
        let takes = |name: &str| parameters.iter().any(|parameter| parameter["name"] == name);
        let keyed = operation["security"][0]["PublishableKey"].is_array();
        let of_ticket = operation["security"][0]["TicketToken"].is_array();
        let credential = match (keyed, of_ticket) {
            (true, false) => "key",
            (true, true) => "key and ticket token",
            _ => "none",
        };
        let (success, errors) = statuses(&operation);
        let conflict = errors.contains(&"409");
        let codes = [
            ("`invalid_cursor`", takes("cursor")),
            ("`not_found`", errors.contains(&"404")),
            ("`ticket_closed`", conflict && of_ticket),
            ("`ticket_full`", conflict && of_ticket && !takes("message_id")),
            ("`idempotency_conflict`", conflict && takes("Idempotency-Key")),
            ("`body_too_large`", errors.contains(&"413")),
            ("`unsupported_media_type`", errors.contains(&"415")),
            ("`unprocessable`", errors.contains(&"422")),
            ("never `origin_not_allowed`", !errors.contains(&"403")),
        ];
        let codes: Vec<&str> = codes.iter().filter(|(_, own)| *own).map(|(code, _)| *code).collect();
        let codes = if codes.is_empty() { " ".to_owned() } else { format!(" {} ", codes.join(", ")) };
        table += &format!("| {call} | {credential} | {success} |{codes}|\n");
    }
    table
}

pub fn agent(document: &str) -> String {
    let mut table = "| call | credential | permission | success |\n|---|---|---|---|\n".to_owned();
    for (call, operation) in operations(document) {
        let security = operation["security"].as_array().expect("security");
        let schemes: Vec<&str> =
            security.iter().flat_map(|one| one.as_object().expect("a scheme").keys()).map(String::as_str).collect();
        let credential = match schemes.as_slice() {
            [] => "none",
            ["Session"] => "session",
            ["Session", "MachineKey"] => "session or machine key",
            other => panic!("{other:?}"),
        };
        let permission = match operation["x-permission"].as_str().expect("what it needs") {
            "none" | "session" | "credential" => " ".to_owned(),
            "member" => " member ".to_owned(),
            permission => format!(" `{permission}` "),
        };
        let (success, _) = statuses(&operation);
        table += &format!("| {call} | {credential} |{permission}| {success} |\n");
    }
    table
}

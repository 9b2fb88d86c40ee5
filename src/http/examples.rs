//! Examples of what no handler says one of: each error by its code, parameters by their names, bodies of files.
//!
//! A parameter without an example, or a code without one, is refused, so that a test fails and not a reader.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use poem_openapi::types::ToJSON as _;
use serde_json::{Map, Value, json};

use super::failure::ProblemBody;
use crate::domain::problem::{Code, FieldError, Problem};

const PROBLEM: &str = "application/problem+json";
const FILES: &str = "multipart/form-data";
const EXAMPLES: &str = "#/components/examples/";
/// Examples that are only looked at: the page of the documentation sends none of them.
pub const CURSOR: &str = "cAAAAAAAAACAfJ5meXQlQN6US-B_wfkK5w";
pub const ENTITY_TAG: &str = "\"5f2d9c1be0a7483d9f6c1b2a3d4e5f60\"";
pub const IDEMPOTENCY_KEY: &str = "9b2f0c3e-5a77-4c1d-8a53-0f6d7b1c2e44";
const ID: &str = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

/// Adds examples to the operation of this path.
///
/// # Errors
/// When there is none for something.
pub fn add(path: &str, operation: &mut Map<String, Value>, schemas: &Value) -> anyhow::Result<()> {
    let name = operation.get("operationId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let parameters = operation.get("parameters").and_then(Value::as_array).cloned().unwrap_or_default();
    let takes = |name: &str| parameters.iter().any(|parameter| parameter["name"] == name);
    let customers = operation["security"].to_string().contains("CustomerSession");
    let open = operation.get("security").and_then(Value::as_array).is_some_and(Vec::is_empty);
    let files = operation.get("requestBody").is_some_and(|body| !body["content"][FILES].is_null());
    for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        let described = response["description"].as_str().unwrap_or_default().to_owned();
        let Some(problem) = response.get_mut("content").and_then(|content| content.get_mut(PROBLEM)) else { continue };
        let codes: Vec<Code> = Code::ALL
            .iter()
            .copied()
            .filter(|code| code.status().to_string() == *status && described.contains(&format!("`{}`", code.as_str())))
            .filter(|code| match code {
                Code::InvalidCursor => takes("cursor"),
                Code::IdempotencyConflict => takes("Idempotency-Key"),
                Code::LoginFailed => open || name == "changePassword",
                Code::SessionRequired | Code::SessionInvalid | Code::MachineKeyInvalid => !open,
                Code::QuotaExceeded => files,
                Code::IdentityInvalid => name == "openCustomerSession",
                Code::IdentityRequired => name == "submitTicket",
                Code::CustomerSessionInvalid => customers,
                code if code.status() == 409 => conflicts(path, &name).contains(code),
                _ => true,
            })
            .collect();
        if codes.is_empty() {
            bail!("{name} answers {status} with no code that its description names and the path can have");
        }
        let of_code = |code: &Code| {
            let name = code.as_str();
            (name.to_owned(), json!({ "$ref": format!("{EXAMPLES}{name}") }))
        };
        problem["examples"] = codes.iter().map(of_code).collect::<Map<_, _>>().into();
    }
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        let own = parameter["schema"]["example"].take();
        let example = match own {
            Value::Null => parameter_example(parameter, schemas),
            own => Some(own),
        };
        parameter["schema"].as_object_mut().map(|schema| schema.remove("example"));
        parameter["example"] = example.with_context(|| format!("{name} has no example of {}", parameter["name"]))?;
    }
    if let Some(body) = operation.get_mut("requestBody").and_then(|body| body["content"].get_mut(FILES)) {
        body["example"] = json!({ "file": ["the bytes of invoice.pdf"] });
    }
    Ok(())
}

/// The example of each code that the document refers to.
pub fn of_codes(document: &Value) -> Map<String, Value> {
    let text = document["paths"].to_string();
    let used: BTreeSet<&str> =
        text.split(EXAMPLES).skip(1).filter_map(|rest| rest.split_once('"').map(|(name, _)| name)).collect();
    let used = Code::ALL.iter().filter(|code| used.contains(code.as_str()));
    used.map(|code| (code.as_str().to_owned(), json!({ "summary": code.title(), "value": problem(*code) }))).collect()
}

/// What can stand in the way of a change, beside another one.
fn conflicts(path: &str, operation: &str) -> Vec<Code> {
    let is = |part: &str| path.contains(part);
    let mut codes = Vec::new();
    if path.starts_with("/support/") {
        codes.push(Code::IdempotencyConflict);
    } else {
        codes.push(Code::EditConflict);
    }
    if is("/messages") {
        codes.push(Code::TicketClosed);
        codes.extend((!is("/attachments")).then_some(Code::TicketFull));
        if path.starts_with("/v1/") && !is("/attachments") {
            codes.extend([Code::ConversationMoved, Code::IdempotencyConflict]);
        }
    }
    if operation == "createTicket" {
        codes.push(Code::IdempotencyConflict);
    }
    if is("/members") {
        codes.extend([Code::EmailTaken, Code::LastOwner]);
    }
    if is("/key") || is("/identity-secret") {
        codes.extend([Code::KeyExists, Code::StagedKeyExists, Code::NoActiveKey, Code::RotationConflict]);
    } else if is("/articles") || operation == "createSite" || operation == "updateSite" {
        codes.push(Code::SlugTaken);
    }
    if ["/statuses", "/priorities", "/teams", "/templates", "/saved-replies", "/machine-keys", "/views", "/tags"]
        .iter()
        .any(|part| is(part))
    {
        codes.push(Code::NameTaken);
    }
    codes
}

/// A problem of this code, as it is sent.
fn problem(code: Code) -> Option<Value> {
    let of_input =
        |field: &str, message: &str| vec![FieldError { field: field.to_owned(), message: message.to_owned() }];
    let (detail, errors) = match code {
        Code::InvalidRequest => (
            "Not acceptable: email. See `errors`.",
            of_input("email", "must be an e-mail address such as ada@example.com"),
        ),
        Code::Unprocessable => {
            ("Not acceptable: template_id. See `errors`.", of_input("template_id", "names no form of this site"))
        }
        Code::InvalidCursor => ("Pass `next_cursor` of the page before, with the same parameters.", vec![]),
        Code::PermissionRequired => ("This needs the permission `site:edit` in this org.", vec![]),
        Code::OriginNotAllowed => {
            ("The site of this key does not list the page's origin. Ask GET /support/v1/key/check why.", vec![])
        }
        Code::NotFound => ("There is nothing here, or nothing that these credentials may see.", vec![]),
        Code::ConversationMoved => ("Agnes Agent answered while you wrote.", vec![]),
        Code::RateLimited => ("The client's network sent too much. Try again in 12 seconds.", vec![]),
        code => (code.title(), vec![]),
    };
    ProblemBody::new(&Problem { errors, ..Problem::new(code, detail) }, "0b8e3c2e-64f1-4a53-9f0c-3f0f5a2f1d11")
        .to_json()
}

/// An example by the parameter's name, or the first of the values that it may have.
fn parameter_example(parameter: &Value, schemas: &Value) -> Option<Value> {
    let name = parameter["name"].as_str().unwrap_or_default();
    let known = match name {
        "org" => json!("acme"),
        "site" => json!("acme-app"),
        "slug" => json!("getting-started"),
        "limit" => json!(20),
        "cursor" => json!(CURSOR),
        "q" => json!("export"),
        "priority" => json!("Normal"),
        "tag" => json!(["billing"]),
        "status" if parameter["schema"]["type"] == "string" => json!("Open"),
        "assignee" => json!("me"),
        "actor" => json!("ada@example.com"),
        "selector" => json!("vicket1"),
        "If-None-Match" => json!(ENTITY_TAG),
        "Idempotency-Key" => json!(IDEMPOTENCY_KEY),
        _ if parameter["schema"]["format"] == "uuid" => json!(ID),
        _ if parameter["schema"]["type"] == "boolean" => json!(true),
        _ => {
            let of = |schema: &Value| schema["enum"].get(0).cloned();
            let schema = &parameter["schema"];
            let named = [&schema["$ref"], &schema["allOf"][0]["$ref"]].into_iter().find_map(Value::as_str);
            let named = named.and_then(|name| name.rsplit('/').next()).map(|name| &schemas[name]);
            return of(schema).or_else(|| named.and_then(of));
        }
    };
    Some(known)
}

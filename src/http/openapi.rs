//! The API's document as we serve and commit it, and what can be read off it.
//!
//! poem-openapi's own output is close but not right: tools refuse parts of it, and other parts say less than the server
//! does. [`finished`] corrects what it can and refuses what only the author of a handler can correct, so that a
//! forgotten doc comment fails a test, not a reader.

use std::collections::HashSet;
use std::fmt;

use anyhow::{Context as _, bail, ensure};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

use super::examples;
use crate::domain::problem::Code;

type Object = Map<String, Value>;

/// The methods that a path item can have; its other keys (`parameters`, `summary`) are no operations.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Header names whose usual spelling is not each word with a capital.
const HEADER_SPELLINGS: [&str; 4] = ["ETag", "RateLimit", "RateLimit-Policy", "WWW-Authenticate"];

/// Credentials beside the key, which poem-openapi takes for parameters like any other: the header, the name of the scheme, and what
/// it is.
const BESIDE_THE_KEY: [(&str, &str, &str); 2] = [
    (
        "X-Vicket-Ticket",
        "TicketToken",
        "A ticket's token: `tk_` and 43 characters, from the answer to its submission or from the link that its customer has. It \
         reads and answers that one ticket, and goes beside the key.",
    ),
    (
        "X-Vicket-Customer",
        "CustomerSession",
        "A customer session: `cs_` and 43 characters, from `POST /support/v1/identity`. It lists, reads and answers that \
         customer's tickets of the site, and goes beside the key.",
    ),
];

const SCHEMAS: &str = "#/components/schemas/";

/// poem-openapi's raw document made into ours: pretty-printed JSON with a newline at its end, in poem-openapi's order.
///
/// # Errors
///
/// When a key occurs twice in one object (a path in two `#[OpenApi]` structs, a status in both halves of a `Result`),
/// or when an operation, parameter, response or tag lacks the text that its reader needs.
pub fn finished(raw: &str) -> anyhow::Result<String> {
    let Unrepeated(mut document) = serde_json::from_str(raw).context("poem-openapi's document can't be used")?;
    ensure!(document.is_object(), "an OpenAPI document is a JSON object");
    complain(&document)?;

    tidy(&mut document);
    document["openapi"] = json!("3.0.3");
    // Relative to the document's own URL: whoever loads it from a server talks to that server.
    if document["servers"].as_array().is_none_or(Vec::is_empty) {
        document["servers"] = json!([{"url": "/", "description": "The server that served this document"}]);
    }
    let schemes = document["components"]["securitySchemes"].as_object().cloned().unwrap_or_default();
    for operation in operations_mut(&mut document) {
        finish_operation(operation, &schemes);
    }
    say_credentials(&mut document);
    let schemas = document["components"]["schemas"].clone();
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for (_, operation) in
            item.as_object_mut().into_iter().flatten().filter(|(key, _)| METHODS.contains(&key.as_str()))
        {
            operation.as_object_mut().map_or(Ok(()), |operation| examples::add(path, operation, &schemas))?;
        }
    }
    let of_codes = examples::of_codes(&document);
    if !of_codes.is_empty() {
        document["components"]["examples"] = of_codes.into();
    }
    close_request_schemas(&mut document);
    list_codes(&mut document);
    let types = schema_types(&document);
    type_nullables(&mut document, &types);

    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}

/// The token of a ticket and the session of a customer are credentials: they are named beside the key that they are sent with, and
/// stand in no list of parameters. One that may be left out is one of two ways.
fn say_credentials(document: &mut Value) {
    for (header, scheme, description) in BESIDE_THE_KEY {
        let mut described = false;
        for operation in operations_mut(document) {
            let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) else { continue };
            let Some(place) = parameters.iter().position(|parameter| parameter["name"] == header) else { continue };
            let optional = parameters.remove(place)["required"] != true;
            described = true;
            let Some(requirements) = operation["security"].as_array_mut() else { continue };
            let without = if optional { requirements.clone() } else { Vec::new() };
            for requirement in requirements.iter_mut() {
                requirement[scheme] = json!([]);
            }
            requirements.splice(0..0, without);
        }
        if described {
            document["components"]["securitySchemes"][scheme] =
                json!({ "type": "apiKey", "description": description, "name": header, "in": "header" });
        }
    }
}

/// Every code that a problem may have. Not an `enum`: a client must bear a code that a later version brings.
fn list_codes(document: &mut Value) {
    if let Some(code) = document.pointer_mut("/components/schemas/Problem/properties/code") {
        code["x-extensible-enum"] = Code::ALL.iter().map(|code| code.as_str()).collect();
    }
}

/// A JSON value in which no object has a key twice. `serde_json::Value` would keep the last one and say nothing.
struct Unrepeated(Value);

impl<'de> Deserialize<'de> for Unrepeated {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UnrepeatedVisitor).map(Self)
    }
}

struct UnrepeatedVisitor;

impl<'de> Visitor<'de> for UnrepeatedVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON without repeated keys")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Unrepeated(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Object::new();
        while let Some(key) = map.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(de::Error::custom(format_args!("`{key}` occurs twice in one object")));
            }
            let Unrepeated(value) = map.next_value()?;
            object.insert(key, value);
        }
        Ok(object.into())
    }
}

/// Refuses a document that lacks text, and says everything that is missing at once.
fn complain(document: &Value) -> anyhow::Result<()> {
    let lacks = |part: &Value, key: &str| part[key].as_str().is_none_or(|text| text.trim().is_empty());
    let mut complaints = Vec::new();

    let mut tags = HashSet::new();
    for tag in document["tags"].as_array().into_iter().flatten() {
        let name = tag["name"].as_str().unwrap_or_default();
        tags.insert(name);
        if lacks(tag, "description") {
            complaints.push(format!("the tag {name} lacks a description"));
        }
    }
    for (path, method, operation) in operations(document) {
        let call = format!("{} {path}", method.to_uppercase());
        for key in ["summary", "description", "operationId"] {
            if lacks(operation, key) {
                complaints.push(format!("{call} lacks {key}"));
            }
        }
        let used = operation["tags"].as_array().map_or(&[][..], Vec::as_slice);
        if used.is_empty() || used.iter().any(|tag| !tags.contains(tag.as_str().unwrap_or_default())) {
            complaints.push(format!("{call} lacks a tag that the document describes"));
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if lacks(parameter, "description") {
                complaints.push(format!("{call} lacks a description of its parameter {}", parameter["name"]));
            }
        }
        for (status, response) in operation["responses"].as_object().into_iter().flatten() {
            if lacks(response, "description") {
                complaints.push(format!("{call} lacks a description of its answer {status}"));
            }
        }
    }
    if !complaints.is_empty() {
        bail!("{}", complaints.join("\n"));
    }
    Ok(())
}

/// Path, method and operation, in the document's order.
pub fn operations(document: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let operations = item.as_object().into_iter().flatten();
        operations
            .filter(|(method, _)| METHODS.contains(&method.as_str()))
            .map(move |(method, operation)| (path, method, operation))
    })
}

fn operations_mut(document: &mut Value) -> impl Iterator<Item = &mut Object> {
    let paths = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    paths
        .flat_map(|item| item.as_object_mut().into_iter().flatten())
        .filter(|(method, _)| METHODS.contains(&method.as_str()))
        .filter_map(|(_, operation)| operation.as_object_mut())
}

/// What holds for any value at any depth.
fn tidy(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(whole) = whole(number) {
                *value = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(object) => {
            object.values_mut().for_each(tidy);
            drop_repeated_annotations(object);
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// poem-openapi keeps limits as floats and writes `100.0`, which reads as if 99.5 were a valid `limit`.
fn whole(number: &serde_json::Number) -> Option<i64> {
    let float = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0)?;
    // Refused, so left as it is, where it is too large for an integer.
    format!("{float:.0}").parse().ok()
}

/// poem-openapi writes what it says of a `$ref` property twice: `{allOf: [{$ref}, {description}], description}`.
fn drop_repeated_annotations(schema: &mut Object) {
    let Some(members) = schema.get("allOf").and_then(Value::as_array) else {
        return;
    };
    let says_more = |member: &&Value| {
        let Some(member) = member.as_object() else {
            return true;
        };
        member.iter().any(|(key, value)| schema.get(key) != Some(value))
    };
    let members: Vec<_> = members.iter().filter(says_more).cloned().collect();
    schema.insert("allOf".to_owned(), members.into());
}

fn finish_operation(operation: &mut Object, schemes: &Object) {
    let needs = take_needs(operation, schemes);
    // Without it an operation inherits the document's security; `[]` says that it needs none.
    operation.entry("security").or_insert_with(|| json!([]));
    if let Some(needs) = needs {
        operation.insert("x-permission".to_owned(), needs.into());
    }
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        finish_parameter(parameter);
    }
    if let Some(body) = operation.get_mut("requestBody") {
        strip_charset(body);
    }
    for response in operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        strip_charset(response);
        let Some(headers) = response.get_mut("headers").and_then(Value::as_object_mut) else {
            continue;
        };
        let shouted = std::mem::take(headers);
        for (name, mut header) in shouted {
            drop_defaults(&mut header);
            headers.insert(header_name(&name), header);
        }
    }
}

/// What an operation needs of its caller besides a credential. An extractor says it as a scheme that is not declared, the only
/// place where poem-openapi lets it say something.
fn take_needs(operation: &mut Object, schemes: &Object) -> Option<String> {
    let security = operation.get_mut("security")?.as_array_mut()?;
    let mut needs = None;
    security.retain(|requirement| {
        let undeclared =
            requirement.as_object().into_iter().flat_map(Object::keys).find(|name| !schemes.contains_key(*name));
        needs = undeclared.cloned().or(needs.take());
        undeclared.is_none()
    });
    if security.is_empty() {
        operation.shift_remove("security");
    }
    needs
}

fn finish_parameter(parameter: &mut Value) {
    if parameter["in"] == "header" {
        parameter["name"] = header_name(parameter["name"].as_str().unwrap_or_default()).into();
    }
    drop_defaults(parameter);
}

/// What poem-openapi writes into every parameter and header although it says nothing: dozens of lines in each diff.
fn drop_defaults(parameter: &mut Value) {
    let is_list = parameter["schema"]["type"] == "array";
    if let Some(parameter) = parameter.as_object_mut() {
        parameter.retain(|key, value| match key.as_str() {
            "deprecated" => *value != json!(false),
            "explode" => is_list,
            _ => true,
        });
    }
}

/// `application/json; charset=utf-8` is no media type that a client would look up, and JSON has no charset parameter.
fn strip_charset(body: &mut Value) {
    let Some(content) = body.get_mut("content").and_then(Value::as_object_mut) else {
        return;
    };
    for (media_type, described) in std::mem::take(content) {
        let name = match media_type.split_once(';') {
            Some((name, _)) if name.ends_with("json") => name.trim_end().to_owned(),
            _ => media_type,
        };
        content.insert(name, described);
    }
}

/// As it is usually spelt. poem-openapi shouts (`X-REQUEST-ID`), and a generated client copies the spelling.
fn header_name(name: &str) -> String {
    if let Some(usual) = HEADER_SPELLINGS.iter().find(|usual| usual.eq_ignore_ascii_case(name)) {
        return (*usual).to_owned();
    }
    let capitalised = |word: &str| match word.split_at_checked(1) {
        Some((first, rest)) => first.to_ascii_uppercase() + &rest.to_ascii_lowercase(),
        None => word.to_owned(),
    };
    name.split('-').map(capitalised).collect::<Vec<_>>().join("-")
}

/// Says of the objects in request bodies what the server does with them: it refuses fields that it does not know and
/// takes `null` for a field left out. poem-openapi does both and declares neither.
fn close_request_schemas(document: &mut Value) {
    let mut names = Vec::new();
    for operation in operations_mut(document) {
        let content = operation.get("requestBody").and_then(|body| body["content"].as_object());
        for media_type in content.into_iter().flat_map(Map::values) {
            references(&media_type["schema"], &mut names);
        }
    }
    let empty = Object::new();
    let schemas = document["components"]["schemas"].as_object().unwrap_or(&empty);
    let mut seen: Vec<String> = Vec::new();
    let mut combined = HashSet::new();
    while let Some(name) = names.pop() {
        if seen.contains(&name) {
            continue;
        }
        if let Some(schema) = schemas.get(&name) {
            references(schema, &mut names);
            combined_references(schema, &mut combined);
        }
        seen.push(name);
    }
    let types: Object = schemas.iter().map(|(name, schema)| (name.clone(), schema["type"].clone())).collect();
    // A multipart body's schema stands where it is used; of one that stands elsewhere there is nothing here to close.
    for operation in operations_mut(document) {
        let content = operation.get_mut("requestBody").and_then(|body| body["content"].as_object_mut());
        for media_type in content.into_iter().flat_map(Map::values_mut) {
            close(&mut media_type["schema"], true, &types);
        }
    }
    for name in seen {
        if let Some(schema) = document["components"]["schemas"].get_mut(&name) {
            close(schema, !combined.contains(&name), &types);
        }
    }
}

/// The names of the schemas that a value refers to, at any depth.
fn references(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, names)),
        Value::Object(object) => {
            names.extend(object.get("$ref").and_then(referred));
            object.values().for_each(|item| references(item, names));
        }
        _ => {}
    }
}

/// The schemas that are one part of several (a union's discriminator beside its variant): if one of them refused what
/// it does not know, it would refuse the other parts' properties.
fn combined_references(value: &Value, names: &mut HashSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| combined_references(item, names)),
        Value::Object(object) => {
            if let Some(parts) = object.get("allOf").and_then(Value::as_array).filter(|parts| parts.len() > 1) {
                names.extend(parts.iter().filter_map(|part| part.get("$ref")).filter_map(referred));
            }
            object.values().for_each(|item| combined_references(item, names));
        }
        _ => {}
    }
}

fn referred(reference: &Value) -> Option<String> {
    Some(reference.as_str()?.strip_prefix(SCHEMAS)?.to_owned())
}

fn close(schema: &mut Value, closed: bool, types: &Object) {
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for (name, property) in properties {
        let Some(property) = property.as_object_mut() else {
            continue;
        };
        // A read-only property is refused whatever its value.
        if !required.contains(&json!(name)) && !property.contains_key("readOnly") {
            make_nullable(property, types);
        }
    }
    if closed {
        schema.entry("additionalProperties").or_insert(json!(false));
    }
}

/// The `type` of each named schema.
fn schema_types(document: &Value) -> Object {
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    schemas.map(|(name, schema)| (name.clone(), schema["type"].clone())).collect()
}

/// Gives every `nullable` that refers to a named schema that schema's `type`, without which it does not count.
fn type_nullables(value: &mut Value, types: &Object) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| type_nullables(item, types)),
        Value::Object(object) => {
            if object.get("nullable") == Some(&json!(true)) && !object.contains_key("type") {
                make_nullable(object, types);
            }
            object.values_mut().for_each(|item| type_nullables(item, types));
        }
        _ => {}
    }
}

/// In this version `nullable` counts only beside a `type`, and nothing counts beside a `$ref`.
fn make_nullable(property: &mut Object, types: &Object) {
    if let Some(reference) = property.shift_remove("$ref") {
        property.insert("allOf".to_owned(), json!([{"$ref": reference}]));
    }
    let member = property.get("allOf").and_then(|members| referred(&members[0]["$ref"]));
    if let Some(ty) = member.and_then(|name| types.get(&name)).filter(|ty| ty.is_string()) {
        property.entry("type").or_insert(ty.clone());
    }
    property.insert("nullable".to_owned(), json!(true));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A document with one operation, changed by `change` before it is finished.
    fn finish(change: impl FnOnce(&mut Value)) -> anyhow::Result<Value> {
        let mut document = json!({
            "openapi": "3.0.0",
            "info": {"title": "Toy", "version": "1"},
            "servers": [],
            "tags": [{"name": "Help", "description": "What a support page shows."}],
            "paths": {"/articles/{slug}": {"get": {
                "tags": ["Help"],
                "summary": "Read an article",
                "description": "One article.",
                "operationId": "getArticle",
                "parameters": [{
                    "name": "slug", "in": "path", "description": "Which.", "required": true,
                    "deprecated": false, "explode": true, "schema": {"type": "string"},
                }],
                "responses": {"200": {"description": "Here it is."}},
            }}},
            "components": {"schemas": {}},
        });
        change(&mut document);
        let text = finished(&document.to_string())?;
        assert!(text.ends_with("}\n"));
        Ok(serde_json::from_str(&text)?)
    }

    fn operation(document: &mut Value) -> &mut Value {
        &mut document["paths"]["/articles/{slug}"]["get"]
    }

    /// The schemas of a document whose only request body is `New`.
    fn finish_request(schemas: Value) -> Value {
        let mut document = finish(|document| {
            document["components"]["schemas"] = schemas;
            operation(document)["requestBody"] = json!({"content": {
                "application/json; charset=utf-8": {"schema": {"$ref": "#/components/schemas/New"}}
            }});
        })
        .unwrap();
        document["components"]["schemas"].take()
    }

    fn complaint(change: impl FnOnce(&mut Value)) -> String {
        format!("{:#}", finish(change).unwrap_err())
    }

    #[test]
    fn a_key_that_occurs_twice_is_named() {
        let error = finished(r#"{"paths": {"/tickets": {"get": 1}, "/tickets": {"post": 2}}}"#);
        let error = format!("{:#}", error.unwrap_err());
        assert!(error.contains("`/tickets` occurs twice"), "{error}");
    }

    #[test]
    fn the_same_key_in_two_objects_is_no_repetition() {
        assert!(serde_json::from_str::<Unrepeated>(r#"[{"a": {"a": 1}}, {"a": null}]"#).is_ok());
    }

    #[test]
    fn the_order_of_keys_is_kept() {
        let document = finish(|document| document["info"]["contact"] = json!({"z": 1, "a": 2})).unwrap();
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&document["info"]["contact"]), ["z", "a"]);
        assert_eq!(keys(&document)[..3], ["openapi", "info", "servers"]);
    }

    #[test]
    fn finishing_twice_changes_nothing_more() {
        let once = finish(|document| operation(document)["responses"]["200"]["headers"] = json!({"ETAG": {}}));
        let once = serde_json::to_string_pretty(&once.unwrap()).unwrap() + "\n";
        assert_eq!(finished(&once).unwrap(), once);
    }

    #[test]
    fn the_document_says_its_version_and_where_its_server_is() {
        let document = finish(|_| ()).unwrap();
        assert_eq!(document["openapi"], "3.0.3");
        assert_eq!(document["servers"][0]["url"], "/");
    }

    #[test]
    fn a_server_that_somebody_chose_is_kept() {
        let servers = json!([{"url": "https://support.example.com"}]);
        let document = finish(|document| document["servers"] = servers.clone()).unwrap();
        assert_eq!(document["servers"], servers);
    }

    #[test]
    fn json_media_types_lose_their_charset_and_others_keep_it() {
        let document = finish(|document| {
            operation(document)["responses"]["200"]["content"] = json!({
                "application/json; charset=utf-8": {},
                "text/plain; charset=utf-8": {},
            });
            operation(document)["responses"]["404"] = json!({
                "description": "`not_found`",
                "content": { "application/problem+json; charset=utf-8": {} },
            });
        });
        let mut document = document.unwrap();
        let responses = &operation(&mut document)["responses"];
        let expected = json!({ "application/json": {}, "text/plain; charset=utf-8": {} });
        assert_eq!(responses["200"]["content"], expected);
        let types = |content: &Value| content.as_object().map(|types| types.keys().cloned().collect::<Vec<_>>());
        assert_eq!(types(&responses["404"]["content"]), Some(vec!["application/problem+json".to_owned()]));
    }

    #[test]
    fn header_names_are_spelt_as_usual() {
        let names = [
            ("X-REQUEST-ID", "X-Request-Id"),
            ("ETAG", "ETag"),
            ("RATELIMIT", "RateLimit"),
            ("RATELIMIT-POLICY", "RateLimit-Policy"),
            ("retry-after", "Retry-After"),
            ("VARY", "Vary"),
            ("ACCESS-CONTROL-ALLOW-ORIGIN", "Access-Control-Allow-Origin"),
        ];
        for (shouted, usual) in names {
            assert_eq!(header_name(shouted), usual);
        }
        let mut document = finish(|document| {
            let operation = operation(document);
            operation["responses"]["200"]["headers"] = json!({"X-REQUEST-ID": {"deprecated": false}});
            operation["parameters"][0]["in"] = "header".into();
            operation["parameters"][0]["name"] = "IF-NONE-MATCH".into();
        })
        .unwrap();
        let operation = operation(&mut document);
        assert_eq!(operation["responses"]["200"]["headers"], json!({"X-Request-Id": {}}));
        assert_eq!(operation["parameters"][0]["name"], "If-None-Match");
    }

    #[test]
    fn what_says_nothing_is_left_out_of_parameters() {
        let mut document = finish(|_| ()).unwrap();
        let expected = json!({
            "name": "slug", "in": "path", "description": "Which.", "required": true,
            "schema": {"type": "string"}, "example": "getting-started",
        });
        assert_eq!(operation(&mut document)["parameters"][0], expected);
    }

    #[test]
    fn whole_floats_become_integers_and_others_stay() {
        let numbers = json!({"a": 100.0, "b": -1.0, "c": 0.5, "d": 1e300, "e": 7});
        let document = finish(|document| document["info"]["x-numbers"] = numbers).unwrap();
        let text = document["info"]["x-numbers"].to_string();
        assert_eq!(text, r#"{"a":100,"b":-1,"c":0.5,"d":1e+300,"e":7}"#);
    }

    #[test]
    fn what_is_said_beside_a_reference_is_said_once() {
        let reference = json!({"$ref": "#/components/schemas/Sort"});
        let described = json!({
            "allOf": [reference, {"description": "The order."}],
            "description": "The order.",
        });
        let document = finish(|document| document["components"]["schemas"]["Page"] = described).unwrap();
        assert_eq!(
            document["components"]["schemas"]["Page"].to_string(),
            r##"{"allOf":[{"$ref":"#/components/schemas/Sort"}],"description":"The order."}"##
        );
    }

    #[test]
    fn an_all_of_that_combines_schemas_is_kept() {
        let combined = json!({"allOf": [{"$ref": "#/components/schemas/A"}, {"type": "object"}]});
        let document = finish(|document| document["components"]["schemas"]["B"] = combined.clone()).unwrap();
        assert_eq!(document["components"]["schemas"]["B"], combined);
    }

    #[test]
    fn objects_in_requests_refuse_unknown_fields_at_any_depth() {
        let schemas = finish_request(json!({
            "New": {"type": "object", "required": ["parts"], "properties": {
                "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
            }},
            "Part": {"type": "object", "properties": {}},
            "Answer": {"type": "object", "properties": {}},
        }));
        assert_eq!(schemas["New"]["additionalProperties"], false);
        assert_eq!(schemas["Part"]["additionalProperties"], false);
        assert_eq!(schemas["Answer"].get("additionalProperties"), None);
    }

    #[test]
    fn a_map_in_a_request_stays_open() {
        let map = json!({"type": "object", "additionalProperties": {"type": "string"}, "properties": {}});
        assert_eq!(finish_request(json!({"New": map}))["New"], map);
    }

    #[test]
    fn the_parts_of_a_union_stay_open() {
        let schemas = finish_request(json!({
            "New": {"oneOf": [{"$ref": "#/components/schemas/Tagged"}]},
            "Tagged": {"allOf": [
                {"type": "object", "properties": {"kind": {"type": "string"}}},
                {"$ref": "#/components/schemas/Variant"},
            ]},
            "Variant": {"type": "object", "properties": {}},
        }));
        assert_eq!(schemas["Variant"].get("additionalProperties"), None);
    }

    #[test]
    fn what_a_request_may_leave_out_may_be_null() {
        let schemas = finish_request(json!({
            "New": {"type": "object", "required": ["subject"], "properties": {
                "subject": {"type": "string"},
                "name": {"type": "string"},
                "sort": {"$ref": "#/components/schemas/Sort"},
                "id": {"type": "string", "readOnly": true},
            }},
            "Sort": {"type": "string", "enum": ["newest"]},
        }));
        let expected = json!({
            "subject": {"type": "string"},
            "name": {"type": "string", "nullable": true},
            "sort": {
                "allOf": [{"$ref": "#/components/schemas/Sort"}], "type": "string", "nullable": true,
            },
            "id": {"type": "string", "readOnly": true},
        });
        assert_eq!(schemas["New"]["properties"], expected);
    }

    #[test]
    fn a_named_schema_that_may_be_null_in_an_answer_says_its_type() {
        let document = finish(|document| {
            document["components"]["schemas"] = json!({
                "Staged": {"type": "object"},
                "Key": {"type": "object", "properties": {
                    "staged": {"allOf": [{"$ref": "#/components/schemas/Staged"}], "nullable": true},
                }},
            });
        })
        .unwrap();
        let staged = &document["components"]["schemas"]["Key"]["properties"]["staged"];
        assert_eq!(
            *staged,
            json!({"allOf": [{"$ref": "#/components/schemas/Staged"}], "nullable": true, "type": "object"})
        );
    }

    #[test]
    fn an_operation_without_security_says_that_it_needs_none() {
        let mut document = finish(|_| ()).unwrap();
        assert_eq!(operation(&mut document)["security"], json!([]));
        let secured = |security: Value| {
            let mut document = finish(|document| {
                document["components"]["securitySchemes"] = json!({"SiteKey": {}});
                operation(document)["security"] = security;
            });
            let operation = operation(document.as_mut().unwrap()).take();
            (operation["security"].clone(), operation["x-permission"].clone())
        };
        let key = json!([{"SiteKey": []}]);
        assert_eq!(secured(key.clone()), (key.clone(), Value::Null));
        assert_eq!(secured(json!([{"SiteKey": []}, {"site:edit": []}])), (key, json!("site:edit")));
        assert_eq!(secured(json!([{"none": []}])), (json!([]), json!("none")));
    }

    #[test]
    fn a_forgotten_text_is_refused() {
        for key in ["summary", "description", "operationId"] {
            let error = complaint(|document| operation(document)[key] = " ".into());
            assert_eq!(error, format!("GET /articles/{{slug}} lacks {key}"));
        }
        let error = complaint(|document| document["tags"][0]["description"] = Value::Null);
        assert_eq!(error, "the tag Help lacks a description");
        for tags in [json!(["Halp"]), json!([]), Value::Null] {
            let error = complaint(|document| operation(document)["tags"] = tags);
            assert_eq!(error, "GET /articles/{slug} lacks a tag that the document describes");
        }
        let error = complaint(|document| operation(document)["parameters"][0]["description"] = Value::Null);
        assert_eq!(error, "GET /articles/{slug} lacks a description of its parameter \"slug\"");
        let error = complaint(|document| operation(document)["responses"]["200"]["description"] = "".into());
        assert_eq!(error, "GET /articles/{slug} lacks a description of its answer 200");
    }

    #[test]
    fn everything_that_is_missing_is_said_at_once() {
        let error = complaint(|document| {
            operation(document)["summary"] = Value::Null;
            operation(document)["operationId"] = Value::Null;
        });
        assert_eq!(error.lines().count(), 2, "{error}");
    }
}

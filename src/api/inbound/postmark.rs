//! Postmark's inbound webhook: JSON with the message in `RawEmail`. It signs nothing; a password in its URL says who it is.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use poem::{Request, http::header};
use serde::Deserialize;

use super::desk::{Desk, Handed, MIB, forged, media_type};
use crate::{
    domain::problem::{Code, Problem},
    http::request::discard,
    intake::secrets::Provider,
    mail::inbound::Envelope,
    memory_budget::Reservation,
};

/// What is read of it; whatever else there is is passed over.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inbound<'a> {
    #[serde(borrow)]
    raw_email: Option<Cow<'a, str>>,
    original_recipient: String,
}

fn password(request: &Request) -> Option<Vec<u8>> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    let credentials = STANDARD.decode(credentials.trim()).ok()?;
    let colon = credentials.iter().position(|c| *c == b':')?;
    scheme.eq_ignore_ascii_case("basic").then(|| credentials[colon + 1..].to_vec())
}

pub async fn read(desk: &Desk<'_>, request: &mut Request) -> Result<(Handed, Reservation), Problem> {
    if !password(request).is_some_and(|given| desk.secrets.is_secret(Provider::Postmark, &given)) {
        discard(request).await;
        return Err(forged());
    }
    if media_type(request).is_none_or(|kind| kind != "application/json") {
        return Err(Problem::new(Code::UnsupportedMediaType, "Send JSON, as Postmark's webhook does."));
    }
    // It has the attachments once more beside the message.
    let (body, reservation) = desk.body(request, 35 * MIB).await?;
    let inbound: Inbound<'_> = serde_json::from_slice(&body)
        .map_err(|_| Problem::new(Code::InvalidRequest, "The body is not what Postmark's inbound webhook sends."))?;
    let Some(raw) = inbound.raw_email.filter(|raw| !raw.is_empty()) else {
        let message = "is missing: turn on \"Include raw email content in JSON payload\" at the inbound stream";
        return Err(Problem::unprocessable("RawEmail", message));
    };
    let raw = raw.into_owned().into_bytes();
    // It does not say what the return path was.
    let sender = Envelope::of_mailbox(&raw).mail_from.or_else(|| Some(String::new()));
    Ok((desk.handed(sender, vec![inbound.original_recipient], raw.into(), true).await?, reservation))
}

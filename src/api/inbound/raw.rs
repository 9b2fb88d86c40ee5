//! A message as it is: `message/rfc822`, with its envelope in the query and a signature over all of it in a header.

use poem::Request;

use super::desk::{Desk, Handed, bytes_of, forged, media_type, prove_age};
use crate::{
    domain::problem::{Code, Problem},
    http::request::discard,
    memory_budget::Reservation,
};

const SIGNATURE: &str = "x-vicket-signature";

/// `t=UNIX,v1=HEX`: when, and by which signatures. There are several while a secret is changed.
struct Signature {
    time: String,
    tags: Vec<Vec<u8>>,
}

fn signature(request: &Request) -> Option<Signature> {
    let mut values = request.headers().get_all(SIGNATURE).iter();
    let (value, None) = (values.next()?.to_str().ok()?, values.next()) else { return None };
    let fields: Vec<_> = value.split(',').filter_map(|field| field.trim().split_once('=')).collect();
    let time = fields.iter().find(|(name, _)| *name == "t").map(|(_, time)| (*time).to_owned())?;
    let tags = fields.iter().filter(|(name, _)| *name == "v1").filter_map(|(_, tag)| bytes_of(tag)).take(4).collect();
    Some(Signature { time, tags })
}

pub async fn read(desk: &Desk<'_>, request: &mut Request) -> Result<(Handed, Reservation), Problem> {
    // What cannot be good is not worth a body.
    let signed = signature(request).ok_or_else(forged).and_then(|signed| prove_age(&signed.time).map(|()| signed));
    let signed = match signed {
        Ok(signed) => signed,
        Err(problem) => {
            discard(request).await;
            return Err(problem);
        }
    };
    let query = request.uri().query().unwrap_or_default().to_owned();
    let is_message = media_type(request).is_some_and(|kind| kind == "message/rfc822");
    let (raw, body) = desk.body(request, 0).await?;
    let parts: [&[u8]; 5] = [signed.time.as_bytes(), b".", query.as_bytes(), b".", &raw];
    if !signed.tags.iter().any(|tag| desk.prove(&parts, Some(tag)).is_ok()) {
        return Err(forged());
    }
    if !is_message {
        return Err(Problem::new(Code::UnsupportedMediaType, "Send the message as `Content-Type: message/rfc822`."));
    }
    let (mut sender, mut recipients) = (None, Vec::new());
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "recipient" => recipients.push(value.into_owned()),
            "sender" if sender.is_none() => sender = Some(value.into_owned()),
            _ => {
                return Err(Problem::invalid_field(
                    &name.replace('\0', "\\0"),
                    "is not a parameter of this call, or stands there twice",
                ));
            }
        }
    }
    if sender.is_none() {
        return Err(Problem::invalid_field("sender", "is required; empty for a bounce"));
    }
    Ok((desk.handed(sender, recipients, raw, false).await?, body))
}

//! Mailgun's routes: a form with the message in `body-mime`, and a signature over its time and token.

use std::convert::Infallible;

use bytes::Bytes;
use multer::Multipart;
use poem::{Request, http::header};

use super::desk::{Desk, Handed, MIB, bytes_of, media_type, prove_age};
use crate::{
    domain::problem::{Code, Problem},
    memory_budget::Reservation,
};

/// What is read of the form.
#[derive(Default)]
struct Form {
    recipient: Option<Bytes>,
    sender: Option<Bytes>,
    body_mime: Option<Bytes>,
    timestamp: Option<Bytes>,
    token: Option<Bytes>,
    signature: Option<Bytes>,
}

impl Form {
    fn field(&mut self, name: &[u8]) -> Option<&mut Option<Bytes>> {
        match name {
            b"recipient" => Some(&mut self.recipient),
            b"sender" => Some(&mut self.sender),
            b"body-mime" => Some(&mut self.body_mime),
            b"timestamp" => Some(&mut self.timestamp),
            b"token" => Some(&mut self.token),
            b"signature" => Some(&mut self.signature),
            _ => None,
        }
    }

    async fn of_parts(body: Bytes, boundary: String) -> Result<Self, multer::Error> {
        let stream = futures_util::stream::iter([Ok::<_, Infallible>(body)]);
        let (mut parts, mut form) = (Multipart::new(stream, boundary), Self::default());
        while let Some(part) = parts.next_field().await? {
            let name = part.name().unwrap_or_default().to_owned();
            if let Some(field) = form.field(name.as_bytes()) {
                *field = Some(part.bytes().await?);
            }
        }
        Ok(form)
    }

    fn of_text(body: &[u8]) -> Self {
        let mut form = Self::default();
        for pair in body.split(|c| *c == b'&') {
            let at = pair.iter().position(|c| *c == b'=').unwrap_or(pair.len());
            if let Some(field) = form.field(&decoded(&pair[..at])) {
                *field = Some(decoded(pair.get(at + 1..).unwrap_or_default()).into());
            }
        }
        form
    }
}

/// Of a form: `+` is a space, `%41` a byte. A message is bytes, and no text that could be mended.
fn decoded(value: &[u8]) -> Vec<u8> {
    let (mut bytes, mut at) = (Vec::with_capacity(value.len()), 0);
    while let Some(&c) = value.get(at) {
        let hex =
            value.get(at + 1..at + 3).filter(|_| c == b'%').and_then(|hex| bytes_of(std::str::from_utf8(hex).ok()?));
        at += if hex.is_some() { 3 } else { 1 };
        bytes.push(match (hex, c) {
            (Some(hex), _) => hex[0],
            (None, b'+') => b' ',
            (None, c) => c,
        });
    }
    bytes
}

fn text(field: Option<&Bytes>) -> Option<&str> {
    std::str::from_utf8(field?).ok()
}

pub async fn read(desk: &Desk<'_>, request: &mut Request) -> Result<(Handed, Reservation), Problem> {
    let kind = media_type(request).unwrap_or_default();
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = content_type.and_then(|value| multer::parse_boundary(value).ok());
    // A form writes some bytes as three.
    let (body, reservation) = desk.body(request, 8 * MIB).await?;
    let form = match (&*kind, boundary) {
        ("multipart/form-data", Some(boundary)) => Form::of_parts(body, boundary)
            .await
            .map_err(|_| Problem::new(Code::InvalidRequest, "The body is not `multipart/form-data`."))?,
        ("application/x-www-form-urlencoded", _) => Form::of_text(&body),
        _ => return Err(Problem::new(Code::UnsupportedMediaType, "Send a form, as Mailgun's routes do.")),
    };
    let time = text(form.timestamp.as_ref()).unwrap_or_default();
    let token = form.token.as_deref().unwrap_or_default();
    let signature = text(form.signature.as_ref()).and_then(bytes_of);
    desk.prove(&[time.as_bytes(), token], signature.as_deref())?;
    prove_age(time)?;
    let Some(raw) = form.body_mime else {
        let message = "is missing: let the URL of the route end with `/mime`, so that the message comes as it is";
        return Err(Problem::unprocessable("body-mime", message));
    };
    let recipients = text(form.recipient.as_ref()).unwrap_or_default().split(',').map(str::trim);
    let recipients = recipients.filter(|address| !address.is_empty()).map(str::to_owned).collect();
    let sender = text(form.sender.as_ref()).map(str::to_owned);
    Ok((desk.handed(sender, recipients, raw, true).await?, reservation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_gives_back_every_byte() {
        let sent = b"recipient=a%40b.example&body-mime=A%3A+b%0D%0A%0D%0A%FF%00%+%4&token=%e4&other=1&sender=";
        let form = Form::of_text(sent);
        assert_eq!(form.recipient.as_deref(), Some(&b"a@b.example"[..]));
        assert_eq!(form.body_mime.as_deref(), Some(&b"A: b\r\n\r\n\xff\0% %4"[..]));
        assert_eq!(form.token.as_deref(), Some(&b"\xe4"[..]));
        assert_eq!((form.sender.as_deref(), form.signature), (Some(&b""[..]), None));
    }
}

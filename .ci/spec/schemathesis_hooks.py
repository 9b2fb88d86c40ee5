"""What schemathesis has to know before it draws requests for this API."""

import os
import uuid

import schemathesis


def is_uuid(value):
    """Whether this names something, rather than being no name at all."""
    try:
        return isinstance(value, str) and bool(uuid.UUID(value))
    except ValueError:
        return False


@schemathesis.hook
def before_call(context, case, kwargs):
    """Leaves out what only the server can make up.

    A drawn cursor is rightly a 400 although the document allows it. A drawn template id is rightly a 422, and would
    hide what the server thinks of the body's other fields, whatever they are. A drawn ticket token opens nothing, so
    that valid requests get the token of a real ticket; and so of a customer's session.
    """
    drawn_as_valid = not case.meta or case.meta.generation.mode.is_positive
    if drawn_as_valid and case.headers and "X-Vicket-Ticket" in case.headers:
        case.headers["X-Vicket-Ticket"] = os.environ["VICKET_TICKET"]
    if drawn_as_valid and case.headers and "X-Vicket-Customer" in case.headers:
        case.headers["X-Vicket-Customer"] = os.environ["VICKET_CUSTOMER"]
    # A header with control characters is no HTTP, which is answered before there is a request.
    etag = case.headers.get("If-None-Match") if case.headers else None
    if etag and not all(character >= " " and character != "\x7f" for character in etag):
        case.headers.pop("If-None-Match")
    if drawn_as_valid and case.query:
        case.query.pop("cursor", None)
    # The document offers two credentials, of which a request sends one: the other is not drawn beside it.
    credential = os.environ.get("VICKET_CREDENTIAL")
    # Which may leave a request valid that was drawn with nothing but a wrong credential.
    if credential and case.query:
        case.query.pop("cursor", None)
    if credential == "session" and case.headers:
        case.headers.pop("Authorization", None)
    if credential == "machine key" and case.cookies:
        case.cookies.pop("vicket_session", None)
    # Drawn names of orgs and sites name nothing, so that valid requests would all be answered 404.
    if drawn_as_valid and case.path_parameters:
        for name, real in [("org", "VICKET_ORG"), ("site", "VICKET_SITE")]:
            if name in case.path_parameters:
                case.path_parameters[name] = os.environ[real]
    # A time that has passed and a select without options are rightly a 400 although a schema
    # cannot say so.
    if drawn_as_valid and isinstance(case.body, dict):
        case.body.pop("expires_at", None)
        # Without a customer session, which is never drawn right, a ticket needs an address.
        if "subject" in case.body and "message" in case.body:
            case.body["email"] = case.body.get("email") or "ada@example.com"
        # Drawn keys are on no curve.
        if isinstance(case.body.get("identity"), dict):
            case.body["identity"].pop("jwks", None)
        # Nor can one say what the names of an open map may not hold.
        if isinstance(case.body.get("answers"), dict):
            case.body["answers"] = {name.replace("\0", ""): value for name, value in case.body["answers"].items()}
        if case.body.get("questions"):
            case.body["questions"] = [{"label": "Why?", "type": "text"}]
    # Origins that are of the schema may also stand in a request that was drawn with something else wrong, which may turn out right.
    origins = case.body.get("origins") if isinstance(case.body, dict) else None
    if isinstance(origins, list) and origins and all(isinstance(one, str) and 0 < len(one) <= 255 for one in origins):
        case.body["origins"] = ["https://fuzz.example"]
    if isinstance(case.body, dict) and is_uuid(case.body.get("template_id")):
        del case.body["template_id"]

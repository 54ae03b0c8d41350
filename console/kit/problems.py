"""Errors of the JSON API, as RFC 9457 describes them: one shape for whatever refuses, at whatever layer."""

import json
from collections.abc import Mapping
from typing import Any

import structlog
from django.http import HttpResponse

CONTENT_TYPE = "application/problem+json"
API = "/api/"  # every address of the JSON API begins so

TITLES = {
    400: "Bad request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Wrong method",
    409: "Conflict",
    410: "Gone",
    411: "Length required",
    412: "Changed in the meantime",
    413: "Too large",
    415: "Wrong media type",
    422: "Invalid input",
    429: "Too many requests",
    500: "Error in the console",
    503: "Try again",
}
CODES = {
    400: "bad_request",
    401: "token_missing",
    403: "not_allowed",
    404: "not_found",
    405: "wrong_method",
    411: "length_required",
    412: "precondition_failed",
    413: "too_large",
    415: "wrong_media_type",
    429: "too_many_requests",
    500: "error",
    503: "unavailable",
}
SENTENCES = {
    400: "The request cannot be read. Check its address and its body.",
    401: "Send an API token: Authorization: Bearer adk_….",
    403: "This is not allowed.",
    404: "There is nothing at this address that you can see.",
    405: "This address does not know the method. Look it up in the API reference.",
    413: "The request is too large. Nothing was stored.",
    429: "Too many requests. Try again later.",
    500: "Something is wrong in the console. Give an administrator the request id.",
    503: "The console cannot answer at present. Try again in a few seconds.",
}
SCHEME = "Bearer"


def document(
    status: int,
    *,
    code: str = "",
    detail: str = "",
    errors: Mapping[str, str] | None = None,
    request_id: str = "",
) -> dict[str, Any]:
    """The body. `errors` are sentences by field; "" is the request as a whole, which `detail` says already."""
    found = {
        "type": "about:blank",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "code": code or CODES.get(status, "error"),
        "detail": detail or SENTENCES.get(status, TITLES.get(status, "Error") + "."),
        "errors": [{"path": path, "sentence": sentence} for path, sentence in (errors or {}).items() if path],
    }
    known = request_id or str(structlog.contextvars.get_contextvars().get("request_id", ""))
    return {**found, "request_id": known}


def problem(
    status: int,
    *,
    code: str = "",
    detail: str = "",
    errors: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """The answer with that problem as JSON, and `WWW-Authenticate` on 401."""
    sent = dict(headers or {})
    request_id = sent.get("X-Request-ID", "")
    body = json.dumps(document(status, code=code, detail=detail, errors=errors, request_id=request_id))
    response = HttpResponse(body, status=status, content_type=CONTENT_TYPE, headers=sent)
    if status == 401:
        response.headers.setdefault("WWW-Authenticate", f'{SCHEME} realm="Airdeck"')
    return response

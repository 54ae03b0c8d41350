"""From whatever an endpoint raises to one kind of answer. The sentences are those of the pages."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from console.kit.problems import problem
from console.kit.refusals import ActionRefused
from console.kit.text import NotStorable
from deployments.dataplane.contract import DataPlaneError
from workspaces.api.auth import TooManyRequests
from workspaces.token_access import denial

NOT_JSON = "The body is not JSON. Send a JSON object in UTF-8."
NOT_TEXT = "A text in the body holds a NUL character, or half a surrogate pair. Leave that out."
NO_OBJECT = "Send a JSON object."


def register(api: NinjaAPI) -> None:
    """Map every kind of error that an endpoint may raise on purpose. Others are a 500, as everywhere."""
    api.add_exception_handler(ActionRefused, _refused)
    api.add_exception_handler(ValidationError, _invalid)
    api.add_exception_handler(HttpError, _unreadable)
    api.add_exception_handler(Http404, lambda request, error: problem(404))
    api.add_exception_handler(PermissionDenied, _denied)
    api.add_exception_handler(DataPlaneError, _plane)


def _refused(request: HttpRequest, refusal: Any) -> HttpResponse:
    headers = {"Retry-After": str(refusal.retry_after)} if isinstance(refusal, TooManyRequests) else {}
    return problem(
        refusal.status, code=refusal.code, detail=refusal.sentence, errors=refusal.problems, headers=headers
    )


def _denied(request: HttpRequest, error: Any) -> HttpResponse:
    code, sentence = denial(error)
    return problem(403, code=code, detail=sentence)


def _plane(request: HttpRequest, error: Any) -> HttpResponse:
    return problem(503, code="data_plane", detail=str(error), headers={"Retry-After": "5"})


def _unreadable(request: HttpRequest, error: Any) -> HttpResponse:
    """A body that is no JSON, or holds what is no text: nothing else is left to ninja."""
    if isinstance(error.__cause__, NotStorable):
        return problem(400, detail=NOT_TEXT)
    return problem(error.status_code, detail=NOT_JSON if error.status_code == 400 else "")


def _invalid(request: HttpRequest, error: Any) -> HttpResponse:
    """What pydantic says, in sentences: its own are for programmers."""
    found: dict[str, str] = {}
    for each in error.errors:
        place = [str(part) for part in each["loc"]]
        body = place[:1] == ["body"]
        path = ".".join(place[2:] if body else place[1:])
        found.setdefault(path, _sentence(each, path))
    return problem(422, code="invalid", detail=" ".join(found.values()), errors=found)


def _sentence(error: dict[str, Any], path: str) -> str:
    kind, context = str(error["type"]), error.get("ctx", {})
    if not path:
        return NO_OBJECT
    if kind == "missing":
        return f"“{path}” is missing. Send it."
    if kind == "less_than_equal":
        return f"Enter a whole number of at most {context['le']:,}."
    if kind == "greater_than_equal":
        return f"Enter a whole number of at least {context['ge']:,}."
    if kind == "string_too_long":
        return f"Enter at most {context['max_length']} characters."
    if kind.startswith("int"):
        return "Enter a whole number."
    if kind.startswith("bool"):
        return "Enter true or false."
    if kind.startswith(("datetime", "date", "timezone")):
        return "Enter a time like 2026-11-28T09:00:00Z."
    if kind.startswith("uuid"):
        return "Enter an id as the API gives it."
    if kind.startswith("list"):
        return "Enter a list."
    return "Enter a value that the API reference allows."

"""The API for people: a page made of the document for machines. No script, and nothing from elsewhere."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe
from markdown_it import MarkdownIt

from console.api.document import PREFIX, document

_MARKDOWN = MarkdownIt("commonmark", {"html": False})


def _inline(text: str) -> SafeString:
    """A description, with its code in code."""
    return mark_safe(str(_MARKDOWN.renderInline(text)))  # noqa: S308 - written by the renderer, which escapes


@dataclass(frozen=True)
class Field:
    """A parameter, or a field of a body or an answer."""

    name: str
    kind: str
    about: str
    required: bool


@dataclass(frozen=True)
class Endpoint:
    """One address and method."""

    anchor: str
    method: str
    path: str
    about: str
    parameters: tuple[Field, ...]
    body: tuple[Field, ...]
    answers: tuple[tuple[str, tuple[Field, ...]], ...]  # a status, and what it carries


@dataclass(frozen=True)
class Group:
    """The endpoints about one thing."""

    title: str
    anchor: str
    endpoints: tuple[Endpoint, ...]


@cache
def groups() -> tuple[Group, ...]:
    """All of them, in the order of the document."""
    whole = document()
    found: dict[str, list[Endpoint]] = {}
    for path, item in whole["paths"].items():
        for method, operation in item.items():
            made = _endpoint(whole, path, method, operation)
            found.setdefault(operation["tags"][0], []).append(made)
    return tuple(Group(title, title.lower().replace(" ", "-"), tuple(each)) for title, each in found.items())


def _endpoint(whole: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> Endpoint:
    parameters = tuple(
        Field(
            each["name"],
            _kind(whole, each["schema"]),
            _inline(each.get("description", "")),
            bool(each.get("required")),
        )
        for each in operation.get("parameters", [])
    )
    content: dict[str, Any] = next(iter(operation.get("requestBody", {}).get("content", {}).values()), {})
    answers = [
        (status, _fields(whole, _schema(answer)))
        for status, answer in operation["responses"].items()
        if not status.endswith("XX")
    ]
    return Endpoint(
        anchor=operation["operationId"],
        method=method.upper(),
        path=path.removeprefix(PREFIX),
        about=_inline(operation.get("description", "")),
        parameters=parameters,
        body=_fields(whole, content.get("schema", {})),
        answers=tuple(answers),
    )


def _schema(answer: dict[str, Any]) -> dict[str, Any]:
    for content in answer.get("content", {}).values():
        found: dict[str, Any] = content.get("schema", {})
        return found
    return {}


def _resolved(whole: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """What a reference is to; of a choice that includes null, the other."""
    choices = [each for each in schema.get("anyOf", []) if each.get("type") != "null"]
    if len(choices) == 1:
        schema = choices[0]
    while "$ref" in schema:
        schema = whole["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def _fields(whole: dict[str, Any], schema: dict[str, Any]) -> tuple[Field, ...]:
    found = _resolved(whole, schema)
    required = set(found.get("required", []))
    return tuple(
        Field(name, _kind(whole, each), _inline(str(each.get("description", ""))), name in required)
        for name, each in found.get("properties", {}).items()
    )


def _kind(whole: dict[str, Any], schema: dict[str, Any]) -> str:
    """In words: "text", "list of Queue", "text or null"."""
    if "$ref" in schema:
        found = _resolved(whole, schema)
        return str(found.get("title", "object")).removesuffix("Out")
    if "anyOf" in schema:
        return " or ".join(_kind(whole, each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(str(each) for each in schema["enum"])
    kind = schema.get("type", "any value")
    if isinstance(kind, list):
        return " or ".join(_word(each, schema) for each in kind)
    if kind == "array":
        return f"list of {_kind(whole, schema.get('items', {}))}"
    return _word(str(kind), schema)


def _word(kind: str, schema: dict[str, Any]) -> str:
    words = {"string": "text", "integer": "whole number", "boolean": "true or false", "object": "object"}
    if kind == "string" and schema.get("format") in {"date-time", "uuid", "binary"}:
        return {"date-time": "time", "uuid": "id", "binary": "file"}[schema["format"]]
    return words.get(kind, kind)


@require_safe
@login_not_required
def reference(request: HttpRequest) -> HttpResponse:
    """Every address with what it takes and answers. For everybody: nothing in it is about this installation."""
    context = {"groups": groups(), "prefix": PREFIX, "openapi_url": reverse("openapi")}
    return render(request, "docs/api_reference.html", context)

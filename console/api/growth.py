"""Whether a version of the API only grew: what a program relied on is there, and takes and gives at least as much.

Pure: two OpenAPI documents in, sentences out. Inputs may get wider and answers fuller, never the other way round.
"""

from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]


def narrowed(old: Document, new: Document) -> list[str]:
    """What the new document takes away from the old one; empty when it only grew."""
    return list(_paths(old, new))


def _paths(old: Document, new: Document) -> Iterator[str]:
    for path, item in old.get("paths", {}).items():
        for method, before in item.items():
            where = f"{method.upper()} {path}"
            after = new.get("paths", {}).get(path, {}).get(method)
            if after is None:
                yield f"{where} is gone."
                continue
            yield from _parameters(where, before, after)
            yield from _body(where, before, after, old, new)
            yield from _answers(where, before, after, old, new)


def _parameters(where: str, before: Document, after: Document) -> Iterator[str]:
    known = {(each["in"], each["name"]): each for each in before.get("parameters", [])}
    now = {(each["in"], each["name"]): each for each in after.get("parameters", [])}
    for key, each in known.items():
        if key not in now:
            yield f"{where}: the parameter {key[1]} is gone."
        elif now[key].get("required") and not each.get("required"):
            yield f"{where}: the parameter {key[1]} is required now."
        else:
            yield from _bounds(f"{where}: the parameter {key[1]}", each["schema"], now[key]["schema"])
    for key, each in now.items():
        if key not in known and each.get("required"):
            yield f"{where}: the new parameter {key[1]} is required."


def _bounds(where: str, old: Document, new: Document) -> Iterator[str]:
    """Of an input: ranges may only widen."""
    for name, tighter in (("maximum", min), ("maxLength", min), ("minimum", max), ("minLength", max)):
        if name in new and (
            name not in old or (old[name] != new[name] and tighter(old[name], new[name]) == new[name])
        ):
            yield f"{where} has a tighter {name}."


def _body(where: str, before: Document, after: Document, old: Document, new: Document) -> Iterator[str]:
    was, now = before.get("requestBody"), after.get("requestBody")
    if was is None:
        if now is not None and now.get("required"):
            yield f"{where} needs a body now."
        return
    if now is None:
        yield f"{where} takes no body any more."
        return
    if now.get("required") and not was.get("required"):
        yield f"{where} needs a body now."
    for kind, content in was["content"].items():
        if kind not in now["content"]:
            yield f"{where} takes no {kind} any more."
        else:
            yield from _input(
                f"{where}: the body", content["schema"], now["content"][kind]["schema"], old, new
            )


def _answers(where: str, before: Document, after: Document, old: Document, new: Document) -> Iterator[str]:
    for status, answer in before["responses"].items():
        now = after["responses"].get(status)
        if now is None:
            yield f"{where} answers {status} no more."
            continue
        for kind, content in answer.get("content", {}).items():
            if kind not in now.get("content", {}):
                yield f"{where} {status} is {kind} no more."
            else:
                there = now["content"][kind].get("schema", {})
                yield from _output(f"{where} {status}", content.get("schema", {}), there, old, new)


def _resolved(schema: Document, document: Document) -> Document:
    while "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        schema = document["components"]["schemas"][name]
    return schema


def _types(schema: Document) -> set[str]:
    """The types that a value may have; empty when anything goes."""
    if "anyOf" in schema:
        parts = [_types(each) if "$ref" not in each else {"object"} for each in schema["anyOf"]]
        return set().union(*parts) if all(parts) else set()
    found = schema.get("type", [])
    return {found} if isinstance(found, str) else set(found)


def _input(where: str, was: Document, now: Document, old: Document, new: Document) -> Iterator[str]:
    was, now = _resolved(was, old), _resolved(now, new)
    if _types(now) and not (_types(was) and _types(was) <= _types(now)):
        yield f"{where} takes fewer types."
    if "enum" in now and not set(was.get("enum", [None])) <= set(now["enum"]):
        yield f"{where} takes fewer values."
    yield from _bounds(where, was, now)
    fresh = set(now.get("required", [])) - set(was.get("required", []))
    yield from (f"{where}: {name} is required now." for name in sorted(fresh))
    for name, each in was.get("properties", {}).items():
        if name not in now.get("properties", {}):
            yield f"{where}: {name} is gone."
        else:
            yield from _input(f"{where}: {name}", each, now["properties"][name], old, new)
    if "items" in was and "items" in now:
        yield from _input(f"{where}: an item", was["items"], now["items"], old, new)


def _output(where: str, was: Document, now: Document, old: Document, new: Document) -> Iterator[str]:
    was, now = _resolved(was, old), _resolved(now, new)
    if _types(was) and not (_types(now) and _types(now) <= _types(was)):
        yield f"{where} has more types."
    if "enum" in was and not set(now.get("enum", [None])) <= set(was["enum"]):
        yield f"{where} has more values."
    lost = set(was.get("required", [])) - set(now.get("required", []))
    yield from (f"{where}: {name} may be missing now." for name in sorted(lost))
    for name, each in was.get("properties", {}).items():
        if name not in now.get("properties", {}):
            yield f"{where}: {name} is gone."
        elif not _is_recursive(each, was, old):
            yield from _output(f"{where}: {name}", each, now["properties"][name], old, new)
    if "items" in was and "items" in now:
        yield from _output(f"{where}: an item", was["items"], now["items"], old, new)
    if "anyOf" in was and "anyOf" in now:
        for one, other in zip(was["anyOf"], now["anyOf"], strict=False):
            yield from _output(where, one, other, old, new)


def _is_recursive(schema: Document, parent: Document, document: Document) -> bool:
    return "$ref" in schema and _resolved(schema, document) is parent

"""Reading a deployment file here, for `apply --env`, as strictly as the console reads it and in its words: no anchors,
no tags, no depth, no key twice. What is filled in goes to the console as JSON, which no longer shows any of these.

Imported only when it is needed: YAML takes long to load."""

import json
import re
from collections.abc import Iterable
from typing import Any

import yaml

from airdeck_cli.errors import USAGE, CliError

DEPTH = 12  # of lists and mappings in each other; the console's own limit
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(text: str) -> object:
    """The file as plain values. Raises CliError with the console's own sentence."""
    return _json(text) if text.lstrip().startswith(("{", "[")) else _yaml(text)


def _refused(sentence: str) -> CliError:
    return CliError(sentence, USAGE, code="file_refused")


class _Loader(_Base):  # type: ignore[misc]  # C or Python
    """Of YAML's words only null, true, false and whole numbers: no dates, no octal numbers, and `on` is a word. A key
    once."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """As its base, which would keep the last of two equal keys."""
        seen: set[str] = set()
        for key, _ in node.value:
            name = key.value if isinstance(key.value, str) else ""
            if name in seen:
                raise _refused(f"Line {key.start_mark.line + 1}: {name[:60]} stands here twice. Keep one.")
            seen.add(name)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^(?:0|-?[1-9][0-9]{0,17})$", list("-0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def _json(text: str) -> object:
    def once(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in pairs:
            if key in found:
                raise _refused(f"{key[:60]} stands twice in one place. Keep one.")
            found[key] = value
        return found

    try:
        return json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise _refused(f"Line {error.lineno}: this is not JSON. Fix it there.") from None
    except (RecursionError, ValueError):
        raise _refused("The file is nested too deeply, or holds a number that is too long.") from None


def _yaml(text: str) -> object:
    try:
        _refuse_odd(text)
        documents = list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"Line {mark.line + 1}: this" if mark else "This"
        raise _refused(f"{line} is not YAML. Fix it there; values with : or # need quotes.") from None
    except (ValueError, TypeError):  # a key that is a list, a number that is too long
        raise _refused("The file holds a key that is not text. Fix it.") from None
    if len(documents) > 1:
        raise _refused("The file holds several documents. Keep one Deployment in a file.")
    return documents[0] if documents else None


def _refuse_odd(text: str) -> None:
    """Look at the events before anything is built of them."""
    depth = 0
    for event in yaml.parse(text, Loader=_Base):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _refused(f"Line {line}: the file uses YAML anchors, which it does not need. Write it out.")
        if getattr(event, "tag", None) not in {None, "!"}:
            raise _refused(f"Line {line}: the file uses a YAML tag, which it does not need. Take it out.")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEPTH:
            raise _refused(f"Line {line}: the file is nested too deeply. Take out what is inside there.")

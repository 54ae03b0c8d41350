"""YAML and JSON of deployment files. Both are read without what could do harm in a file from elsewhere: no aliases, no
tags, no depth, no key twice, and no word that turns into something else than it looks like. Pure."""

import json
import re
from collections.abc import Iterable
from typing import Any

import yaml

from console.kit.text import NotStorable, refuse_unstorable

BYTES = 1024 * 1024
DEPTH = 12  # of lists and mappings in each other; a file of ours has four
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FILE = "Write one with airdeck deployment inspect -o yaml."


class FileUnreadable(ValueError):
    """The text is no deployment file. `str()` is one sentence, with the line where there is one."""


class _Loader(_Base):  # type: ignore[misc]  # C or Python
    """Only null, true and false, whole numbers and texts; a key once."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """As its base, but a key that stands twice is refused: the earlier one would be lost silently."""
        seen = set()
        for key, _ in node.value:
            name = key.value if isinstance(key.value, str) else ""
            if name in seen:
                raise FileUnreadable(
                    f"Line {key.start_mark.line + 1}: {name[:60]} stands here twice. Keep one."
                )
            seen.add(name)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


# YAML 1.1 would also read `on`, `yes` and `no` as booleans, `2026-01-01` as a date, `010` as eight, `1.10` as 1.1.
_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^(?:0|-?[1-9][0-9]{0,17})$"), list("-0123456789")
)


def load(text: str) -> object:
    """The document as plain values. Raises FileUnreadable."""
    if len(text.encode("utf-8", "surrogatepass")) > BYTES:
        raise FileUnreadable(f"The file has more than {BYTES // 1024} KiB. Put less into it.")
    if not text.strip():
        raise FileUnreadable(f"The file has no content. {_FILE}")
    document = _json(text) if text.lstrip().startswith(("{", "[")) else _yaml(text)
    try:
        refuse_unstorable(document)
    except NotStorable:
        raise FileUnreadable(
            "A text in the file holds a NUL character (\\0), or half a surrogate pair. Take that out."
        ) from None
    return document


def _json(text: str) -> object:
    def once(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in pairs:
            if key in found:
                raise FileUnreadable(f"{key[:60]} stands twice in one place. Keep one.")
            found[key] = value
        return found

    try:
        return json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise FileUnreadable(f"Line {error.lineno}: this is not JSON. Fix it there.") from None
    except (RecursionError, ValueError) as error:
        raise (
            error
            if isinstance(error, FileUnreadable)
            else FileUnreadable("The file is nested too deeply, or holds a number that is too long.")
        ) from None


def _yaml(text: str) -> object:
    try:
        _refuse_odd(text)
        documents = list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"Line {mark.line + 1}: this" if mark else "This"
        raise FileUnreadable(f"{line} is not YAML. Fix it there; values with : or # need quotes.") from None
    except (ValueError, TypeError) as error:  # a key that is a list, a number that is too long
        raise (
            error
            if isinstance(error, FileUnreadable)
            else FileUnreadable("The file holds a key that is not text. Fix it.")
        ) from None
    if len(documents) > 1:
        raise FileUnreadable("The file holds several documents. Keep one Deployment in a file.")
    return documents[0] if documents else None


def _refuse_odd(text: str) -> None:
    """Look at the events before anything is built of them."""
    depth = 0
    for event in yaml.parse(text, Loader=_Base):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise FileUnreadable(
                f"Line {line}: the file uses YAML anchors, which it does not need. Write it out."
            )
        if getattr(event, "tag", None) not in {None, "!"}:
            raise FileUnreadable(
                f"Line {line}: the file uses a YAML tag, which it does not need. Take it out."
            )
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEPTH:
            raise FileUnreadable(
                f"Line {line}: the file is nested too deeply. Take out what is inside there."
            )

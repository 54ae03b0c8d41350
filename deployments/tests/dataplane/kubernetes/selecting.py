"""Label and field selectors, for the emulator."""

import re
from typing import Any


def selected(item: dict[str, Any], query: dict[str, str]) -> bool:
    """Whether an object matches the label and field selectors of a request."""
    labels = item["metadata"].get("labels") or {}
    for term in filter(None, re.split(r",(?![^(]*\))", query.get("labelSelector", ""))):
        key, _, value = term.replace("==", "=").partition("=")
        if key.endswith("!"):
            if labels.get(key.removesuffix("!")) == value:
                return False
            continue
        if among := re.match(r"(\S+) in \((.*)\)", term):
            if labels.get(among[1]) not in [w.strip() for w in among[2].split(",")]:
                return False
        elif ("=" not in term and key not in labels) or ("=" in term and labels.get(key) != value):
            return False
    for term in filter(None, query.get("fieldSelector", "").split(",")):
        path, _, value = term.partition("=")
        here: Any = item
        for part in path.split("."):
            here = (here or {}).get(part)
        if str(here) != value:
            return False
    return True

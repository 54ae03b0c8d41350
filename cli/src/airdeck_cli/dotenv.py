"""Writing variables as a `.env` file. Reading one is the console's."""

import re
from collections.abc import Iterable
from typing import Any

_SAFE = re.compile(r"[A-Za-z0-9_./:@%+,=~-]*")


def written(rows: Iterable[dict[str, Any]]) -> str:
    """A file that the console reads back as these. A secret is named, and has no value."""
    lines = []
    for row in rows:
        key, value = row["key"], row["value"]
        if row["secret"]:
            lines.append(f"# {key} is secret. Its value is not in this file.")
        elif _SAFE.fullmatch(value):
            lines.append(f"{key}={value}")
        else:
            text = value.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r")
            lines.append(f'{key}="{text}"')
    return "".join(f"{line}\n" for line in lines)

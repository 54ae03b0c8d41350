"""Which Release was last applied in full: applied.json in the Deployment's folder."""

import json
from pathlib import Path

from console.kit.files import write_private
from deployments.dataplane.contract import UNDER_WAY


def digest(folder: Path) -> str:
    """That of the Release; "" when none was applied yet, and UNDER_WAY on the way from one to another."""
    try:
        return str(json.loads((folder / "applied.json").read_text())["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def record_applied(folder: Path, digest: str) -> None:
    """Everything of that Release is applied and ready."""
    write_private(folder / "applied.json", json.dumps({"digest": digest}))


def leave(folder: Path, desired: str) -> None:
    """Before the first change towards `desired`: what was applied before is not any more, also if we are killed now and
    it is desired again."""
    if digest(folder) not in ("", desired):
        record_applied(folder, UNDER_WAY)

"""The lock files that ship with this console: which runtimes this machine can install. Imports no driver."""

import re
from functools import cache
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from deployments.dataplane.contract import DataPlaneError

LOCKS = Path(__file__).with_name("locks")


@cache
def locked_versions() -> frozenset[str]:
    """The runtimes that this console can install."""
    return frozenset(file.stem for file in LOCKS.glob("*.txt"))


def lock_file(version: str) -> Path:
    """The requirements of a runtime, with hashes. Raises DataPlaneError for a runtime that this console
    lacks."""
    file = LOCKS / f"{version}.txt"
    if not file.is_file():
        offered = ", ".join(sorted(locked_versions()))
        raise DataPlaneError(
            f"Runtime {version} is not available on this machine. Choose one of {offered}, "
            "or update the console."
        )
    return file


@cache
def package_count(version: str) -> int:
    """How many packages the runtime's lock names for this kind of machine."""
    lines = re.findall(r"^[a-z0-9][\w.-]*==.*$", lock_file(version).read_text(), re.MULTILINE)
    return sum("== 'win32'" not in line for line in lines)


@cache
def pins(version: str) -> dict[str, str]:
    """The packages that the runtime has on this kind of machine: versions by canonical name."""
    lines = re.findall(r"^[a-zA-Z0-9][^\n\\]*", lock_file(version).read_text(), re.MULTILINE)
    found: dict[str, str] = {}
    for line in lines:
        try:
            requirement = Requirement(line.strip())
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate():
            found[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix("==")
    return found


def name_of(block: str) -> str:
    """The canonical name of the package of one entry of a lock file."""
    return canonicalize_name(re.split(r"[=\[ ;]", block, maxsplit=1)[0])

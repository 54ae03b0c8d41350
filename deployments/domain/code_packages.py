"""What a requirements.txt comes to on one runtime: packages beyond those of the runtime; and how two such sets differ.
Pure."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from packaging.utils import canonicalize_name

from console.kit.wording import counted

PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


def requirements_digest(lines: Iterable[str]) -> str:
    """SHA-256, in hex, of what a file asks for, in whatever order; "" when it asks for nothing."""
    asked = sorted(lines)
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest() if asked else ""


def pinned(text: str) -> dict[str, str]:
    """The versions that a lock file names, by canonical name."""
    return {canonicalize_name(name): version for name, version in PINNED.findall(text)}


@dataclass(frozen=True)
class PackageLock:
    """The packages that a runtime gets in addition: `text` is what the installer is given, one pinned package with its
    hashes after the other. Without any, the runtime's own environment does."""

    runtime: str
    text: str

    @cached_property
    def packages(self) -> Mapping[str, str]:
        """Versions by name, sorted."""
        return dict(sorted(pinned(self.text).items()))

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of runtime and text; "" when there is no package."""
        if not self.packages:
            return ""
        return hashlib.sha256(f"{self.runtime}\n{self.text}".encode()).hexdigest()


@dataclass(frozen=True)
class PackageDifference:
    """What going from one set of packages to another does. Changed ones with both versions."""

    added: tuple[tuple[str, str], ...]
    changed: tuple[tuple[str, str, str], ...]
    removed: tuple[tuple[str, str], ...]
    unchanged: int

    @property
    def count(self) -> int:
        """How many packages differ."""
        return len(self.added) + len(self.changed) + len(self.removed)

    @property
    def sentence(self) -> str:
        """ "3 packages added, 1 removed, 12 unchanged." or "No package differs."."""
        parts = [(len(self.added), "added"), (len(self.changed), "changed"), (len(self.removed), "removed")]
        words = [(count, word) for count, word in parts if count]
        if not words:
            return "No package differs."
        if self.unchanged:
            words.append((self.unchanged, "unchanged"))
        (count, word), *others = words
        head = f"{counted(count, 'package')} {word}"
        return ", ".join([head, *(f"{count} {word}" for count, word in others)]) + "."


def compare(old: Mapping[str, str], new: Mapping[str, str]) -> PackageDifference:
    """What `new` does to `old`; both are versions by name."""
    return PackageDifference(
        added=tuple((name, new[name]) for name in sorted(new) if name not in old),
        changed=tuple(
            (name, old[name], new[name]) for name in sorted(new) if name in old and old[name] != new[name]
        ),
        removed=tuple((name, old[name]) for name in sorted(old) if name not in new),
        unchanged=sum(1 for name in new if old.get(name) == new[name]),
    )

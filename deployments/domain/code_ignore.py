"""What of a folder is not code: what is always left out, and what a `.airdeckignore` says. Pure.

The syntax is that of `.gitignore`. Patterns come from the person who uploads, so they are matched in time that grows
with pattern times path; translated to regular expressions, as libraries do it, one line of stars would hold a process
for hours.
"""

from dataclasses import dataclass
from functools import cached_property

from deployments.domain.code_errors import CodeRefused

IGNORE_FILE = ".airdeckignore"
IGNORE_BYTES = 16 * 1024
IGNORE_LINES = 200
# Caches, environments, secrets of a person's machine, and what systems put into archives by themselves.
ALWAYS = (
    ".git/ .hg/ .svn/ __pycache__/ *.pyc *.pyo .venv/ venv/ node_modules/ .env .env.* .mypy_cache/ .pytest_cache/ "
    ".ruff_cache/ .tox/ .ipynb_checkpoints/ .DS_Store __MACOSX/ Thumbs.db .idea/ .vscode/"
).split()


@dataclass(frozen=True)
class Pattern:
    """One line: its parts, whether it speaks of folders only, and whether it takes back what was left out."""

    parts: tuple[str, ...]
    folders_only: bool = False
    back: bool = False

    def matches(self, parts: tuple[str, ...], *, is_folder: bool) -> bool:
        """Whether the path of these parts, as such, is meant."""
        return (is_folder or not self.folders_only) and _parts_match(self.parts, parts)


@dataclass(frozen=True)
class Ignore:
    """All patterns in order; the last one that matches decides, and what is in a folder left out is left out."""

    patterns: tuple[Pattern, ...]

    def leaves_out(self, path: str) -> bool:
        """Whether the file of this path is no code."""
        parts = tuple(path.split("/"))
        folders = (parts[:end] for end in range(1, len(parts)))
        return any(self._out(folder, is_folder=True) for folder in folders) or self._out(
            parts, is_folder=False
        )

    def leaves_out_folder(self, path: str) -> bool:
        """Whether nothing in the folder of this path, whose parents are not left out, is code."""
        return self._out(tuple(path.split("/")), is_folder=True)

    def _out(self, parts: tuple[str, ...], *, is_folder: bool) -> bool:
        known = self._folders.get(parts) if is_folder else None
        if known is None:
            known = False
            for pattern in reversed(self.patterns):
                if pattern.matches(parts, is_folder=is_folder):
                    known = not pattern.back
                    break
            if is_folder:
                self._folders[parts] = known
        return known

    @cached_property
    def _folders(self) -> dict[tuple[str, ...], bool]:
        """What was decided of folders: each holds many files."""
        return {}


def parse(text: str) -> tuple[Pattern, ...]:
    """The patterns of a `.airdeckignore`. Raises CodeRefused when there are too many."""
    if len(text.encode()) > IGNORE_BYTES or text.count("\n") > IGNORE_LINES:
        raise CodeRefused(
            f"{IGNORE_FILE} may have at most {IGNORE_LINES} lines and {IGNORE_BYTES // 1024} KiB. Shorten it."
        )
    found = (_pattern(line) for line in text.splitlines())
    return tuple(pattern for pattern in found if pattern is not None)


def _pattern(line: str) -> Pattern | None:
    line = line.removesuffix("\r")
    if not line.endswith("\\ "):
        line = line.rstrip()
    if not line or line.startswith("#"):
        return None
    back = line.startswith("!")
    body = line[1:] if back else line
    folders_only = body.endswith("/")
    anchored = "/" in body.rstrip("/")
    parts = tuple(part for part in body.split("/") if part)
    if not parts:
        return None
    return Pattern(parts if anchored else ("**", *parts), folders_only, back)


DEFAULTS = Ignore(tuple(p for p in map(_pattern, ALWAYS) if p is not None))


def with_own(text: str) -> Ignore:
    """The defaults, then what a `.airdeckignore` says: it may take back a default with "!"."""
    return Ignore((*DEFAULTS.patterns, *parse(text)))


def _parts_match(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """Whether the parts match; "**" stands for any number of them, and at the end for at least one."""
    reached = {0}  # how many parts the pattern so far can have taken
    for index, piece in enumerate(pattern):
        if not reached:
            return False
        if piece == "**":
            least = min(reached) + (index == len(pattern) - 1)
            reached = set(range(least, len(parts) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(parts) and _name_matches(piece, parts[at])}
    return len(parts) in reached


def _name_matches(pattern: str, name: str) -> bool:
    """One name against one part with `*`, `?`, `[…]` and `\\`. Goes back to the last star only, which is enough: so it
    takes at most len(pattern) x len(name) steps."""
    pieces = _pieces(pattern)
    at_piece = at_name = 0
    star = resume = -1
    while at_name < len(name):
        if at_piece < len(pieces) and pieces[at_piece] == "*":
            star, resume = at_piece, at_name
            at_piece += 1
        elif at_piece < len(pieces) and _is_one(pieces[at_piece], name[at_name]):
            at_piece, at_name = at_piece + 1, at_name + 1
        elif star >= 0:
            resume += 1
            at_piece, at_name = star + 1, resume
        else:
            return False
    return all(piece == "*" for piece in pieces[at_piece:])


def _pieces(pattern: str) -> list[str]:
    """ "*", "?", "[…]", or "\\" and a plain character."""
    pieces: list[str] = []
    at = 0
    while at < len(pattern):
        c = pattern[at]
        end = pattern.find("]", at + 2) if c == "[" else -1
        if end > 0:
            pieces.append(pattern[at : end + 1])
            at = end + 1
        elif c in "*?":
            pieces.append(c)
            at += 1
        else:
            at += c == "\\" and at + 1 < len(pattern)
            pieces.append(f"\\{pattern[at]}")
            at += 1
    return pieces


def _is_one(piece: str, c: str) -> bool:
    if piece == "?":
        return True
    if piece.startswith("\\"):
        return piece[1] == c
    inner = piece[1:-1]
    negated = inner[:1] in {"!", "^"}
    inner = inner[negated:]
    found = False
    at = 0
    while at < len(inner):
        if at + 2 < len(inner) and inner[at + 1] == "-":
            found |= inner[at] <= c <= inner[at + 2]
            at += 3
        else:
            found |= inner[at] == c
            at += 1
    return found != negated

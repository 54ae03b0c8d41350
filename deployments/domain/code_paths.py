"""Which names a file of code may have. Pure.

A name that two systems read in two ways is refused, whatever it means here: what is packed on one machine runs on
another.
"""

import re
import unicodedata

from deployments.domain.code_errors import CodeRefused, shown

PATH_BYTES = 1024  # of a whole path, in UTF-8
PART_BYTES = 255  # of one name in it: what file systems take
# Marks that turn the direction of what follows (Unicode, UAX 9): a name would read as another.
TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_DRIVE = re.compile(r"[A-Za-z]:")


def clean_path(raw: str) -> str:
    """The path below the root of the code: parts joined by "/", none of them "." or "..". A "./" before it and a "/"
    after it are taken off; the root itself becomes "". Raises CodeRefused."""
    if any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} or c in TURNS for c in raw):
        raise CodeRefused(
            f"The name {shown(raw)} holds a control character, or bytes that are not UTF-8. Rename the file and "
            "pack again."
        )
    if raw.startswith("/") or _DRIVE.match(raw):
        raise CodeRefused(
            f"The path {shown(raw)} is absolute. Pack from inside the folder, so that paths begin there."
        )
    if "\\" in raw:
        raise CodeRefused(f"The path {shown(raw)} holds a backslash. Pack with / between folders.")
    parts = [part for part in raw.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise CodeRefused(f"The path {shown(raw)} leads out of the archive with “..”. Pack again without it.")
    path = "/".join(parts)
    if len(path.encode()) > PATH_BYTES or any(len(part.encode()) > PART_BYTES for part in parts):
        raise CodeRefused(
            f"The path {shown(path)} is too long: at most {PATH_BYTES:,} bytes, and {PART_BYTES} for one name in it."
        )
    return path


class Names:
    """All paths of one archive: no file twice, none that is also a folder, no two that differ only in case or in how
    an accent is written, which a Mac or Windows would store as one."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._spelled: dict[str, str] = {}  # folded path of a file or folder -> as it was first spelled

    def add_file(self, path: str) -> None:
        """Take a file's path. Raises CodeRefused."""
        if path in self._files:
            raise CodeRefused(f"The archive holds {shown(path)} twice. Pack again with each file once.")
        if self._spelled.get(_folded(path)) == path:
            raise CodeRefused(f"In the archive {shown(path)} is a folder and a file. Rename one of them.")
        self.add_folder(path.rpartition("/")[0])
        self._spell(path)
        self._files.add(path)

    def add_folder(self, path: str) -> None:
        """Take a folder's path, and those above it. Raises CodeRefused."""
        while path and self._spelled.get(_folded(path)) != path:
            self._spell(path)
            path = path.rpartition("/")[0]
        if path in self._files:
            raise CodeRefused(f"In the archive {shown(path)} is a file and a folder. Rename one of them.")

    def _spell(self, path: str) -> None:
        other = self._spelled.setdefault(_folded(path), path)
        if other != path:
            raise CodeRefused(
                f"{shown(other)} and {shown(path)} differ only in case or accents, so some systems store them as one. "
                "Rename one of them."
            )


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())

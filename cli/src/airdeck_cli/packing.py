"""Packing the code of a folder: what is code goes in, in one order and without times, so that equal code is an equal
archive. The folder is only read."""

import hashlib
import io
import os
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from airdeck_cli.errors import USAGE, CliError

IGNORE_FILE = ".airdeckignore"
MIB = 1024 * 1024
LARGEST, LARGEST_FILE, MOST_FILES = 500 * MIB, 100 * MIB, 20_000  # the console's own limits
PACKED = 100 * MIB
# The same as the console leaves out by itself: what it would not take need not be sent.
ALWAYS = (
    ".git/ .hg/ .svn/ __pycache__/ *.pyc *.pyo .venv/ venv/ node_modules/ .env .env.* .mypy_cache/ .pytest_cache/ "
    ".ruff_cache/ .tox/ .ipynb_checkpoints/ .DS_Store __MACOSX/ Thumbs.db .idea/ .vscode/"
).split()
# What a project may have beside its dags folder. Anything else there is no code of Airflow's: tests, a README.
BESIDE = ("plugins", "include", "requirements.txt")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can hold


@dataclass(frozen=True)
class Packed:
    """What goes into an archive: files by path, how many were left out, the root, and the parts of it that went in."""

    root: Path
    files: dict[str, Path]
    left_out: int
    parts: tuple[Path, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for path in self.files.values())

    @property
    def digest(self) -> str:
        """Of names and contents: equal code has the same."""
        found = hashlib.sha256()
        for name, path in self.files.items():
            found.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
        return found.hexdigest()

    def write(self, out: BinaryIO) -> None:
        """The archive: zip, sorted, without times."""
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, path in self.files.items():
                entry = zipfile.ZipInfo(name, EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.create_system = 3  # Unix, wherever this runs
                executable = bool(path.stat().st_mode & stat.S_IXUSR)
                entry.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
                archive.writestr(entry, path.read_bytes())

    def archive(self) -> io.BytesIO:
        """The same in memory. Raises CliError when it is larger than the console takes."""
        found = io.BytesIO()
        self.write(found)
        if len(found.getbuffer()) > PACKED:
            raise CliError(
                f"Packed, the code has more than {PACKED // MIB} MiB. Leave out data with a {IGNORE_FILE}.",
                USAGE,
            )
        found.seek(0)
        return found


Rule = Callable[[str], bool]  # whether a path below the root is left out


@dataclass
class _Walk:
    """One walk over a folder."""

    root: Path
    rules: list[Rule]
    follow_links: bool
    only: frozenset[str] = frozenset()  # of the root's entries; empty for all
    files: dict[str, Path] = field(default_factory=dict)
    left_out: int = 0
    above: tuple[Path, ...] = ()

    def is_out(self, name: str, *, is_folder: bool) -> bool:
        """Whether a path below the root is no code: of a file of patterns the last one that matches decides."""
        if self.only and "/" not in name and name not in self.only:
            return True
        whole = name + ("/" if is_folder else "")
        return any(rule(whole) for rule in self.rules)


def pack(folder: Path, *, follow_links: bool) -> Packed:
    """What `folder` holds: a project when it has a folder `dags` and something of BESIDE; the content of `dags` when it
    has that alone; else its own content. Raises CliError."""
    if not folder.is_dir():
        raise CliError(f"{folder} is not a folder. Name the folder of your project.", USAGE)
    inner = folder / "dags"
    beside = frozenset(name for name in BESIDE if (folder / name).exists()) if inner.is_dir() else frozenset()
    if beside:
        root, rules = folder, [*_rules(folder), _within("dags/", _rule(_lines(inner / IGNORE_FILE)))]
        walk = _Walk(root, rules, follow_links, beside | {"dags", IGNORE_FILE})
    elif inner.is_dir():
        root, around = inner, _rule(_lines(folder / IGNORE_FILE))
        walk = _Walk(root, [*_rules(inner), lambda name: around(f"dags/{name}")], follow_links)
    else:
        root = folder
        walk = _Walk(root, _rules(folder), follow_links)
    _walk(walk, root, "")
    if not walk.files:
        raise CliError(f"There is no code in {root}. Write a DAG there, or begin with: airdeck init", USAGE)
    size = sum(path.stat().st_size for path in walk.files.values())
    if len(walk.files) > MOST_FILES or size > LARGEST:
        raise CliError(
            f"{root} has {len(walk.files):,} files of {size // MIB:,} MiB; at most {MOST_FILES:,} of "
            f"{LARGEST // MIB} MiB can be deployed. Leave out what is not code with a {IGNORE_FILE}.",
            USAGE,
        )
    parts = tuple(root / name for name in sorted(walk.only)) or (root,)
    return Packed(root, dict(sorted(walk.files.items())), walk.left_out, parts)


def _rules(root: Path) -> list[Rule]:
    """What is always left out, with the ignore file of the root."""
    return [_rule([*ALWAYS, *_lines(root / IGNORE_FILE)])]


def _rule(lines: list[str]) -> Rule:
    """Whether a path is left out; that of a folder ends with a slash. To pathspec "a/**" is the folder a, too, and to
    Git only what is in it, which a later "!" may take back: so such a line leaves out files, and no folder."""
    import pathspec

    of_files = pathspec.GitIgnoreSpec.from_lines(lines)
    kept = [line for line in lines if line.startswith("!") or not line.rstrip().endswith("/**")]
    of_folders = pathspec.GitIgnoreSpec.from_lines(kept)
    return lambda name: bool((of_folders if name.endswith("/") else of_files).match_file(name))


def _within(prefix: str, rule: Rule) -> Rule:
    """A rule of a folder further down."""
    return lambda name: name.startswith(prefix) and name != prefix and rule(name.removeprefix(prefix))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8-sig").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError):
        raise CliError(f"{path} cannot be read as text. Save it as UTF-8.", USAGE) from None


def _walk(walk: _Walk, place: Path, prefix: str) -> None:
    """Depth first. A folder that is left out is not entered."""
    real = place.resolve()
    if real in walk.above:
        raise CliError(f"The link {place} leads back to a folder around it. Remove the link.", USAGE)
    outer, walk.above = walk.above, (*walk.above, real)
    for entry in sorted(os.scandir(place), key=lambda each: each.name):
        name, path = prefix + entry.name, Path(entry.path)
        is_folder = _is_folder(entry)
        if walk.is_out(name, is_folder=is_folder):
            walk.left_out += 1
        elif entry.is_symlink() and not _is_taken(walk, path, name):
            continue
        elif is_folder:
            _walk(walk, path, f"{name}/")
        elif entry.is_file():
            _add(walk, name, path)
        else:
            raise CliError(
                f"{name} is a device, a pipe or a socket. Leave it out with a {IGNORE_FILE}.", USAGE
            )
    walk.above = outer


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_taken(walk: _Walk, path: Path, name: str) -> bool:
    """A link is packed as what it leads to: within the folder always, out of it when asked. Raises CliError."""
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):  # a link to itself was a RuntimeError until Python 3.13
        raise CliError(
            f"The link {name} leads to nothing. Remove it, or leave it out with a {IGNORE_FILE}.", USAGE
        ) from None
    if target.is_relative_to(walk.root.resolve()) or walk.follow_links:
        return True
    raise CliError(
        f"The link {name} leads out of the folder, to {target}. Use --follow-links to pack what is there, or "
        f"leave it out with a {IGNORE_FILE}.",
        USAGE,
    )


def _add(walk: _Walk, name: str, path: Path) -> None:
    if (readable := os.fsencode(name).decode("utf-8", "replace")) != name:
        raise CliError(f"The name {readable} is not UTF-8. Rename the file.", USAGE)
    if "\\" in name:
        raise CliError(f"The name {name} holds a backslash. Rename the file.", USAGE)
    if path.stat().st_size > LARGEST_FILE:
        raise CliError(f"{name} has more than {LARGEST_FILE // MIB} MiB. Keep data out of the code.", USAGE)
    walk.files[name] = path

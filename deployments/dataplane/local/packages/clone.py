"""A second environment out of an installed one: every file a hard link, so that it costs folders alone. Compiled files
come along; Python corrects the paths in them when it loads them.

What names the environment it stands in (scripts, `pyvenv.cfg`) is written again. An installer of the copy must
replace files and never write into them; uv does, as long as its cache is on the same disk.
"""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

SCRIPTS = "bin"


def clone(source: Path, target: Path) -> None:
    """Make `target`, which must not exist, an environment like `source`. Raises OSError."""
    real = source.resolve()
    target.mkdir(mode=0o700)
    for base, folders, files in os.walk(real):
        here = Path(base)
        there = target / here.relative_to(real)
        for name in list(folders):
            if (here / name).is_symlink():  # lib64
                folders.remove(name)
                (there / name).symlink_to(os.readlink(here / name))
            else:
                (there / name).mkdir(mode=0o700)
        for name in files:
            _file(here / name, there / name, real, target)


def _file(file: Path, place: Path, source: Path, target: Path) -> None:
    if file.is_symlink():
        place.symlink_to(os.readlink(file))
    elif (
        file.parent.name != SCRIPTS
        or file.parent.parent != source
        or not _rewritten(file, place, source, target)
    ):
        _link(file, place)


def _rewritten(file: Path, place: Path, source: Path, target: Path) -> bool:
    """A script that names its environment names the new one; whether it did."""
    content = file.read_bytes()
    if os.fsencode(source) not in content or b"\0" in content[:4096]:
        return False
    place.write_bytes(content.replace(os.fsencode(source), os.fsencode(target)))
    shutil.copymode(file, place)
    return True


def _link(file: Path, place: Path) -> None:
    try:
        os.link(file, place)
    except (
        OSError
    ):  # too many links to it, or a file system without them: a copy then, or the error that it gives
        shutil.copy2(file, place)


def share_compiled(source: Path, target: Path, entries: Iterable[str]) -> None:
    """Link what `source`, the site-packages of another environment, has compiled of the very same files. `entries` are
    the folders of `target` to look into. What cannot be linked is compiled later."""
    for entry in entries:
        for base, _, files in os.walk(source / entry):
            here = Path(base)
            if here.name != "__pycache__":
                continue
            there = target / here.relative_to(source)
            for name in files:
                module = f"{name.partition('.')[0]}.py"
                with suppress(OSError):
                    if os.path.samestat((here.parent / module).stat(), (there.parent / module).stat()):
                        there.mkdir(mode=0o700, exist_ok=True)
                        os.link(here / name, there / name)


def bytes_of_its_own(folder: Path) -> int:
    """Bytes on disk of the files in a folder that nothing else links to, and of its folders."""
    total = 0
    for base, _, files in os.walk(folder):
        total += os.lstat(base).st_blocks * 512
        for name in files:
            status = os.lstat(os.path.join(base, name))
            total += status.st_blocks * 512 if status.st_nlink == 1 else 0
    return total

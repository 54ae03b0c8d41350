"""Run by the Makefile as: python3 -m console.installer [--dev]. Puts what requirements.txt pins (and
requirements-dev.txt, with --dev) into the virtual environment that VENV names, and does nothing where it is there.

1. uv: that of the environment, else fetched. 2. A virtual environment on a Python that the console runs on.
3. The packages, hashes checked. 4. A note of which. Killed before 4, the next run does what is missing.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from console.installer import fetch, python, reach
from console.installer.refusal import Refusal

BASE = Path(__file__).resolve().parent.parent.parent
# What would lead uv elsewhere than we say.
MISLEADING = re.compile(
    r"UV_(?:PYTHON|PROJECT|WORKING_DIR|VENV_\w+|REQUIRE_HASHES|PYTHON_PREFERENCE)|VIRTUAL_ENV|CONDA_PREFIX"
)


def main(arguments: list[str]) -> int:
    """Install what is missing. Returns 0, or 1 after one sentence on stderr."""
    files = [BASE / "requirements.txt", *([BASE / "requirements-dev.txt"] if "--dev" in arguments else [])]
    try:
        _install(Path(os.environ.get("VENV") or BASE / ".venv").absolute(), files)
    except Refusal as error:
        print(f"Airdeck cannot be installed: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Airdeck cannot be installed: {error.strerror} ({error.filename}).", file=sys.stderr)
        return 1
    return 0


def _install(venv: Path, files: list[Path]) -> None:
    """Nothing at all when the note of an earlier run says that this is there; no network then."""
    note = venv / ("installed-dev" if len(files) > 1 else "installed")
    if note.is_file() and note.read_text() == _digest(files) and python.fits(venv):
        return
    place = _existing(venv)
    if not os.access(place, os.W_OK | os.X_OK):
        raise Refusal(
            f"this user may not write into {place}: name a folder that may be, as in `STATE_DIR=~/airdeck make run`."
        )
    print(f"Installing Airdeck's packages into {venv}.", flush=True)
    note.unlink(missing_ok=True)
    venv.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".airdeck-", dir=venv.parent) as folder:
        environment = _environment(os.environ)
        uv = _uv(venv, Path(folder))
        if not python.fits(venv):
            python.make_venv(uv, venv, environment, os.environ.get("UV_PYTHON", ""))
        wheel = next(Path(folder).glob("uv-*.whl"), None)
        if wheel is not None:  # it is here already: 25 MB that need no second download
            _run_uv(uv, venv, environment, "--no-index", "--no-deps", str(wheel))
        for file in files:
            _run_uv(uv, venv, environment, "--require-hashes", "-r", str(file))
    note.write_text(_digest(files))
    (venv / "installed").write_text(_digest(files[:1]))


def _digest(files: list[Path]) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if not MISLEADING.fullmatch(name)}
    found = {**kept, **reach.for_uv(environ)}
    cache = Path(environ.get("UV_CACHE_DIR") or environ.get("XDG_CACHE_HOME") or os.path.expanduser("~"))
    if not os.access(_existing(cache), os.W_OK | os.X_OK):
        found["UV_NO_CACHE"] = "1"  # a user whose home is nowhere
    return found


def _existing(path: Path) -> Path:
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())


def _uv(venv: Path, folder: Path) -> Path:
    """A uv in `folder`: a copy of the environment's, which may be made again, or one that is fetched."""
    own = venv / "bin" / "uv"
    if (
        own.is_file()
        and subprocess.run([str(own), "--version"], capture_output=True, check=False).returncode == 0
    ):
        return Path(shutil.copy2(own, folder / "uv"))
    desired = fetch.pinned((BASE / "requirements.txt").read_text(encoding="utf-8"))
    return fetch.uv(desired, reach.read(os.environ), folder)


def _run_uv(uv: Path, venv: Path, environment: Mapping[str, str], *arguments: str) -> None:
    argv = [str(uv), "pip", "install", "--quiet", "--python", str(venv / "bin" / "python"), *arguments]
    done = subprocess.run(
        argv, env=dict(environment), cwd=BASE, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise Refusal(
            f"{python.reason(done.stderr)}: check this machine's network, its disk and UV_DEFAULT_INDEX."
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

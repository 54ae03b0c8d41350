"""Which Python the console runs on, and the virtual environment on it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from console.installer.refusal import Refusal
from console.kit.packages import how_to_install

SUPPORTED = ("3.13", "3.12")  # the best first; tested, and what requirements.txt was resolved for
SAY_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def fits(venv: Path) -> bool:
    """Whether the environment is there and its Python is one of SUPPORTED. One whose Python went away is not."""
    return _version(venv / "bin" / "python") in SUPPORTED


def make_venv(uv: Path, venv: Path, environment: Mapping[str, str], asked: str) -> None:
    """Make the environment again. `asked` is what UV_PYTHON names, or "". Raises Refusal.

    uv's own Python comes last: it is a download of another kind than packages, which many networks refuse.
    """
    if asked:
        found = _find(uv, environment, asked)
        if _version(Path(found)) not in SUPPORTED:
            raise Refusal(
                f"UV_PYTHON is {asked!r}, which is not a Python {' or '.join(SUPPORTED)} on this machine: unset it."
            )
    else:
        found = next(filter(None, (_find(uv, environment, version) for version in SUPPORTED)), "")
    how = ["--python", found] if found else ["--managed-python", "--python", SUPPORTED[0]]
    argv = [str(uv), "venv", "--quiet", "--no-project", "--clear", *how, str(venv)]
    done = subprocess.run(argv, env=dict(environment), stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == 0:
        return
    if found:
        raise Refusal(f"{reason(done.stderr)}: remove {venv} and run this again.")
    own = how_to_install(debian="python3.13", fedora="python3.13", arch="uv && uv python install 3.13")
    raise Refusal(
        f"Airdeck needs Python {' or '.join(reversed(SUPPORTED))}, none is on PATH, and uv could not fetch one of its "
        f"own: install it ({own}; Debian has it from version 13 on)."
    )


def reason(message: str) -> str:
    """The most relevant line of uv's complaint."""
    causes = re.findall(r"^(?:error|\s+cause): (.+)$", message, re.MULTILINE)
    return str(causes[-1] if causes else (message.strip().splitlines() or ["uv printed nothing"])[-1])[
        :300
    ].rstrip(".:")


def _find(uv: Path, environment: Mapping[str, str], desired: str) -> str:
    """The program of a Python that is installed, or "". Asks every one on PATH, so that shims do not hide others."""
    argv = [str(uv), "python", "find", "--system", "--no-project", "--no-python-downloads", desired]
    done = subprocess.run(argv, env=dict(environment), capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(python: Path) -> str:
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", SAY_VERSION], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip()

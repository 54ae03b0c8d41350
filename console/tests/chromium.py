"""A Chromium for the browser tests, before any test runs: `make test` calls this as python -m console.tests.chromium.

Debian's headless one is the best: it costs half of the CPU. It is installed where this user may do so; else any
Chromium on PATH serves, else playwright's own, which it downloads. SKIP_BROWSER=1 wants none.
"""

import os
import shutil
import subprocess
import sys

from console.kit.packages import how_to_install

# The first one renders the same as the others: it has no windows that nobody sees.
BEST = "chromium-headless-shell"
PROGRAMS = (BEST, "chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def skipped() -> bool:
    """Whether browser tests are to be left out, and counted as skipped."""
    return os.environ.get("SKIP_BROWSER", "") not in {"", "0"}


def program() -> str | None:
    """The Chromium on PATH, or None for playwright's own."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def main() -> int:
    """See that there is one. Returns 0, or 1 after one sentence."""
    if skipped() or shutil.which(BEST) or (_by_apt() and shutil.which(BEST)):
        return 0
    if program() or _starts() or (_by_playwright() and _starts()):
        return 0
    packages = how_to_install(debian=BEST, fedora="chromium", arch="chromium")
    print(
        f"The browser tests need a Chromium, and playwright cannot provide its own here: install one ({packages}), or "
        "leave them out with SKIP_BROWSER=1.",
        file=sys.stderr,
    )
    return 1


def _by_apt() -> bool:
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        return False
    print(f"Installing {BEST} for the browser tests.", flush=True)
    _quietly("apt-get", "update", "-qq", seconds=120)
    desired = [BEST] if program() else [BEST, "chromium"]
    return any(
        _quietly("apt-get", "install", "-y", "-qq", "--no-install-recommends", name) for name in desired
    )


def _by_playwright() -> bool:
    print("Downloading playwright's Chromium for the browser tests.", flush=True)
    return _quietly(sys.executable, "-m", "playwright", "install", "--only-shell", "chromium")


def _quietly(*argv: str, seconds: float = 300) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(argv, env=environment, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _starts() -> bool:
    """Whether playwright's own is there, with the libraries that it needs."""
    from playwright.sync_api import (
        Error,
        sync_playwright,
    )  # here: conftest.py wants `skipped` alone, and soon

    try:
        with sync_playwright() as playwright:
            playwright.chromium.launch(args=FLAGS).close()
    except Error:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())

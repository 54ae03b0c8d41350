"""How both jobs of packages are started, and what they share."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from uv import find_uv_bin

from deployments.dataplane.local.packages.clone import bytes_of_its_own
from deployments.dataplane.local.runtimes import runtimes
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.specs import STATE_TAG, Spec, base_environment

# uv keeps every package that was ever asked for. What no environment has any more may take this much.
MOST_UNUSED = 2 * 1024**3
CLEAN_SECONDS = 60.0


def job_spec(paths: StateDir, module: str, *arguments: str, environ: Mapping[str, str] = os.environ) -> Spec:
    """How a job of this room is started: a clean environment that keeps only the way to the package index."""
    network = {name: value for name, value in environ.items() if runtimes.NETWORK_VARIABLES.fullmatch(name)}
    return Spec(
        argv=(
            sys.executable,
            "-m",
            f"deployments.dataplane.local.packages.{module}",
            str(paths.root),
            *arguments,
        ),
        cwd=runtimes.PROJECT,
        env={**base_environment(environ), **network, STATE_TAG: str(paths.root), "PYTHONUNBUFFERED": "1"},
    )


def uv_cache(paths: StateDir) -> Path:
    """uv's cache: the one that UV_CACHE_DIR names, if hard links from there into environments are possible."""
    configured = os.environ.get("UV_CACHE_DIR")
    own = paths.runtimes / "cache"
    if not configured:
        return own
    near = next((folder for folder in (Path(configured), *Path(configured).parents) if folder.exists()), None)
    return (
        Path(configured) if near is not None and near.stat().st_dev == paths.runtimes.stat().st_dev else own
    )


def trim_cache(paths: StateDir) -> bool:
    """Empty uv's cache when what no environment shares with it has become too much; whether that was done. What
    environments have stays theirs, and is downloaded again for the next one. A cache that UV_CACHE_DIR names is not
    ours, and without a network nothing can be downloaded again."""
    cache = paths.runtimes / "cache"
    if uv_cache(paths) != cache or os.environ.get("UV_OFFLINE"):
        return False
    command = [find_uv_bin(), "cache", "clean", "--quiet", "--cache-dir", str(cache)]
    with suppress(OSError, subprocess.TimeoutExpired):  # others use it: uv waits for them
        if bytes_of_its_own(cache) > MOST_UNUSED:
            done = subprocess.run(command, capture_output=True, check=False, timeout=CLEAN_SECONDS)
            return done.returncode == 0
    return False

"""How both jobs of packages are started, and what they share."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from deployments.dataplane.local.runtimes import runtimes
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.specs import STATE_TAG, Spec, base_environment


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
    """uv's cache: the one that it is told to use, if hard links from there into environments are possible."""
    told = os.environ.get("UV_CACHE_DIR")
    own = paths.runtimes / "cache"
    if not told:
        return own
    near = next((folder for folder in (Path(told), *Path(told).parents) if folder.exists()), None)
    return Path(told) if near is not None and near.stat().st_dev == paths.runtimes.stat().st_dev else own

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
    """uv's cache: the one that UV_CACHE_DIR names, if hard links from there into environments are possible."""
    configured = os.environ.get("UV_CACHE_DIR")
    own = paths.runtimes / "cache"
    if not configured:
        return own
    near = next((folder for folder in (Path(configured), *Path(configured).parents) if folder.exists()), None)
    return (
        Path(configured) if near is not None and near.stat().st_dev == paths.runtimes.stat().st_dev else own
    )

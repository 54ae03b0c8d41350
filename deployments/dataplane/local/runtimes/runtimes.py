"""Airflow environments: one per runtime, installed once from its lock file, used by every Deployment.

An environment is made in a fresh folder and published by an atomic change of the symlink `current`; what is
not behind `current` is never used. Reading (is it there, how far is it) needs no lock.
"""

import os
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.local.runtimes.jobs import Job
from deployments.dataplane.local.runtimes.lock_files import lock_file
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.specs import STATE_TAG, Spec, base_environment

PROJECT = Path(__file__).resolve().parents[4]
# What decides how packages are reached. Values may hold a password, so they travel in the 0600 spec only.
NETWORK_VARIABLES = re.compile(
    r"(?:https?|all|no)_proxy|SSL_CERT_(?:FILE|DIR)|UV_(?:DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL|"
    r"FIND_LINKS|INSECURE_HOST|PYTHON_INSTALL_DIR|PYTHON_INSTALL_MIRROR|PYTHON_DOWNLOADS|NATIVE_TLS|SYSTEM_CERTS|"
    r"CACHE_DIR|OFFLINE|HTTP_TIMEOUT|HTTP_RETRIES|CONFIG_FILE|KEYRING_PROVIDER)",
    re.IGNORECASE,
)
SHORT = 16  # hex digits of a lock's digest in the name of its environment
COLD = "cold"  # a mark in an environment's folder
MIB_NEEDED = 1200  # 350 MiB installed, as much again in the package cache, and some room


@cache
def pythons(version: str) -> tuple[str, ...]:
    """The Pythons ("3.13") for which the runtime's lock holds: its Airflow supports them."""
    found = re.search(r"^# For Python: ([0-9. ]+)$", lock_file(version).read_text(), re.MULTILINE)
    if found is None:
        raise DataPlaneError(f"The lock file of runtime {version} names no Python. Update the console.")
    return tuple(found[1].split())


def environment(version: str, packages: str) -> str:
    """The name of the environment of a runtime with the packages of this digest: the runtime's own for ""."""
    return f"{version}-{packages[:SHORT]}" if packages else version


def current(paths: StateDir, version: str) -> Path:
    """The symlink to the published environment. Processes are started through it."""
    return paths.runtime(version) / "current"


def python(paths: StateDir, version: str) -> Path:
    """The interpreter of the published environment."""
    return current(paths, version) / "bin" / "python"


def installed(paths: StateDir, version: str) -> bool:
    """Whether the runtime can be used now."""
    return python(paths, version).exists()


def starts_cold(paths: StateDir, version: str) -> bool:
    """Whether a package in it runs code of its own whenever Python starts, which no warm parent may do for it."""
    return (paths.runtime(version) / COLD).exists()


def install_job(paths: StateDir, version: str) -> Job:
    """The job that installs the runtime."""
    return Job(f"runtime-{version}", paths.runtime(version))


def install_spec(
    paths: StateDir, version: str, airflow_version: str, environ: Mapping[str, str] = os.environ
) -> Spec:
    """How the install job is started: a clean environment that keeps only the way to the package index."""
    lock_file(version)
    network = {name: value for name, value in environ.items() if NETWORK_VARIABLES.fullmatch(name)}
    module = "deployments.dataplane.local.runtimes.install"
    return Spec(
        argv=(sys.executable, "-m", module, str(paths.root), version, airflow_version),
        cwd=PROJECT,
        env={**base_environment(environ), **network, STATE_TAG: str(paths.root), "PYTHONUNBUFFERED": "1"},
    )


PROBLEM = re.compile(r"^(?:error|\s+cause): (.+)$", re.MULTILINE)
PACKAGE = re.compile(
    r"`([A-Za-z0-9][\w.-]*(?:==[\w.+!-]+)?)`|/simple/([a-z0-9-]+)/|/([A-Za-z0-9_.]+-[\w.]+)-[\w.]+\.whl"
)


def explain(output: str, airflow_version: str) -> str:
    """One sentence out of uv's output: which package could not be installed, why, and what to do."""
    causes = PROBLEM.findall(output)
    text = "\n".join(causes)
    found = PACKAGE.search(text)
    package = next((group for group in found.groups() if group), "") if found else ""
    what = f"Installing Airflow {airflow_version} failed" + (f" at {package}" if package else "")
    if "No space left" in text or "Disk quota" in text:
        return f"{what}: the disk is full. Free at least {MIB_NEEDED} MiB."
    if "Hash mismatch" in text:
        return (
            f"{what}: the download is not what the lock file names (hash mismatch). Check the package index."
        )
    network = ("dns error", "tcp connect error", "error sending request", "timed out", "Connection re")
    if any(word in text for word in network):
        return f"{what}: the package index cannot be reached. Check this machine's network or proxy."
    reason = causes[-1].rstrip(".") if causes else "the installer was ended"
    return f"{what}: {reason[:300]}."

"""A state folder with a played runtime, an index and a supervisord, for tests of packages."""

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

from console.kit.files import write_private
from deployments.dataplane.local.packages import claims, names, resolve, store
from deployments.dataplane.local.packages.store import LocalPackages
from deployments.dataplane.local.runtimes import lock_files, runtimes
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.processes import tagged
from deployments.domain.code_packages import PackageLock
from deployments.domain.spec import RuntimeSpec
from deployments.tests.dataplane.local import played_runtime
from deployments.tests.dataplane.local.airflow_local import start_supervisord
from deployments.tests.dataplane.wheels import Index

VERSION = "3.3-1"
RUNTIME = RuntimeSpec(VERSION, "3.3.2")
RELEASES = ("calm-orbit-0012", "vivid-comet-0013")
SQLALCHEMY = lock_files.pins(VERSION)["sqlalchemy"]


class Machine:
    """A state folder with a played runtime, an index and a supervisord, and the packages of two Deployments."""

    def __init__(self, folder: Path) -> None:
        self.state = StateDir(folder / "s")
        self.state.create()
        self.python = played_runtime.make(self.state, VERSION)
        self.index = Index(folder / "simple")
        self.index.wheel("tiny", "1.0", None, "base-lib")
        self.index.wheel("base-lib", "1.0")
        self.index.wheel("old-friend", "1.0", None, "sqlalchemy<2")
        self.index.source("only-source", "1.0")
        self.supervisor = start_supervisord(self.state)
        self.environ = {**os.environ, "UV_DEFAULT_INDEX": self.index.url, "UV_HTTP_RETRIES": "0"}
        self.environ.pop("UV_CACHE_DIR", None)

    def packages(self, release: str = RELEASES[0], **environ: str) -> LocalPackages:
        return LocalPackages(self.state, self.supervisor, release, {**self.environ, **environ})

    def found(self, *lines: str, **environ: str) -> PackageLock:
        """What these lines come to. Raises PackagesRefused."""
        return until(lambda: self.packages(**environ).resolve(RUNTIME, lines).lock)

    def installed(self, lock: PackageLock, release: str = RELEASES[0]) -> Path:
        """The folder of the environment."""
        until(lambda: not self.packages(release).install(lock))
        return self.folder(lock)

    def folder(self, lock: PackageLock) -> Path:
        return self.state.runtime(runtimes.environment(lock.runtime, lock.digest))

    def asked(self, *lines: str) -> str:
        """The key of what was asked, with no job that works at it."""
        key = store.key_of(VERSION, lines)
        job = resolve.job_of(self.state, key)
        write_private(job.folder / resolve.ASKED, json.dumps({"runtime": VERSION, "lines": lines}))
        return key

    def reset(self) -> None:
        """Nothing but the runtime."""
        for group in {p.group for p in self.supervisor.processes()}:
            until(lambda group=group: self.supervisor.remove(group))
        self.state.forget_groups()
        for folder in ((self.state.runtimes / "resolved"), *names.of_packages(self.state)):
            shutil.rmtree(folder, ignore_errors=True)
        for release in RELEASES:
            self.state.deployment(release).mkdir(parents=True, exist_ok=True)
            (self.state.deployment(release) / claims.FILE).unlink(missing_ok=True)

    def close(self) -> None:
        for process in tagged(self.state.root):
            with suppress(psutil.Error):  # it has ended by itself
                process.send_signal(signal.SIGCONT)
        self.supervisor.shutdown()
        until(lambda: not self.state.supervisor_socket.exists())


def until(what, seconds=40):
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)
    return found


def said(python: Path, code: str) -> str:
    return subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True, env={}
    ).stdout.strip()

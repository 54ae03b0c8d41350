"""The PackageStore of this machine: two jobs of supervisord, and folders in which their results appear."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence

from console.kit.files import write_private
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.local.packages import claims, install, names, resolve
from deployments.dataplane.local.packages.uv_run import job_spec
from deployments.dataplane.local.runtimes import runtimes
from deployments.dataplane.local.runtimes.jobs import Job, advance
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.client import Supervisor
from deployments.dataplane.local.supervisor.specs import Spec
from deployments.dataplane.packages import PackagesRefused, Resolution
from deployments.domain.code_packages import PackageLock
from deployments.domain.spec import RuntimeSpec


class LocalPackages:
    """The packages of one Deployment. Answers and environments are shared by all Deployments of this machine."""

    def __init__(
        self,
        paths: StateDir,
        supervisor: Supervisor,
        release_name: str,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._paths, self._supervisor, self._release_name = paths, supervisor, release_name
        self._environ = environ

    def resolve(self, runtime: RuntimeSpec, requirements: Sequence[str]) -> Resolution:
        key = key_of(runtime.version, requirements)
        job = resolve.job_of(self._paths, key)
        answer = job.folder / resolve.FOUND
        if answer.exists():
            return Resolution(PackageLock(runtime.version, answer.read_text()))
        refused = job.folder / resolve.REFUSED
        if refused.exists():
            sentence = refused.read_text()
            shutil.rmtree(job.folder, ignore_errors=True)  # the next question is answered again
            raise PackagesRefused(sentence)
        if waiting := self._runtime(runtime):
            return Resolution(None, waiting)
        asked = {"runtime": runtime.version, "lines": sorted(requirements)}
        write_private(job.folder / resolve.ASKED, json.dumps(asked))
        spec = job_spec(self._paths, "resolve", key, environ=self._environ)
        return Resolution(None, self._advance(job, spec) or "Resolving the packages.")

    def install(self, lock: PackageLock) -> str:
        if not lock.digest:
            return ""
        name = runtimes.environment(lock.runtime, lock.digest)
        claims.claim(self._paths, self._release_name, lock.digest)
        if runtimes.installed(self._paths, name):
            return ""
        job = install.job_of(self._paths, name)
        write_private(job.folder / names.LOCK, lock.text)
        return self._advance(job, job_spec(self._paths, "install", name, environ=self._environ))

    def keep(self, digests: frozenset[str]) -> None:
        claims.keep(self._paths, self._release_name, digests)
        claims.sweep(self._paths, self._supervisor)

    def _runtime(self, runtime: RuntimeSpec) -> str:
        """An upgrade asks before its runtime is installed: what is waited for."""
        version, airflow_version = runtime.version, runtime.airflow_version
        if runtimes.installed(self._paths, version):
            return ""
        spec = runtimes.install_spec(self._paths, version, airflow_version, self._environ)
        return self._advance(runtimes.install_job(self._paths, version), spec)

    def _advance(self, job: Job, spec: Spec) -> str:
        """As `jobs.advance`; while a failed job waits for its next try, the error says why alone: passes try again."""
        status = job.status()
        if status.failed and status.wait(time.time()) > 0:
            raise DataPlaneError(status.sentence)
        return advance(job, spec, self._supervisor, self._paths)


def key_of(runtime: str, requirements: Sequence[str]) -> str:
    """The name of the answer to these requirements on that runtime."""
    asked = json.dumps([runtime, sorted(requirements)])
    return hashlib.sha256(asked.encode()).hexdigest()[: names.SHORT]

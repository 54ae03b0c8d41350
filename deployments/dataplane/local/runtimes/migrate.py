"""The migration job of one runtime: makes its template database. Run as: python -m … ROOT VERSION
AIRFLOW_VERSION

The admin URL comes in the environment (the spec file is 0600). 1. An empty draft database. 2. This runtime's
`airflow db migrate` on it. 3. The draft becomes the template, in one transaction. Killed before 3, the next
try drops the draft and begins again.
"""

import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from console.kit.files import write_private
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.local.runtimes import runtimes
from deployments.dataplane.local.runtimes.jobs import Job, JobStatus, begin
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.specs import STATE_TAG, Spec, base_environment
from deployments.dataplane.postgres import templates
from deployments.domain.log_lines import clean

URL_VARIABLE = "AIRDECK_MIGRATION_DATABASE_URL"
MIGRATION_SECONDS = 300
# "psycopg2.errors.DuplicateTable: relation "x" already exists", "KeyError: 'x'"
EXCEPTION_LINE = re.compile(r"(?:(?:\w+\.)+[A-Z]\w*|[A-Z]\w*(?:Error|Exception|Exit))(?::|$)")


def migrate_job(paths: StateDir, version: str) -> Job:
    """The job that makes the runtime's template database."""
    return Job(f"template-{version}", paths.runtime(version))


def migrate_spec(
    paths: StateDir,
    version: str,
    airflow_version: str,
    admin_url: str,
    environ: Mapping[str, str] = os.environ,
) -> Spec:
    """How the migration job is started."""
    module = "deployments.dataplane.local.runtimes.migrate"
    return Spec(
        argv=(sys.executable, "-m", module, str(paths.root), version, airflow_version),
        cwd=runtimes.PROJECT,
        env={**base_environment(environ), STATE_TAG: str(paths.root), URL_VARIABLE: admin_url},
    )


def main(root: str, version: str, airflow_version: str) -> int:
    """Make the template unless another process does. Returns the exit code."""
    paths = StateDir(Path(root))
    admin_url = os.environ.pop(URL_VARIABLE)
    template = templates.name_of(version)
    job = migrate_job(paths, version)
    with job.lock() as ours:
        if not ours:
            return 0
        status = begin(job, f"Preparing the database of Airflow {airflow_version} (once per runtime).")
        try:
            if not templates.exists(admin_url, template):
                url = templates.begin(admin_url, template, secrets.token_hex(24))
                run(paths, version, url, home=paths.runtime(version) / "migrate-home")
                templates.finish(admin_url, template)
        except DataPlaneError as error:
            job.say(replace(status, sentence=str(error), failed=True, at=time.time()))
            print(error, file=sys.stderr)
            return 1
        job.say(JobStatus())
    return 0


class MigrationFailed(DataPlaneError):
    """`airflow db migrate` failed. `str()` says why."""


def run(paths: StateDir, version: str, url: str, *, home: Path, seconds: float = MIGRATION_SECONDS) -> None:
    """Run this runtime's `airflow db migrate` on the database at `url`, in a home of its own. Raises MigrationFailed
    with the most relevant line."""
    # An airflow.cfg that is there keeps Airflow from writing one with generated secrets in it.
    write_private(home / "airflow.cfg", "")
    env = {
        **base_environment(),
        STATE_TAG: str(paths.root),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    command = [str(runtimes.python(paths, version)), "-m", "airflow", "db", "migrate"]
    try:
        done = subprocess.run(
            command,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MigrationFailed(f"airflow db migrate was not done after {seconds:g} s.") from None
    finally:
        shutil.rmtree(home, ignore_errors=True)
    if done.returncode != 0:
        print(done.stdout[-8000:])
        raise MigrationFailed(f"airflow db migrate failed: {relevant_line(done.stdout)}")


def relevant_line(output: str) -> str:
    """The line of a failed command's output that says why: the last that names an exception, else the last."""
    lines = [plain for line in output.splitlines() if (plain := clean(line).strip())]
    relevant = [line for line in lines if EXCEPTION_LINE.match(line)]
    return (relevant or lines or ["it printed nothing"])[-1][:300]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

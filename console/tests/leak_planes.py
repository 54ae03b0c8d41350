"""What data planes are handed of a Deployment: the files and processes of this machine, and Kubernetes manifests."""

import json
import stat
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from console.embedded import postgres
from console.tests.leaks import leaks, read_processes
from console.tests.services import STATE
from deployments.dataplane.contract import ClusterConfig, Outcome, Ref
from deployments.dataplane.kubernetes.cluster_settings import ClusterSettings
from deployments.dataplane.kubernetes.manifests import Inputs, render, template_objects
from deployments.dataplane.local.driver import LocalDriver
from deployments.dataplane.local.runtimes.runtimes import python
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.postgres import databases
from deployments.domain.spec import Release, RuntimeSpec, Secrets
from deployments.domain.states import Executor
from deployments.tests.dataplane.kubernetes.samples import RICH
from deployments.tests.dataplane.local.airflow_local import start_supervisord
from deployments.tests.templates import drop_template

RUNTIMES = (RuntimeSpec("0.4-1", "0.4.1"), RuntimeSpec("0.5-1", "0.5.1"))
# Stands for Python with Airflow, and for Redis: it migrates at once, never answers, and keeps what it was called with;
# in its home, when a fence is around it.
PROGRAM = """#!/bin/sh
{{ echo "$0 $*" >> {kept}; }} 2>/dev/null || echo "$0 $*" >> "$HOME/called"
case "$*" in *"db migrate"*) exit 0 ;; esac
sleep 600
"""
APART = {"variables", "sign_in_key", "registry_login"}  # searched for in parts, or not in a manifest
OWN_IMAGE = f"registry.example.org/team/airflow@sha256:{'a' * 64}"
REGISTRY, TEMPLATE = "canaryxregistryq7f3", "canaryxtemplateq7f3"
PATIENCE = 60.0


def run_locally(collector, release: Release, secrets: Secrets) -> None:
    """The real driver, supervisord and Postgres: make the Deployment, move it to another runtime, and remove it."""
    with TemporaryDirectory(prefix="airdeck-leaks-", dir="/tmp") as folder:
        state = StateDir(Path(folder))
        state.create()
        _make_programs(state)
        supervisor = start_supervisord(state)
        driver = LocalDriver(_config(state))
        ref = Ref(release.deployment_id, release.release_name)
        older, newer = (replace(release, runtime=runtime, ran_before=False) for runtime in RUNTIMES)
        try:
            for asked in (older, replace(newer, upgrade_from=older.runtime)):
                _until("components", lambda: driver.apply(ref, asked, secrets, {}), collector, state)  # noqa: B023
                collector.add("local said", repr(driver.observe(ref)))
                _read_until_all_run(collector, asked)
        finally:
            _until("files", lambda: driver.destroy(ref), collector, state)
            supervisor.shutdown()
            _wait_for(lambda: not state.supervisor_pid.exists())
            for runtime in RUNTIMES:
                drop_template(postgres.url(STATE, "postgres"), runtime.version)


def _read_until_all_run(collector, release: Release) -> None:
    """Supervisord starts a Python first, which then becomes the program: read both."""

    def done() -> bool:
        read_processes(collector, "local process")
        running = collector.all("local process")
        return all(f"celery worker --queues {queue.name}" in running for queue in release.queues)

    _wait_for(done)


def _config(state: StateDir) -> ClusterConfig:
    settings = {
        "state_dir": str(state.root),
        "supervisor_socket": str(state.supervisor_socket),
        "redis_server": str(state.root / "redis-server"),
        "console_port": "8000",
        "warm_starts": "false",  # the played runtime has no parent to fork from; its memory is searched in test_warm.py
    }
    return ClusterConfig("local", "local", postgres.url(STATE, "postgres"), settings)


def _make_programs(state: StateDir) -> None:
    for file in (*(python(state, runtime.version) for runtime in RUNTIMES), state.root / "redis-server"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(PROGRAM.format(kept=state.root / "called"))
        file.chmod(0o755)  # an account of the Deployment runs it


def _until(reached: str, step, collector, state: StateDir) -> None:
    """Take steps until nothing but `reached` is waited for; after each, collect what there is."""

    def done() -> bool:
        progress = step()
        collector.add("local said", repr(progress))
        read_files(collector, state)
        return progress.step == reached and progress.outcome is not Outcome.PROGRESSED

    _wait_for(done)


def _wait_for(done) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def read_files(collector, state: StateDir) -> None:
    """Every name and every content, but what programs read who are to know: environments in spec files, and secrets/.
    Both are their owner's alone."""
    for file in state.root.rglob("*"):
        collector.add("local file", str(file))
        try:
            if not file.is_file():
                continue
            text, mode = file.read_text(errors="replace"), stat.S_IMODE(file.stat().st_mode)
        except FileNotFoundError:
            continue  # jobs run meanwhile
        if file.parent.name == "secrets":
            # The group is that of the Deployment's own account, where there is one.
            assert mode == (0o640 if file.stat().st_gid else 0o600), file
        elif file.suffix == ".json" and "env" in (spec := json.loads(text)):
            assert mode == 0o600, file
            spec.pop("env")
            collector.add("local file", f"{' '.join(spec['argv'])}\n{json.dumps(spec)}")
        else:
            collector.add("local group" if file.parent == state.groups else "local file", text)


def render_manifests(collector, release: Release, secrets: Secrets) -> None:
    """Under every executor, awake and asleep, in a cluster in which everything is set, with a registry's password, and
    with an image of its own that is pulled by a login of its own."""
    registry = json.dumps({"auths": {"mirror.example": {"auth": REGISTRY}}})
    settings = ClusterSettings.of({**RICH, "image_pull_secret": registry})
    admin = "postgresql://admin@10.9.0.5/postgres"
    name = databases.database_name(release.release_name)
    url = databases.url(admin, database=name, user=name, password=secrets.database_password)
    draft = databases.url(admin, database="draft", user="draft", password=TEMPLATE)
    found = list(template_objects(release.runtime, settings, draft))
    for executor in Executor:
        queues = release.queues if executor is Executor.CELERY else ()
        for hibernating in (False, True):
            asked = replace(
                release, executor=executor, queues=queues, hibernating=hibernating, image=OWN_IMAGE
            )
            inputs = Inputs(asked, secrets, settings, url, url)
            rendered = render(inputs)
            collector.add("repr", repr((asked, secrets, settings, inputs, rendered)))
            found += [each for _, objects in rendered.phases for each in objects]
    for each in found:
        if each["kind"] != "Secret":
            collector.add(f"manifest {each['kind']}", json.dumps(each))
    inside = {
        **{name: value for name, value in vars(secrets).items() if name not in APART},
        **secrets.variables,
    }
    (login,) = json.loads(secrets.registry_login)["auths"].values()
    inside["login"] = login["password"]
    inside |= {"registry": REGISTRY, "template": TEMPLATE}
    stored = json.dumps([each for each in found if each["kind"] == "Secret"])
    assert set(leaks(stored, inside)) == set(inside)  # the search finds what is there

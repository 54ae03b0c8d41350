"""What hostile code is aimed at: a neighbour's folder, the console's keys, everybody's sockets. See `hostile`."""

import json
import os
import shutil
from pathlib import Path

from console.embedded import postgres
from console.tests.services import STATE
from deployments.dataplane.local.fence import landlock
from deployments.dataplane.local.fence.ways import Isolation
from deployments.dataplane.local.steps import warm_parents
from deployments.tests.dataplane.contract import Case
from deployments.tests.dataplane.local import hostile
from deployments.tests.dataplane.local.airflow_local import PASSWORD, LocalHarness, rows, task_logs, until

MARK = PASSWORD  # the word that every secret here holds, supervisord's among them
THEIRS = "calm-orbit-0002"
KEY = STATE.keys / "canary"
SCRIPT = Path(hostile.__file__).read_text()
SECRETS = ("secrets/redis.conf", "home/notes.txt", "tmp/notes.txt", "dags/notes.py")

# Where hostile code runs in an Airflow, each with a file of what it reached.
PLACES = ("plugin", "parsing", "task", "subprocess")
# Once in each place: a DAG file is parsed again and again.
PLUGIN = """
import os
from airflow.plugins_manager import AirflowPlugin
import hostile
if not os.path.exists("{home}/found-plugin.json"):
    hostile.run("{home}/targets.json", "{home}/found-plugin.json")
class Hostile(AirflowPlugin):
    name = "hostile"
"""
DAG = """
import os, subprocess, sys
from datetime import datetime
from airflow.sdk import DAG, task
import hostile
TARGETS, FOUND = "{home}/targets.json", "{home}/found-%s.json"
if not os.path.exists(FOUND % "parsing"):
    hostile.run(TARGETS, FOUND % "parsing")
with DAG("hostile", schedule="@once", start_date=datetime(2024, 1, 1), is_paused_upon_creation=False):
    @task
    def work():
        hostile.run(TARGETS, FOUND % "task")
        subprocess.run([sys.executable, hostile.__file__, TARGETS, FOUND % "subprocess"], check=True)
    work()
"""


def write_hostile_code(harness: LocalHarness, case: Case) -> None:
    """Into the Deployment's folders of DAGs and plugins. Plugins are read by programs that start afterwards."""
    driver = harness.new_driver()
    ours = STATE.deployment(case.ref.release_name)
    lay_out(THEIRS)
    lay_out(case.ref.release_name)
    version = case.release.runtime.version
    parent = int(Path(warm_parents.contact(STATE, version)["ready"]).read_text())
    document = targets(
        ours,
        driver._fencing.isolation(version),
        pids=[parent],
        ports=[8000, 20_001],
        warm=[warm_parents.contact(STATE, version)],
    )
    home = str(ours / "home")
    owner = (ours / "home").stat().st_uid
    for name, text in {
        "home/targets.json": json.dumps(document),
        "plugins/hostile.py": SCRIPT,
        "plugins/hostile_plugin.py": PLUGIN.replace("{home}", home),
        "dags/hostile_dag.py": DAG.replace("{home}", home),
    }.items():
        (ours / name).write_text(text)
        os.chown(ours / name, owner, -1)


def what_hostile_code_reached(harness: LocalHarness, case: Case) -> dict[str, str]:
    """In all of PLACES, once its run has succeeded."""
    ours = STATE.deployment(case.ref.release_name)
    ended = "SELECT state FROM dag_run WHERE dag_id = 'hostile' AND state IN ('success', 'failed')"
    state = until(lambda: rows(case, ended), seconds=240)  # four processes share the cores
    assert state == [("success",)], task_logs(str(ours / "dags"))
    way = harness.new_driver()._fencing.isolation(case.release.runtime.version)
    files = {place: ours / "home" / f"found-{place}.json" for place in PLACES}
    until(lambda: all(file.exists() for file in files.values()))
    found = {
        f"{place}: {name}": what
        for place, file in files.items()
        for name, what in left(json.loads(file.read_text()), way).items()
    }
    for name in ("plugins/hostile_plugin.py", "plugins/hostile.py", "dags/hostile_dag.py"):
        (ours / name).unlink()
    clear(THEIRS)
    return found


def lay_out(release: str) -> None:
    """Secrets in a Deployment's folder, in every place that has some; theirs and the console's belong to whoever they
    belong to in a real one."""
    folder = STATE.deployment(release)
    KEY.write_text(MARK)
    for name in ("specs/canary.json", "upgrade/canary.spec.json", "logs/canary.log", *SECRETS):
        if release != THEIRS and name in SECRETS:
            continue
        file = folder / name
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_text(MARK)
        file.chmod(0o600)
        owner = file.parent.stat().st_uid
        os.chown(file, owner, -1)


def clear(release: str) -> None:
    """Remove a Deployment that was only laid out."""
    KEY.unlink(missing_ok=True)
    shutil.rmtree(STATE.deployment(release), ignore_errors=True)
    shutil.rmtree(STATE.sockets(release), ignore_errors=True)


def _folders(ours: Path, theirs: Path) -> list[str]:
    console = (STATE.root, STATE.keys, STATE.run_dir, STATE.groups, STATE.warm, STATE.deployments)
    names = ("", "home", "dags", "code", "logs", "secrets", "tmp", "config")
    return [
        *map(str, console),
        *(str(ours / name) for name in ("specs", "upgrade")),
        *(str(theirs / name) for name in names),
        str(STATE.sockets(THEIRS)),
    ]


def _files(ours: Path) -> list[str]:
    names = ("logs/canary.log", "specs/canary.json", "config/airdeck_bundle.py", "secrets/redis.conf")
    return [*(str(ours / name) for name in names), str(STATE.keys / "secret_key")]


def targets(
    ours: Path, way: Isolation, *, pids: list[int], ports: list[int], warm: list[dict], **more
) -> dict:
    """All that the code of the Deployment in the folder `ours` must not reach. What a way cannot prevent is named in
    ADR 24 and left out."""
    theirs = STATE.deployment(THEIRS)
    return {
        "mark": MARK,
        "own": str(ours / "home"),
        "secrets": [
            *(str(KEY), str(STATE.supervisor_password), str(STATE.supervisor_config)),
            *(
                str(f / name)
                for f in (ours, theirs)
                for name in ("specs/canary.json", "upgrade/canary.spec.json")
            ),
            *(str(theirs / name) for name in SECRETS),
        ],
        "folders": _folders(ours, theirs),
        "files": _files(ours),
        "pids": [int(STATE.supervisor_pid.read_text()), os.getpid(), *pids],
        "homes": ["/root", *map(str, Path("/home").glob("*"))]
        if way.landlock
        else ["/root"] * (os.getuid() == 0),
        "supervisor": str(STATE.supervisor_socket),
        "redis": [str(STATE.redis_socket)],
        "postgres": str(next(postgres.socket_dir(STATE).glob(".s.PGSQL.*[0-9]"))),
        "warm": warm,
        "ports": ports if way.landlock >= landlock.KNOWS_PORTS else [],
        "abstract": [],
        "memory": [],
        "segments": [],
        **more,
    }


def left(found: dict[str, str], way: Isolation) -> dict[str, str]:
    """What was reached and may not be. Who has an account alone may list these; nothing in there can be opened."""
    listed = {"shared_memory list", "temporary_folders /tmp", "temporary_folders /var/tmp"}
    return {name: what for name, what in found.items() if way.landlock or name not in listed}

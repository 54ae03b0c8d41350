"""A user's variables on their way to the processes of the local data plane: byte for byte, and nowhere else. Real
files, a real supervisord, a real `launch.py`; only Airflow is played, by a program that notes its environment."""

import json
import os
import stat
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from deployments.dataplane.local import environment
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.processes import Processes
from deployments.domain.spec import Release, Secrets
from deployments.domain.states import Executor
from deployments.tests.dataplane.local.airflow_local import start_supervisord
from deployments.tests.dataplane.local.test_environment import layout, release

CANARY = "canary-c0ffee"
VALUES = {
    "NEWLINES": f"{CANARY}\n[program:evil]\ncommand=/bin/true\r\n\n",
    "PERCENT": f"{CANARY} 100% %(ENV_HOME)s %%",
    "QUOTES": f"{CANARY} '\"`$HOME$(id) \\ \\n ; #",
    "OTHER_SCRIPTS": f"{CANARY} Grüße 世界 🎿 \u2028",
    "BLANKS": f"  {CANARY}\t ",
    "LONG": CANARY + "x" * 32_000,
    "EMPTY": "",
}
PLAYER = """#!{python}
import os, sys, time
ARGUMENTS = sys.argv[3:] if sys.argv[1] == "-m" else sys.argv[2:]
with open("{seen}/draft", "wb") as file:
    file.write(open("/proc/self/environ", "rb").read())
os.rename("{seen}/draft", "{seen}/" + ARGUMENTS[0] + "." + str(os.getpid()))
print("started", flush=True)
time.sleep(1000)
"""


@pytest.fixture
def state(tmp_path):
    made = StateDir(tmp_path / "s")
    made.create()
    supervisor = start_supervisord(made)
    yield made, supervisor
    supervisor.shutdown()
    deadline = time.monotonic() + 60
    while made.supervisor_socket.exists():
        assert time.monotonic() < deadline, "supervisord did not end"
        time.sleep(0.05)


def wait_for(what):
    deadline = time.monotonic() + 60
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def given(secret: bool, value: str = "") -> tuple[Release, Secrets]:
    """A Release with the values as plain or as secret variables."""
    values = {**VALUES, **({"EMPTY": value} if value else {})}
    asked = replace(release(Executor.LOCAL), environment={} if secret else values, scheduler_replicas=1)
    mine = values if secret else {}
    return asked, Secrets("FERNET", "JWT", "API", "DATABASE", "REDIS", "ADMIN", "SIGN-IN", variables=mine)


def environment_of(file: Path) -> dict[bytes, bytes]:
    pairs = (pair.partition(b"=") for pair in file.read_bytes().split(b"\0") if pair)
    return {key: value for key, _, value in pairs}


@pytest.mark.thorough
def test_values_arrive_byte_for_byte_and_stand_nowhere_else(state, tmp_path) -> None:
    paths, supervisor = state
    seen = tmp_path / "seen"
    seen.mkdir()
    player = tmp_path / "python"
    player.write_text(PLAYER.format(python=sys.executable, seen=seen))
    player.chmod(0o700)
    asked, secrets = given(secret=True)
    folder = paths.deployment(asked.release_name)
    (folder / "home").mkdir(parents=True)
    where = replace(layout(), state_dir=paths.root, folder=folder, python=player, base={"PATH": os.defpath})
    processes = Processes(paths, supervisor, asked.release_name)
    programs = ("scheduler-1", "triggerer")

    def specs(values: Secrets):
        whole = environment.static_specs(asked, values, where)
        return {name: whole[name] for name in programs}

    processes.write_specs(specs(secrets))
    processes.add(programs)
    for name in ("scheduler", "triggerer"):
        (file,) = wait_for(lambda name=name: list(seen.glob(f"{name}.*")))
        found = environment_of(file)
        assert {key: found[key.encode()].decode() for key in VALUES} == VALUES

    # A changed secret alone is another spec, so the program is started anew; the same secret is not.
    known = processes.known()
    assert not processes.changed("triggerer", known["triggerer"], specs(secrets)["triggerer"])
    other = given(secret=True, value="now-set")[1]
    assert processes.changed("triggerer", known["triggerer"], specs(other)["triggerer"])

    pids = [info.pid for info in known.values()]
    assert len(pids) == 2
    everywhere = [
        path.read_bytes() for pid in (*pids, os.getpid()) for path in [Path(f"/proc/{pid}/cmdline")]
    ]
    specs_folder = folder / "specs"
    files = [each for each in paths.root.rglob("*") if each.is_file() and specs_folder not in each.parents]
    # Among them supervisord's configuration and log, and the programs' logs.
    everywhere += [file.read_bytes() for file in files]
    assert len(everywhere) > 5
    assert not any(CANARY.encode() in text for text in everywhere)
    for file in specs_folder.glob("*.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert CANARY in file.read_text()


def test_plain_and_secret_variables_give_the_same_environment() -> None:
    as_plain, as_secret = (
        environment.airflow_environment(*given(secret), layout()) for secret in (False, True)
    )
    assert as_plain == as_secret
    assert VALUES.items() <= as_plain.items()


def test_ours_wins_over_a_variable_of_either_kind() -> None:
    for secret in (False, True):
        asked, secrets = given(secret)
        theirs = {"AIRFLOW__CORE__FERNET_KEY": "theirs", "AIRFLOW_HOME": "/theirs", "PATH": "/theirs"}
        asked = replace(asked, environment={} if secret else theirs)
        secrets = replace(secrets, variables=theirs if secret else {})
        found = environment.airflow_environment(asked, secrets, layout())
        assert found["AIRFLOW__CORE__FERNET_KEY"] == "FERNET"
        assert found["AIRFLOW_HOME"] != "/theirs"


def test_no_argument_holds_a_value() -> None:
    for secret in (False, True):
        asked, secrets = given(secret)
        text = json.dumps([spec.argv for spec in environment.static_specs(asked, secrets, layout()).values()])
        assert CANARY not in text

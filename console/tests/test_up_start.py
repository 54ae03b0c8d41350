"""What `manage.py up` waits for while it starts, and for how long. No server runs here."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from console.embedded import preflight, up
from console.embedded.signals import Signals
from console.management.commands import bootstrap
from deployments.dataplane.contract import DataPlaneUnreachable
from deployments.dataplane.local.runtimes import environments
from deployments.dataplane.local.state_dir import StateDir


class SlowWeb:
    """supervisord with a web process that lives on for a few looks, as one whose streams are open does."""

    def __init__(self) -> None:
        self.looks = 3
        self.asked: list[str] = []

    def stop(self, name: str, *, wait: bool = False) -> None:
        self.asked.append(name)
        if wait:
            raise DataPlaneUnreachable("It takes longer than this call.")

    def processes(self) -> list[SimpleNamespace]:
        self.looks -= 1
        return [
            SimpleNamespace(group="worker", alive=True),
            SimpleNamespace(group="web", alive=self.looks > 0),
        ]


@pytest.fixture
def run(tmp_path) -> Iterator[up._Run]:
    state = StateDir(tmp_path / "state")
    state.create()
    with Signals() as signals:
        made = up._Run(preflight.StartPlan(state, 8000, Path("/usr/bin/redis-server")), signals)
        made.daemon = SimpleNamespace(poll=lambda: None)
        yield made


def test_a_preparation_that_takes_longer_than_a_start_is_waited_for(run, monkeypatch, capsys):
    monkeypatch.setattr(up, "READY_SECONDS", 0.05)
    monkeypatch.setattr(up, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(up.programs, "BASE", run.state.root)
    (run.state.root / "manage.py").write_text("import time; time.sleep(0.5)")
    assert run._bootstrap({}) is False
    log = run.state.logs / "bootstrap.log"
    assert capsys.readouterr().err == f"Airdeck is still preparing the database (see {log}).\n"


def test_environments_that_were_replaced_or_never_finished_are_removed_at_the_start(run):
    runtime, other = run.state.runtime("3.3-1"), run.state.runtime("3.2-1")
    for folder in (
        runtime / "env-old",
        runtime / "env-new",
        other / "env-half",
        run.state.runtimes / "cache",
    ):
        folder.mkdir(parents=True)
    environments.publish(runtime, runtime / "env-old")
    environments.publish(runtime, runtime / "env-new")  # the Python of the old one had gone
    run._recover()
    left = {str(path.relative_to(run.state.runtimes)) for path in run.state.runtimes.glob("*/*")}
    assert left == {"3.3-1/current", "3.3-1/env-new"}
    assert (run.state.runtimes / "cache").is_dir()


def test_a_page_that_does_not_come_is_given_up(run, monkeypatch):
    monkeypatch.setattr(up, "READY_SECONDS", 0.05)
    with pytest.raises(up.Broken, match="the first page took longer"):
        run._until(lambda: False, "the first page", run.state.logs / "web.log")


def test_a_web_process_that_ends_slowly_stops_no_start(run):
    run.supervisor = SlowWeb()
    run._end_early_web()
    assert run.supervisor.asked == ["web:web"]
    assert run.supervisor.looks == 0


def test_postgres_that_replays_its_log_is_waited_for(monkeypatch):
    words = iter(
        ["Connection refused", *["FATAL: the database system is starting up"] * 8, "Connection refused"]
    )
    connected, now = object(), [0.0]

    def connect(*_, **__):
        now[0] += 1
        for word in words:
            raise psycopg.OperationalError(word)
        return connected

    monkeypatch.setattr(psycopg, "connect", connect)
    monkeypatch.setattr(bootstrap, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=lambda _: None))
    monkeypatch.setattr(bootstrap, "POSTGRES_SECONDS", 3.0)
    assert bootstrap._connect("postgresql://") is connected


def test_postgres_that_says_nothing_is_given_up(monkeypatch):
    def connect(*_, **__):
        raise psycopg.OperationalError("Connection refused")

    monkeypatch.setattr(psycopg, "connect", connect)
    monkeypatch.setattr(bootstrap, "POSTGRES_SECONDS", 0.1)
    with pytest.raises(bootstrap.CommandError, match="did not answer within"):
        bootstrap._connect("postgresql://")

"""Task logs are dropped by age and by size, oldest first, and nothing that is written to."""

import os
import time
from pathlib import Path

import pytest

from deployments.dataplane.local import task_logs
from deployments.dataplane.local.task_logs import DAY, Keeping, keep


@pytest.fixture
def logs(tmp_path) -> Path:
    for name in (*task_logs.FOLDERS, "other"):
        (tmp_path / name).mkdir()
    return tmp_path


def write(logs: Path, name: str, age: float, size: int = 10) -> Path:
    file = logs / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * size)
    when = time.time() - age
    os.utime(file, (when, when))
    os.utime(file.parent, (when, when))
    return file


def test_what_is_older_than_30_days_goes_with_the_folders_that_it_leaves_empty(logs) -> None:
    old = write(logs, "tasks/dag_id=a/run_id=b/attempt=1.log", 31 * DAY)
    parsing = write(logs, "dags/2026-10-01/a.py.log", 31 * DAY)
    young = write(logs, "tasks/dag_id=a/run_id=c/attempt=1.log", 29 * DAY)
    component = write(logs, "scheduler-1.log", 99 * DAY)
    other = write(logs, "other/a.log", 99 * DAY)
    assert keep(logs, Keeping()) == 2
    assert not old.parent.exists() or not list(old.parent.iterdir())
    assert not parsing.exists()
    assert all(file.exists() for file in (young, component, other))
    assert (logs / "tasks").is_dir()


def test_of_too_much_the_oldest_goes_and_never_what_is_being_written(logs) -> None:
    size = 600 * 1024
    files = [write(logs, f"tasks/{n}.log", (5 - n) * DAY, size) for n in range(4)]
    running = write(logs, "tasks/running.log", 60, 3 * size)
    assert keep(logs, Keeping(mib=2)) == 4
    assert running.exists()
    assert not any(file.exists() for file in files)
    (logs / ".kept").unlink()
    kept = [write(logs, f"tasks/{n}.log", (5 - n) * DAY, size) for n in range(4)]
    running.unlink()
    assert keep(logs, Keeping(mib=2)) == 1
    assert [file.exists() for file in kept] == [False, True, True, True]


def test_it_looks_once_an_hour_and_goes_on_where_its_time_was_up(logs, monkeypatch) -> None:
    for number in range(5):
        write(logs, f"tasks/{number}.log", 40 * DAY)
    monkeypatch.setattr(task_logs, "BUDGET_SECONDS", -1.0)
    assert keep(logs, Keeping()) == 1
    monkeypatch.setattr(task_logs, "BUDGET_SECONDS", 2.0)
    assert keep(logs, Keeping()) == 4
    write(logs, "tasks/late.log", 40 * DAY)
    assert keep(logs, Keeping()) == 0
    assert keep(logs, Keeping(), now=time.time() + task_logs.EVERY_SECONDS + 1) == 1


def test_without_logs_there_is_nothing_to_do(tmp_path) -> None:
    assert keep(tmp_path / "never", Keeping()) == 0
    assert not (tmp_path / "never").exists()


def test_a_folder_that_is_a_link_leads_to_nobody_else_s_files(logs, tmp_path_factory) -> None:
    """Code of the Deployment may make one there."""
    others = tmp_path_factory.mktemp("others")
    theirs = write(others, "sub/keys.log", 99 * DAY)
    (logs / "tasks" / "dag_id=a").symlink_to(others)
    (logs / "tasks" / "loose.log").symlink_to(theirs)
    keep(logs, Keeping())
    (logs / ".kept").unlink(missing_ok=True)
    keep(logs, Keeping(mib=0))
    assert theirs.exists()
    assert theirs.parent.exists()


def test_a_folder_that_becomes_a_link_while_it_is_walked_leads_to_nobody_else_s_files(
    logs, tmp_path_factory, monkeypatch
) -> None:
    others = tmp_path_factory.mktemp("others")
    theirs = write(others, "a.log", 99 * DAY)
    write(logs, "tasks/run/a.log", 99 * DAY)
    unlink = os.unlink

    def swapped(name, *, dir_fd):
        (logs / "tasks" / "run").rename(logs / "tasks" / "away")
        (logs / "tasks" / "run").symlink_to(others)
        unlink(name, dir_fd=dir_fd)

    monkeypatch.setattr(task_logs.os, "unlink", swapped)
    assert keep(logs, Keeping()) == 1
    assert theirs.exists()
    assert not list((logs / "tasks" / "away").iterdir())

"""Task logs are dropped by age and by size, oldest first, and nothing that is written to."""

import os
import time
from pathlib import Path

import pytest

from deployments.dataplane import task_log_files, task_log_lines
from deployments.dataplane.contract import LOG_BEGINNING, TaskLogGone
from deployments.dataplane.local import hourly, task_logs
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
    monkeypatch.setattr(task_logs, "BUDGET_SECONDS", 60.0)
    assert keep(logs, Keeping()) == 4
    write(logs, "tasks/late.log", 40 * DAY)
    assert keep(logs, Keeping()) == 0
    assert keep(logs, Keeping(), now=time.time() + hourly.EVERY_SECONDS + 1) == 1


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


def test_no_link_leads_out_of_the_logs(tmp_path) -> None:
    """Tasks write into these folders."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret\n")
    tasks = tmp_path / "logs" / "tasks"
    (tasks / "dag_id=a").mkdir(parents=True)
    (tasks / "dag_id=a" / "attempt=1.log").symlink_to(secret / "key")
    (tasks / "dag_id=b").symlink_to(secret)
    os.mkfifo(tasks / "dag_id=a" / "pipe.log")
    (tasks / "dag_id=a" / "fine.log").write_text("fine\n")
    found = task_logs.listed(tmp_path / "logs", "", 10)
    assert [each.path for each in found.logs] == ["dag_id=a/fine.log"]
    for path in ("dag_id=a/attempt=1.log", "dag_id=b/key", "dag_id=a/pipe.log", "dag_id=a"):
        with pytest.raises(TaskLogGone):
            task_logs.read(tmp_path / "logs", path, lines=10, after="")


def test_a_line_that_is_being_written_is_waited_for_and_one_that_stays_so_is_shown(tmp_path) -> None:
    place = tmp_path / "logs" / "tasks" / "a.log"
    place.parent.mkdir(parents=True)
    place.write_text("whole\nhal")
    tail = task_logs.read(tmp_path / "logs", "a.log", lines=10, after="")
    assert [line.text for line in tail.lines] == ["whole"]
    with place.open("a") as file:
        file.write("f\n")
    more = task_logs.read(tmp_path / "logs", "a.log", lines=10, after=tail.cursor)
    assert [line.text for line in more.lines] == ["half"]
    with place.open("a") as file:
        file.write("killed he")
    os.utime(place, (time.time() - 5,) * 2)
    last = task_logs.read(tmp_path / "logs", "a.log", lines=10, after=more.cursor)
    assert [line.text for line in last.lines] == ["killed he"]


def test_a_log_of_one_endless_line_is_read_in_parts(tmp_path) -> None:
    place = tmp_path / "logs" / "tasks" / "a.log"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"x" * (3 * task_log_lines.PART_BYTES) + b"\nend\n")
    seen, cursor = [], LOG_BEGINNING
    while (tail := task_logs.read(tmp_path / "logs", "a.log", lines=10, after=cursor)).lines:
        seen, cursor = seen + [line.text[:3] for line in tail.lines], tail.cursor
    assert seen[-1] == "end"
    assert set(seen[:-1]) == {"xxx"}


def test_a_list_that_takes_too_long_says_that_it_is_not_whole(tmp_path) -> None:
    for number in range(30):
        place = tmp_path / f"dag_id={number}" / "attempt=1.log"
        place.parent.mkdir()
        place.write_text("x")
    found, whole = task_log_files.listed(tmp_path, "", 100, seconds=-1.0)
    assert (len(found) < 30, whole) == (True, False)
    assert task_log_files.listed(tmp_path, "", 100)[1] is True
    assert task_log_files.listed(tmp_path / "none", "", 100) == ((), True)

"""What tasks leave in their folder for temporary files goes after ten days."""

import os
import socket
import time
from pathlib import Path

import pytest

from deployments.dataplane.contract import ClusterConfig, Ref
from deployments.dataplane.local import temporary
from deployments.dataplane.local.driver import LocalDriver
from deployments.dataplane.local.hourly import EVERY_SECONDS
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.temporary import OLD_SECONDS, clear

# The kernel alone says when a file was changed last, so the clock is moved and not the files.
LATER = OLD_SECONDS + 60


@pytest.fixture
def tmp(tmp_path: Path) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


def test_what_nothing_used_for_ten_days_goes_with_its_folders(tmp_path: Path, tmp: Path) -> None:
    now = time.time()
    (tmp / "airflowtmp1" / "inner").mkdir(parents=True)
    (tmp / "airflowtmp1" / "inner" / "script.sh").write_text("exit 1")
    assert clear(tmp_path, now + OLD_SECONDS - 60) == 0
    assert clear(tmp_path, now + LATER + EVERY_SECONDS) == 3
    assert list(tmp.iterdir()) == []
    assert tmp.is_dir()


def test_what_was_read_lately_and_what_listens_stays(tmp_path: Path, tmp: Path) -> None:
    moment = time.time() + LATER
    (tmp / "model.bin").write_text("weights")
    os.utime(tmp / "model.bin", (moment - 5, time.time()))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp / "s"))
        assert clear(tmp_path, moment) == 0
        assert sorted(file.name for file in tmp.iterdir()) == ["model.bin", "s"]


def test_a_link_goes_and_what_it_leads_to_stays(tmp_path: Path, tmp: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine").touch()
    (tmp / "folder").symlink_to(elsewhere)
    (tmp / "file").symlink_to(elsewhere / "mine")
    assert clear(tmp_path, time.time() + LATER) == 2
    assert list(tmp.iterdir()) == []
    assert (elsewhere / "mine").exists()


def test_it_looks_once_an_hour_and_goes_on_where_its_time_was_up(
    tmp_path: Path, tmp: Path, monkeypatch
) -> None:
    moment = time.time() + LATER
    for name in "ab":
        (tmp / name).mkdir()
        (tmp / name / "file").touch()
    monkeypatch.setattr(temporary, "BUDGET_SECONDS", -1.0)
    assert clear(tmp_path, moment) == 1
    monkeypatch.setattr(temporary, "BUDGET_SECONDS", 60.0)
    assert clear(tmp_path, moment) == 3
    (tmp / "late").touch()
    assert clear(tmp_path, moment + 60) == 0
    assert clear(tmp_path, moment + EVERY_SECONDS) == 1


def test_the_upkeep_of_a_deployment_sees_to_it(tmp_path: Path, time_machine) -> None:
    paths = StateDir(tmp_path / "state")
    paths.create()
    settings = {
        "state_dir": str(paths.root),
        "supervisor_socket": str(paths.supervisor_socket),
        "redis_server": "/usr/bin/redis-server",
        "console_port": "8000",
    }
    folder = paths.deployment("calm-orbit-0012") / "tmp"
    folder.mkdir(parents=True)
    (folder / "left").touch()
    time_machine.move_to(time.time() + LATER)
    driver = LocalDriver(ClusterConfig("local", "local", "postgresql://nowhere", settings))
    driver.upkeep(Ref("1", "calm-orbit-0012"))
    assert list(folder.iterdir()) == []


def test_without_the_folder_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert clear(tmp_path / "never") == 0
    assert not (tmp_path / "never").exists()

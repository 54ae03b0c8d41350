"""CPU and memory of a Deployment's programs, from the process table."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deployments.dataplane.local.health import usage
from deployments.dataplane.reading import Since

MEMORY = 40 * 2**20
# A child that holds memory, and spends half a second of a core before it says so.
CHILD = f"""
import time
held = b"x" * {MEMORY}
while time.process_time() < 0.5: pass
"""
PARENT = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {CHILD + "print('spent', flush=True); time.sleep(60)"!r}])
child.wait()
"""


@pytest.fixture(autouse=True)
def _looks_each_time(monkeypatch):
    monkeypatch.setattr(usage, "FRESH_SECONDS", -1.0)


@pytest.fixture
def family():
    """A program with a child that has spent its CPU time."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    yield process
    os.killpg(process.pid, 9)
    process.communicate()


def note(folder: Path, pid: int) -> Path:
    """What `launch.py` notes down when it starts a program."""
    (folder / "specs").mkdir(exist_ok=True)
    file = folder / "specs" / "scheduler-1.started"
    file.write_text(json.dumps({"pid": pid, "digest": "d"}))
    return file


def test_a_program_counts_with_all_that_it_started(tmp_path, family):
    note(tmp_path, family.pid)
    assert usage.usage(tmp_path, None).cores is None  # there is nothing to compare with
    assert family.stdout.readline() == "spent\n"
    before = Since(datetime.now(UTC), {"another that has ended": 3.0, usage.NOTED: time.time() - 10})
    found = usage.usage(tmp_path, before)
    assert found.memory_bytes > MEMORY
    assert 0.04 < found.cores < 0.5  # half a second of ten, and what passes in the meantime
    assert found.absent == ""
    assert usage.usage(tmp_path, Since(datetime.now(UTC), found.cpu)).cores is None  # too soon to say


def test_without_processes_there_is_a_reason(tmp_path):
    assert usage.usage(tmp_path, None).absent == usage.NOTHING_RUNS


def test_a_number_that_a_stranger_has_by_now_does_not_count(tmp_path):
    file = note(tmp_path, os.getpid())
    long_ago = time.time() - 10 * 365 * 86_400
    os.utime(file, (long_ago, long_ago))
    assert usage.usage(tmp_path, None).absent == usage.NOTHING_RUNS


def test_the_table_is_read_once_for_many(tmp_path, family, monkeypatch):
    monkeypatch.setattr(usage, "FRESH_SECONDS", 60.0)
    looks = []
    monkeypatch.setattr(usage, "_seen", lambda: looks.append(1) or {})
    for _ in range(5):
        usage.usage(tmp_path, None)
    assert len(looks) <= 1

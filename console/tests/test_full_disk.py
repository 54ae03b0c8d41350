"""A machine whose disk fills up: everything lives, pages say so, and it recovers by itself when there is room."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator

import httpx
import psutil
import psycopg
import pytest

from console.kit import disk
from console.tests.system.installation import Installation, wait_until

GIB = 1024**3


def _mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


@pytest.fixture
def small() -> Iterator[Installation]:
    """An installation whose state folder is a file system of its own."""
    if os.getuid() != 0:
        pytest.skip("a file system can be mounted by root only")
    it = Installation()
    it.state.root.mkdir()
    if not _mount("-t", "tmpfs", "-o", f"size={3 * GIB}", "none", str(it.state.root)):
        it.close()
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        yield it
    finally:
        _mount("-o", f"remount,size={3 * GIB}", str(it.state.root))
        it.close()
        subprocess.run(["umount", "--lazy", str(it.state.root)], check=True)
        shutil.rmtree(it.state.root.parent, ignore_errors=True)


def fill(it: Installation) -> None:
    """Not a byte is left. What is written between the look and the mount makes it too small: then once more."""

    def filled() -> bool:
        used = shutil.disk_usage(it.state.root).used
        return _mount("-o", f"remount,size={used}", str(it.state.root))

    wait_until(filled, 30)
    wait_until(lambda: shutil.disk_usage(it.state.root).free < 1024**2, 30)


def run_out_of_log(it: Installation) -> None:
    """Have Postgres want another file of its write-ahead log."""
    for _ in range(20):
        with it.database() as database:
            database.execute("CREATE TABLE IF NOT EXISTS filler (n int)")
            database.execute("INSERT INTO filler VALUES (1)")
            database.execute("SELECT pg_switch_wal()")


@pytest.mark.thorough
def test_a_full_disk_ends_nothing_and_is_told(small: Installation) -> None:
    it = small
    it.start()
    workspace = it.sign_up()
    assert disk.FULL not in it.client.get(workspace).text
    daemon = psutil.Process(int(it.state.supervisor_pid.read_text()))
    fill(it)

    # supervisord has much to tell, and no room for it.
    for _ in range(5):
        before = it.pid("worker")
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: it.pid("worker") not in {0, before}, 30, it.last_words)  # noqa: B023
    page = it.client.get(workspace)
    assert page.status_code == 200
    assert disk.FULL in page.text

    # What needs room fails in words, also once Postgres itself has given up.
    with pytest.raises(psycopg.Error):
        run_out_of_log(it)
    refused = it.client.get(workspace)
    assert refused.status_code in {200, 503}
    assert "disk" in refused.text.lower()
    assert it.alive
    assert daemon.is_running()

    assert _mount("-o", f"remount,size={3 * GIB}", str(it.state.root))
    wait_until(lambda: it.client.get(workspace, timeout=5).status_code == 200, 90, it.last_words, every=0.5)
    assert disk.FULL not in it.client.get(workspace).text
    wait_until(lambda: saved(it), 30, it.last_words, every=0.5)
    assert it.pid("worker")
    assert daemon.is_running()


def saved(it: Installation) -> bool:
    """Whether something can be saved again."""
    try:
        return it.submit("/workspaces/new/", {"name": "After the flood"}).status_code == 303
    except (httpx.HTTPError, AssertionError):
        return False


def test_a_file_that_cannot_be_written_is_told_from_other_faults() -> None:
    full = OSError(28, "No space left on device")
    assert disk.is_full(full)
    assert not disk.is_full(OSError(13, "Permission denied"))
    assert disk.is_full(psycopg.errors.DiskFull())
    with pytest.raises(ValueError, match="wrapped") as wrapped:
        wrap(full)
    assert disk.is_full(wrapped.value)
    assert not disk.is_full(None)


def wrap(error: Exception) -> None:
    try:
        raise error
    except OSError as cause:
        raise ValueError("wrapped") from cause


def test_little_room_is_told_with_its_size(monkeypatch, tmp_path) -> None:
    def free(bytes_left: int):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 5, bytes_left))
        return disk.shortage(tmp_path)

    assert free(disk.LOW_BYTES) == ""
    assert re.search("only 42 MiB left", free(42 * 1024**2))
    assert free(0) == disk.FULL

"""The code of a Deployment in the state folder: what is on the disk, and what faults do."""

import errno
import hashlib
import os
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from console.kit.files import flush
from deployments.dataplane.code import CodeDamaged, CodeFull
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.local.code import folder as folder_module
from deployments.dataplane.local.code import store as store_module
from deployments.dataplane.local.code.store import LocalCode
from deployments.domain.code_errors import CodeRefused
from deployments.domain.code_limits import Limits
from deployments.domain.code_manifest import CodeFile, CodeVersion, Manifest
from deployments.domain.code_project import plugins_digest
from deployments.tests.dataplane.code_contract import ONE, TWO, received

URL = "postgresql://nobody@nowhere/none"


@pytest.fixture
def place(tmp_path) -> Path:
    made = tmp_path / "calm-orbit-0012"
    (made / "dags").mkdir(parents=True)
    return made


@pytest.fixture
def store(place) -> LocalCode:
    return LocalCode(place, URL, "calm-orbit-0012")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def age(folder: Path) -> None:
    """Make everything old."""
    for each in folder.rglob("*"):
        if not each.is_symlink():
            os.utime(each, (time.time() - 7200,) * 2)


def test_a_version_is_a_folder_of_read_only_links_that_takes_no_room(place, store):
    one = received(store, ONE, 1)
    store.activate(one)
    version = place / "code" / "versions" / one.name
    assert contents(version) == ONE
    assert all(f.stat().st_nlink >= 2 and f.stat().st_mode & 0o777 == 0o444 for f in version.rglob("*.py"))
    assert (place / "code" / "current").resolve() == version
    assert list((place / "code" / "scratch").iterdir()) == []


def test_a_version_that_was_taken_away_is_not_active_and_is_built_again(place, store):
    one = received(store, ONE, 1)
    store.activate(one)
    shutil.rmtree(place / "code" / "versions" / one.name)
    assert store.active() == ""
    assert store.activate(one)
    assert contents(place / "code" / "current") == ONE


def test_an_executable_file_is_a_copy_with_its_mode(place, store):
    with store.scratch() as scratch:
        digest = hashlib.sha256(b"#!/bin/sh\n").hexdigest()
        (scratch / digest).write_bytes(b"#!/bin/sh\n")
        manifest = Manifest.of(
            [CodeFile("run.sh", digest, 10, executable=True), CodeFile("same.txt", digest, 10)]
        )
        store.receive(scratch, manifest)
    store.build(CodeVersion("1-x", manifest.digest))
    modes = {f.name: f.stat().st_mode & 0o777 for f in (place / "code" / "versions" / "1-x").iterdir()}
    assert modes == {"run.sh": 0o555, "same.txt": 0o444}


def test_what_changed_is_younger_than_what_was_read_before(place, store):
    one, two = received(store, ONE, 1), received(store, TWO, 2)
    store.activate(one)
    age(place / "code")
    began = time.time() - 5
    store.activate(two)
    young = {
        f.name for f in (place / "code" / "versions" / two.name).rglob("*.py") if f.stat().st_mtime > began
    }
    assert young == {"one.py", "two.py"}  # lib/help.py is as it was


def test_a_damaged_content_is_named_and_never_built(place, store):
    one = received(store, ONE, 1)
    blob = place / "code" / "blobs" / hashlib.sha256(ONE["one.py"]).hexdigest()[:2]
    file = next(blob.iterdir())
    file.chmod(0o600)
    file.write_bytes(b"something else")
    with pytest.raises(CodeDamaged, match=r"one\.py"):
        store.build(one)
    with pytest.raises(CodeDamaged, match=r"one\.py"):
        store.activate(one)
    assert store.active() == ""
    assert not (place / "code" / "versions").exists()


@pytest.mark.parametrize("left", [b"", b"X = 2\n"], ids=["a power cut emptied it", "a disk changed it"])
def test_the_same_code_deployed_again_heals_what_was_damaged(place, store, left):
    one = received(store, ONE, 1)
    sha256 = hashlib.sha256(ONE["lib/help.py"]).hexdigest()
    file = place / "code" / "blobs" / sha256[:2] / sha256
    file.chmod(0o600)
    file.write_bytes(left)
    with pytest.raises(CodeDamaged, match=r"lib/help\.py"):
        store.build(one)
    assert received(store, ONE, 1) == one
    store.activate(one)
    assert (place / "code" / "current" / "lib" / "help.py").read_bytes() == ONE["lib/help.py"]
    age(place / "code")
    store.keep(frozenset({one.manifest}), frozenset())
    assert [each.name for each in file.parent.iterdir()] == [sha256]


def test_a_content_that_a_power_cut_emptied_is_received_again(place, store):
    received(store, ONE, 1)
    sha256 = hashlib.sha256(ONE["lib/help.py"]).hexdigest()
    file = place / "code" / "blobs" / sha256[:2] / sha256
    file.chmod(0o600)
    file.write_bytes(b"")
    store.build(received(store, ONE, 1))


def test_a_version_is_on_the_disk_before_it_appears(place, store, monkeypatch):
    one = received(store, ONE, 1)
    appeared: list[bool] = []

    def noted(folder: Path) -> None:
        flush(folder)
        appeared.append((place / "code" / "versions" / one.name).exists())

    monkeypatch.setattr(store_module, "flush", noted)
    store.build(one)
    assert appeared == [False]


def test_a_disk_that_reports_an_error_puts_no_version_in_place(place, store, monkeypatch):
    one = received(store, ONE, 1)

    def broken(_: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(store_module, "flush", broken)
    with pytest.raises(DataPlaneError, match="cannot be written"):
        store.build(one)
    assert not (place / "code" / "versions" / one.name).exists()


def test_a_build_that_was_cut_short_leaves_nothing_and_is_done_again(place, store, monkeypatch):
    one = received(store, ONE, 1)
    calls = iter(range(100))

    def link(source: Path, target: Path) -> None:
        if next(calls) == 1:
            raise KeyboardInterrupt  # as good as a kill
        original(source, target)

    original = os.link
    monkeypatch.setattr(os, "link", link)
    with pytest.raises(KeyboardInterrupt):
        store.build(one)
    assert not (place / "code" / "versions").exists()
    store.build(one)
    assert contents(place / "code" / "versions" / one.name) == ONE


def test_many_builds_at_once_make_one_version(place, store):
    one = received(store, ONE, 1)
    errors: list[Exception] = []

    def build() -> None:
        try:
            LocalCode(place, URL, "calm-orbit-0012").activate(one)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=build) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert contents(place / "code" / "versions" / one.name) == ONE


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_and_what_runs_stays(place, store, monkeypatch, code):
    one, two = received(store, ONE, 1), received(store, TWO, 2)
    store.activate(one)

    def full(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(CodeFull, match="disk of this machine is full"):
        store.activate(two)
    assert store.active() == one.name
    monkeypatch.undo()
    store.activate(two)
    assert store.active() == two.name


def test_a_folder_that_cannot_be_written_is_told(place, store, monkeypatch):
    one = received(store, ONE, 1)

    def refuse(*_: object) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(DataPlaneError, match="Permission denied"):
        store.build(one)


def test_a_deployment_has_so_much_room(store, monkeypatch):
    monkeypatch.setattr(store_module, "STORE_BYTES", 60)
    received(store, {"a.py": b"x" * 50}, 1)
    with pytest.raises(CodeFull, match="90 days"):
        received(store, {"a.py": b"y" * 50}, 2)
    received(store, {"b.py": b"x" * 50}, 3)  # the same content again takes none


def test_what_nobody_needs_is_dropped_once_it_is_old(place, store):
    one, two, three = received(store, ONE, 1), received(store, TWO, 2), received(store, {"c.py": b"3"}, 3)
    for code in (one, two, three):
        store.build(code)
    store.activate(three)
    store.keep(frozenset({three.manifest}), frozenset({two.name}))
    store.build(one)  # its contents are younger than an hour
    age(place / "code")
    store.keep(frozenset({three.manifest, two.manifest}), frozenset({two.name}))
    assert {each.name for each in (place / "code" / "versions").iterdir()} == {two.name, three.name}
    assert sorted(f.read_bytes() for f in (place / "code" / "blobs").rglob("*") if f.is_file()) == sorted(
        {*TWO.values(), b"3"}
    )
    with pytest.raises(CodeDamaged):
        store.build(one)


def test_a_scratch_folder_of_somebody_who_died_goes_in_time(place, store):
    received(store, ONE, 1)
    (place / "code" / "scratch" / "left").mkdir()
    store.keep(frozenset(), frozenset())
    assert (place / "code" / "scratch" / "left").exists()
    age(place / "code")
    store.keep(frozenset(), frozenset())
    assert not (place / "code" / "scratch" / "left").exists()


def test_the_folder_becomes_a_version_without_what_no_archive_may_hold(place, store):
    dags = place / "dags"
    (dags / "sub" / "__pycache__").mkdir(parents=True)
    (dags / "a.py").write_bytes(b"A")
    (dags / "sub" / "b.py").write_bytes(b"B")
    (dags / "sub" / "__pycache__" / "b.pyc").write_bytes(b"C")
    (dags / ".env").write_bytes(b"SECRET=1")
    (dags / "link.py").symlink_to("/etc/passwd")
    os.mkfifo(dags / "pipe.py")
    (dags / "linked").symlink_to(place / "code")  # whoever writes here would read what only we may
    manifest = store.folder()
    assert manifest is not None
    assert [file.path for file in manifest.files] == ["a.py", "sub/b.py"]
    code = CodeVersion("1-x", manifest.digest)
    store.activate(code)
    assert contents(place / "code" / "versions" / "1-x") == {"a.py": b"A", "sub/b.py": b"B"}
    assert store.folder() is None  # deploys have taken its place


def test_an_empty_folder_is_no_version_and_too_full_a_one_is_refused(place, store, monkeypatch):
    assert store.folder() is None
    for number in range(3):
        (place / "dags" / f"{number}.py").write_bytes(b"x")
    monkeypatch.setattr(folder_module, "LIMITS", Limits(entries=2))
    with pytest.raises(CodeRefused, match="DAGs folder"):
        store.folder()


def test_a_deployment_that_is_gone_does_not_come_back(place, store):
    (place / "dags").rmdir()
    place.rmdir()
    with pytest.raises(DataPlaneError, match="any more"), store.scratch():
        pass
    assert not place.exists()


PROJECT = {"dags/one.py": b"ONE", "plugins/p.py": b"P = 1", "plugins/sub/q.py": b"Q", "include/x.sql": b"X"}


def test_the_plugins_of_a_project_are_a_folder_of_their_own_and_those_of_before_go(place, store):
    one = received(store, PROJECT, 1)
    digest = plugins_digest(Manifest.read((place / "code" / "manifests" / one.manifest).read_text()))
    one = replace(one, plugins=digest)
    store.activate(one)
    plugins = place / "code" / "plugins"
    assert contents(plugins / digest) == {"p.py": b"P = 1", "sub/q.py": b"Q"}
    two = received(store, {**PROJECT, "plugins/p.py": b"P = 2"}, 2)
    store.activate(two)
    assert len(list(plugins.iterdir())) == 2
    age(plugins)
    for folder in plugins.iterdir():
        os.utime(folder, (time.time() - 7200,) * 2)
    store.keep(frozenset({one.manifest, two.manifest}), frozenset())
    assert [(folder / "p.py").read_bytes() for folder in plugins.iterdir()] == [b"P = 2"]
    store.activate(one)  # they come back
    assert contents(plugins / digest)["p.py"] == b"P = 1"

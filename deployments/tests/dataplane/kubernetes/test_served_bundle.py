"""The DAG bundle of Kubernetes: what a pod fetches of a code server, checks and keeps."""

import hashlib
import io
import os
import stat
import tarfile
import threading
import time
from pathlib import Path

import pytest

from deployments.domain.code_manifest import CodeFile, CodeVersion, Manifest
from deployments.tests.archives import DAG
from deployments.tests.dataplane.code_contract import ONE, TWO, received
from deployments.tests.dataplane.kubernetes.test_code_server import LARGE, mine, server, until  # noqa: F401 - fixtures
from deployments.tests.dataplane.served import bundle_module, code_server, owner


@pytest.fixture
def served(monkeypatch):
    module = bundle_module(monkeypatch)
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.05)
    return module


@pytest.fixture
def pod(tmp_path, served, server):  # noqa: F811
    """Makes bundles of one pod."""
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "loose.py").write_bytes(DAG)

    def made(version: str | None = None, address: str = server.address):
        return served.ServedBundle(
            name="dags-folder",
            version=version,
            server=address,
            code=str(tmp_path / "code"),
            folder=str(tmp_path / "image"),
        )

    return made


def forget(served) -> None:
    """What the process has heard counts as old."""
    served._heard.clear()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_a_pinned_version_is_fetched_once_and_never_asked_for_again(
    mine,  # noqa: F811
    server,  # noqa: F811
    pod,
    tmp_path,
    monkeypatch,
) -> None:
    code = received(mine.store, ONE, 11)
    mine.store.build(code)
    one = pod(code.name)
    one.initialize()
    assert contents(one.path) == ONE
    assert {f.stat().st_mode & 0o777 for f in one.path.rglob("*.py")} == {0o444}
    for _ in range(1000):  # tasks of the same pod, each with a bundle of its own; nothing listens there
        task = pod(code.name, address="http://127.0.0.1:1")
        task.initialize()
        assert task.path == one.path
    assert task.supports_versioning
    assert task.get_current_version() == code.name


def test_many_tasks_that_begin_at_once_fetch_a_version_once(mine, pod, served, monkeypatch) -> None:  # noqa: F811
    code = received(mine.store, {"big.bin": LARGE}, 12)
    mine.store.build(code)
    asked, ask = [], served._ask

    def counted(url, seconds):
        asked.append(url)
        return ask(url, seconds)

    monkeypatch.setattr(served, "_ask", counted)
    threads = [threading.Thread(target=pod(code.name).initialize) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(asked) == 1
    assert contents(pod(code.name).path) == {"big.bin": LARGE}


def test_a_version_that_is_not_kept_any_more_is_told_in_words(pod) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"is not kept any more\. Clear the task with the latest code"
    ):
        pod("99-aaaaaaaaaaaa").initialize()


@pytest.mark.thorough
def test_until_the_first_deploy_the_folder_of_the_image_is_read(tmp_path, served, monkeypatch) -> None:
    with owner() as other, code_server(other.url, tmp_path / "cache") as running:
        bundle = served.ServedBundle(
            name="dags-folder",
            server=running.address,
            code=str(tmp_path / "code"),
            folder=str(tmp_path / "image"),
        )
        bundle.initialize()
        assert not bundle.supports_versioning
        bundle.refresh()
        assert not bundle.supports_versioning
        assert bundle.path == tmp_path / "image"
        assert bundle.get_current_version() is None
        code = received(other.store, ONE, 1)
        other.store.activate(code)
        monkeypatch.setattr(served, "LOOK_SECONDS", 0.0)
        until(lambda: bundle.supports_versioning)
        bundle.refresh()
        assert bundle.get_current_version() == code.name
        assert contents(bundle.path) == ONE


@pytest.mark.thorough
def test_the_dag_processor_follows_the_active_version_under_one_path(mine, pod, served, monkeypatch) -> None:  # noqa: F811
    one, two = received(mine.store, ONE, 21), received(mine.store, TWO, 22)
    mine.store.activate(one)
    monkeypatch.setattr(served, "LOOK_SECONDS", 0.0)
    bundle = pod()
    until(lambda: bundle._current() == one.name)
    bundle.initialize()
    assert bundle.supports_versioning
    bundle.refresh()
    assert bundle.supports_versioning
    path = bundle.path
    assert (contents(path), bundle.get_current_version()) == (ONE, one.name)
    before = {each.name: each.stat().st_mtime for each in path.rglob("*.py")}
    mine.store.activate(two)
    until(lambda: bundle._current() == two.name)
    assert bundle.supports_versioning
    assert contents(path) == ONE  # it moves when the DAG processor turns to it, and not before
    turned = time.time()
    bundle.refresh()
    assert bundle.path == path
    assert (contents(path), bundle.get_current_version()) == (TWO, two.name)
    after = {each.name: each.stat().st_mtime for each in path.rglob("*.py")}
    assert after["help.py"] == before["help.py"]  # unchanged: not parsed before its interval has passed
    assert min(after["one.py"], after["two.py"]) > turned + 4  # parsed at once, and again


@pytest.mark.thorough
def test_without_the_server_what_was_heard_last_counts_and_nothing_heard_is_not_no_version(
    mine,  # noqa: F811
    pod,
    served,
    tmp_path,
) -> None:
    away = "http://127.0.0.1:1"
    with pytest.raises(served.AirflowException, match="does not say which version of the code is active"):
        pod(address=away).initialize()
    code = received(mine.store, ONE, 31)
    mine.store.activate(code)
    until(lambda: (forget(served), pod()._current())[1] == code.name)
    pod().initialize()
    forget(served)  # another process of this pod
    later = pod(address=away)
    later.initialize()
    assert later.path == tmp_path / "code" / "versions" / code.name
    assert later.supports_versioning


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda m, f: ([[m[0][0], "0" * 64, *m[0][2:]]], f), "list of files is not that"),
        (
            lambda m, f: (m, {"one.py": b"print('other')\n"[: len(f["one.py"])].ljust(len(f["one.py"]))}),
            "not what was",
        ),
        (lambda m, f: (m, {}), "is missing"),
        (lambda m, f: (m, {"two.py": f["one.py"]}), "is missing"),
        (lambda m, f: (m, {"one.py": f["one.py"] + b"x"}), "is missing"),
    ],
)
def test_what_is_not_exactly_the_version_is_not_unpacked(served, tmp_path, change, why) -> None:
    manifest = Manifest.of([CodeFile("one.py", hashlib.sha256(DAG).hexdigest(), len(DAG))])
    import json

    listed, files = change(json.loads(manifest.document), {"one.py": DAG})
    document = json.dumps(listed, separators=(",", ":")).encode()
    version = CodeVersion(f"1-{manifest.digest[:12]}", manifest.digest)
    with pytest.raises(ValueError, match=why):
        served.unpack(io.BytesIO(packed(document, files)), tmp_path, version.name)


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x"])
def test_a_path_that_leads_out_is_refused_whoever_signed_it(served, tmp_path, path) -> None:
    document = Manifest.of([CodeFile(path, hashlib.sha256(b"").hexdigest(), 0)]).document.encode()
    version = f"1-{hashlib.sha256(document).hexdigest()[:12]}"
    with pytest.raises(ValueError, match="leads out of the version"):
        served.unpack(io.BytesIO(packed(document, {path: b""})), tmp_path, version)


def test_a_fetch_that_was_cut_short_leaves_nothing_and_is_done_again(
    mine,  # noqa: F811
    server,  # noqa: F811
    pod,
    served,
    monkeypatch,
) -> None:
    code = received(mine.store, TWO, 41)
    mine.store.build(code)
    ask, cuts = served._ask, [100, 700]

    class Cut:
        def __init__(self, answer) -> None:
            self.answer, self.left = answer, cuts.pop() if cuts else 10**9

        def __enter__(self):
            return self

        def __exit__(self, *_) -> None:
            self.answer.close()

        def read(self, count: int) -> bytes:
            got = self.answer.read(min(count, self.left))
            self.left -= len(got)
            return got

    monkeypatch.setattr(served, "_ask", lambda url, seconds: Cut(ask(url, seconds)))
    monkeypatch.setattr(served, "PATIENCE_SECONDS", 60.0)
    bundle = pod(code.name)
    bundle.initialize()
    assert cuts == []
    assert contents(bundle.path) == TWO
    assert [each.name for each in bundle._code.iterdir() if "draft" in each.name] == []


def test_old_versions_make_room_and_the_parsed_one_stays(mine, pod, served, monkeypatch) -> None:  # noqa: F811
    codes = [received(mine.store, {"f.py": bytes([n])}, 50 + n) for n in range(8)]
    for code in codes:
        mine.store.build(code)
    bundle = pod()
    bundle._turn_to(codes[0].name)
    for code in codes[1:7]:
        pod(code.name).initialize()
    folder = bundle._code / "versions"
    assert len(list(folder.iterdir())) == 7  # all were used today
    yesterday = time.time() - served.IDLE_SECONDS - 60
    for number, each in enumerate(sorted(folder.iterdir())):
        os.utime(each, (yesterday + number,) * 2)
    pod(codes[7].name).initialize()
    left = {each.name for each in folder.iterdir()}
    assert {codes[0].name, codes[7].name} <= left
    assert len(left) == served.KEPT + 1


def test_executable_files_stay_executable(mine, pod) -> None:  # noqa: F811
    content = b"#!/bin/sh\n"
    digest = hashlib.sha256(content).hexdigest()
    with mine.store.scratch() as scratch:
        (scratch / digest).write_bytes(content)
        manifest = Manifest.of([CodeFile("run.sh", digest, len(content), executable=True)])
        mine.store.receive(scratch, manifest)
    code = CodeVersion(f"60-{manifest.digest[:12]}", manifest.digest)
    mine.store.build(code)
    bundle = pod(code.name)
    bundle.initialize()
    assert stat.S_IMODE((bundle.path / "run.sh").stat().st_mode) == 0o555


def packed(document: bytes, files: dict[str, bytes]) -> bytes:
    """What a code server would send."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in {
            "manifest.json": document,
            **{f"files/{p}": c for p, c in files.items()},
        }.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()

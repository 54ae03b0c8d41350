"""The driver contract about code: every sentence of `dataplane/code.py` that a driver could break."""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

import pytest

from deployments.dataplane.code import CodeDamaged, CodeStore
from deployments.dataplane.contract import Observation, Outcome
from deployments.domain.code_archive import unpack
from deployments.domain.code_manifest import CodeFile, CodeVersion, Manifest, version_name
from deployments.domain.spec import Release
from deployments.reconciler import plan
from deployments.tests.archives import DAG, tar_gz
from deployments.tests.dataplane.contract import Case, Harness, apply_once, converge, new_case, remove

ONE = {"one.py": DAG, "lib/help.py": b"X = 1\n", "empty.py": b""}
TWO = {"one.py": DAG + b"# changed\n", "lib/help.py": b"X = 1\n", "two.py": DAG}


def store_of(harness: Harness, case: Case) -> CodeStore:
    """The store, by a driver made anew."""
    store = harness.new_driver().code(case.ref)
    assert store is not None
    return store


def received(store: CodeStore, files: dict[str, bytes], number: int) -> CodeVersion:
    """These files in the store, as the version of that number."""
    with store.scratch() as scratch:
        assert list(scratch.iterdir()) == []
        manifest = unpack(io.BytesIO(tar_gz(files)), scratch).manifest
        store.receive(scratch, manifest)
    assert not scratch.exists()
    return CodeVersion(version_name(number, manifest.digest), manifest.digest)


class CodeContract:
    """Subclass me beside `DriverContract`. Starts nothing: code needs no Airflow that runs."""

    @contextlib.contextmanager
    def sleeper(self, harness: Harness) -> Iterator[Case]:
        """A Deployment that is asleep, so that nothing has to be started, and gone afterwards."""
        made = new_case()
        case = replace(made, release=replace(made.release, hibernating=True))
        converge(harness, case)
        try:
            yield case
        finally:
            remove(harness, case)
        assert harness.new_driver().observe(case.ref) == Observation("")

    def test_asking_for_the_code_of_what_never_was_leaves_no_trace(self, harness: Harness) -> None:
        case = new_case()
        assert store_of(harness, case).active() == ""
        assert harness.new_driver().observe(case.ref) == Observation("")

    def test_code_is_received_built_activated_and_gone_back_to(self, harness: Harness) -> None:
        with self.sleeper(harness) as case:
            store = store_of(harness, case)
            one = received(store, ONE, 1)
            store_of(harness, case).build(one)
            store.build(one)  # twice is once
            assert store.active() == ""  # building activates nothing
            two = received(store, TWO, 2)
            for number, code in ((2, one), (3, two), (4, one)):
                changed = with_code(case, code, number)
                assert changed.release.digest != case.release.digest
                assert plan.needs_apply(changed.release, harness.new_driver().observe(case.ref), {})
                converge(harness, changed)
                assert store_of(harness, case).active() == code.name
                assert not plan.needs_apply(changed.release, harness.new_driver().observe(case.ref), {})
                assert apply_once(harness, changed).outcome is Outcome.FINISHED

    def test_what_was_not_built_before_is_built_when_it_becomes_active(self, harness: Harness) -> None:
        with self.sleeper(harness) as case:
            code = received(store_of(harness, case), ONE, 1)
            converge(harness, with_code(case, code, 2))
            assert store_of(harness, case).active() == code.name

    def test_contents_read_back_and_what_was_never_received_is_damaged(self, harness: Harness) -> None:
        with self.sleeper(harness) as case:
            store = store_of(harness, case)
            received(store, ONE, 1)
            sums = {file.path: file for file in manifest_of(ONE).files}
            assert {path: store.read(file) for path, file in sums.items()} == ONE
            with pytest.raises(CodeDamaged, match="nowhere"):
                store.read(CodeFile("nowhere.py", "0" * 64, 1))
            with pytest.raises(CodeDamaged):
                store.build(CodeVersion("9-aaaaaaaaaaaa", "a" * 64))

    def test_equal_content_is_received_twice_and_kept_once(self, harness: Harness) -> None:
        with self.sleeper(harness) as case:
            store = store_of(harness, case)
            assert received(store, ONE, 1) == received(store, dict(reversed(ONE.items())), 1)

    def test_nothing_that_is_active_or_asked_for_is_dropped(self, harness: Harness) -> None:
        with self.sleeper(harness) as case:
            store = store_of(harness, case)
            one, two = received(store, ONE, 1), received(store, TWO, 2)
            store.build(one)
            converge(harness, with_code(case, two, 2))
            store.keep(frozenset({one.manifest, two.manifest}), frozenset({one.name}))
            store.build(one)
            assert store.active() == two.name
            converge(harness, with_code(case, one, 3))


def with_code(case: Case, code: CodeVersion, generation: int) -> Case:
    """The same with that code."""
    release: Release = replace(case.release, code=code, generation=generation)
    return replace(case, release=release)


def manifest_of(files: dict[str, bytes]) -> Manifest:
    """The manifest of these files."""
    return Manifest.of(CodeFile(path, sha256(c).hexdigest(), len(c)) for path, c in files.items())

"""A real Airflow whose programs have an account of their own: it works, and hostile code in it reaches nothing. Where
they do not, behind Landlock alone, is in test_airflow.py."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from console.tests.services import STATE
from deployments.dataplane.local.fence import accounts, ways
from deployments.dataplane.local.runtimes import runtimes
from deployments.dataplane.local.steps.fencing import ISOLATION
from deployments.dataplane.local.steps.warm_parents import group
from deployments.domain.states import Executor
from deployments.tests.dataplane.contract import apply_once, converge, new_case, remove
from deployments.tests.dataplane.local import canary
from deployments.tests.dataplane.local.airflow_local import LocalHarness, assert_runs_a_dag, until

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(os.getuid() != 0 or not ways._may_change_user(), reason="accounts need root"),
    pytest.mark.skipif(
        not ways.passable(Path(ways.__file__)),
        reason="other users may not pass to this checkout: no accounts here",
    ),
]


@pytest.fixture
def case(harness, tmp_path, monkeypatch):
    monkeypatch.setattr(accounts, "CLAIMS", tmp_path / "accounts")
    made = new_case(Executor.LOCAL)
    yield made
    remove(harness, made)


@pytest.fixture(scope="module")
def harness() -> LocalHarness:
    return LocalHarness()


@pytest.fixture
def passable(harness, case, tmp_path_factory):
    """The runtime on a Python that everybody may run: where the console's own lies below /root, on a copy of it."""
    until(lambda: apply_once(harness, case).step != "runtime", 200)
    version = case.release.runtime.version
    environment = Path(os.path.realpath(runtimes.current(STATE, version)))
    real = Path(os.path.realpath(environment / "bin/python"))
    if ways.passable(real):
        yield
        return
    copy = Path("/tmp") / f"airdeck-python-{os.getpid()}"
    link, config = os.readlink(environment / "bin/python"), environment / "pyvenv.cfg"
    text = config.read_text()
    try:
        subprocess.run(["cp", "-al", str(real.parent.parent), str(copy)], check=True)
        _find_library_beside(copy / "bin" / real.name, real.parent.parent / "lib")
        _point(environment, copy / "bin" / real.name, text.replace(str(real.parent), str(copy / "bin")))
        _end_parent(harness, version)
        yield
    finally:
        _end_parent(harness, version)
        _point(environment, Path(link), text)
        shutil.rmtree(copy, ignore_errors=True)


def _find_library_beside(program: Path, library: Path) -> None:
    """A Python with a shared library looks for it where it was installed, which not everybody may pass."""
    built = program.read_bytes()
    here = b"$ORIGIN/../lib".ljust(len(str(library)), b"\0")
    program.unlink()  # it is a link to the original
    program.write_bytes(built.replace(str(library).encode() + b"\0", here + b"\0"))
    program.chmod(0o755)
    assert len(built) == program.stat().st_size


def _point(environment: Path, python: Path, config: str) -> None:
    (environment / "bin/python").unlink()
    (environment / "bin/python").symlink_to(python)
    (environment / "pyvenv.cfg").write_text(config)


def _end_parent(harness: LocalHarness, version: str) -> None:
    until(lambda: harness.supervisor.remove(group(version)), 20)


def test_an_airflow_with_an_account_of_its_own_works_and_reaches_nothing_else(
    harness, case, passable
) -> None:
    converge(harness, case)
    folder = STATE.deployment(case.ref.release_name)
    number = int((folder / "account").read_text())
    assert ISOLATION not in harness.new_driver().details(case.ref)  # nothing to warn of
    for program in harness.supervisor.processes():
        if program.group.startswith(case.ref.release_name):
            status = Path(f"/proc/{program.pid}/status").read_text()
            assert f"Uid:\t{number}\t{number}\t{number}" in status, program.name
            assert "started cold" not in Path(program.log).read_text()
    canary.write_hostile_code(harness, case)
    until(
        lambda: harness.supervisor.remove(f"{case.ref.release_name}.triggerer"), 30
    )  # which then reads plugins
    converge(harness, case)
    assert_runs_a_dag(harness, case)
    assert canary.what_hostile_code_reached(harness, case) == {}

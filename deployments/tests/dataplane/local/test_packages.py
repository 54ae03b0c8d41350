"""Packages beyond those of a runtime: a real uv and supervisord, a played Airflow (`test_code.py`: real)."""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.local.packages import claims, install, names, resolve
from deployments.dataplane.local.packages.clone import bytes_of_its_own, clone
from deployments.dataplane.local.runtimes import lock_files, runtimes
from deployments.dataplane.local.supervisor.processes import Processes
from deployments.dataplane.local.supervisor.specs import Spec
from deployments.dataplane.packages import PackagesRefused
from deployments.domain.code_packages import PackageLock
from deployments.tests.dataplane.local.package_machine import (
    RELEASES,
    RUNTIME,
    SQLALCHEMY,
    VERSION,
    Machine,
    said,
    until,
)

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    made = Machine(tmp_path_factory.mktemp("machine"))
    yield made
    made.close()


@pytest.fixture
def machine(whole):
    whole.reset()
    return whole


# -- Finding out --


def test_what_is_asked_for_comes_with_what_it_needs_and_runs_in_an_environment_of_hard_links(machine) -> None:
    lock = machine.found("tiny>=1")
    assert lock.packages == {"base-lib": "1.0", "tiny": "1.0"}
    assert lock.text.count("--hash=sha256:") == 2
    before = {file: file.read_bytes() for file in machine.state.runtime(VERSION).rglob("*.py")}
    folder = machine.installed(lock)
    python = folder / "current" / "bin" / "python"
    assert said(python, "import tiny, base_lib, airflow; print(tiny.VERSION, airflow.__file__)").startswith(
        f"1.0 {folder}"
    )
    played = "lib/python*/site-packages/airflow/settings.py"
    (mine,), (theirs,) = (
        list((each / "current").glob(played)) for each in (folder, machine.state.runtime(VERSION))
    )
    assert mine.stat().st_ino == theirs.stat().st_ino
    assert {file: file.read_bytes() for file in before} == before
    assert not list(folder.glob("env-*/check"))
    with pytest.raises(subprocess.CalledProcessError):
        said(machine.python, "import tiny")


def test_asked_for_often_and_by_two_deployments_it_is_found_out_and_installed_once(machine) -> None:
    answers = [machine.packages(release).resolve(RUNTIME, ["tiny"]) for release in RELEASES * 3]
    assert all(answer.lock is None and answer.waiting for answer in answers)
    assert len([p for p in machine.supervisor.processes() if p.group.startswith("resolve-")]) == 1
    lock = machine.found("tiny")
    assert machine.found("tiny") == lock
    folder = machine.installed(lock)
    attempts = list(folder.glob("env-*"))
    assert machine.packages(RELEASES[1]).install(lock) == ""
    assert list(folder.glob("env-*")) == attempts


def test_what_the_runtime_has_already_needs_no_environment_of_its_own(machine) -> None:
    machine.index.wheel("sqlalchemy", SQLALCHEMY, {})
    lock = machine.found("sqlalchemy>=2")
    assert (lock.packages, lock.digest) == ({}, "")
    assert (
        resolve.beyond(f"sqlalchemy=={SQLALCHEMY} \\\n    --hash=sha256:aa\n", lock_files.pins(VERSION)) == ""
    )
    assert machine.packages().install(lock) == ""


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "old-friend",
            f"These do not fit together: old-friend needs sqlalchemy<2; runtime 3.3-1 has sqlalchemy {SQLALCHEMY}; "
            "requirements.txt asks for old-friend. Change requirements.txt and deploy again.",
        ),
        (
            "sqlalchemy<2",
            "These do not fit together: requirements.txt asks for sqlalchemy<2; runtime 3.3-1 has sqlalchemy "
            f"{SQLALCHEMY}. Change requirements.txt and deploy again.",
        ),
        (
            "tiny>=9",
            "These do not fit together: the package index has only tiny==1.0; requirements.txt asks for tiny>=9. "
            "Change requirements.txt and deploy again.",
        ),
        (
            "nowhere-at-all",
            "The package index has no package nowhere-at-all. Correct its name in requirements.txt, or remove it.",
        ),
        (
            "only-source",
            "only-source comes as source only, and packages are installed from wheels alone. Choose a version that "
            "has a wheel, or another package.",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_words_and_asked_anew_next_time(
    machine, monkeypatch, line, sentence
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", machine.index.url)
    key = machine.asked(line)
    assert resolve.main(str(machine.state.root), key) == 1
    with pytest.raises(PackagesRefused) as refused:
        machine.packages().resolve(RUNTIME, [line])
    assert str(refused.value) == sentence
    assert not resolve.folder_of(machine.state, key).exists()  # it is asked again


def test_an_index_that_cannot_be_reached_is_a_sentence_and_tried_again(machine) -> None:
    with pytest.raises(DataPlaneError) as error:
        machine.found("tiny", UV_DEFAULT_INDEX="http://127.0.0.1:9/simple")
    assert not isinstance(error.value, PackagesRefused)
    assert str(error.value).startswith("The package index cannot be reached")
    (job,) = [
        resolve.job_of(machine.state, each.name) for each in (machine.state.runtimes / "resolved").iterdir()
    ]
    job.say(job.status().__class__(attempts=1))  # its pause is over
    assert machine.found("tiny").packages


def test_an_index_that_hangs_is_given_up_in_time_and_in_the_end_refused(machine, monkeypatch) -> None:
    monkeypatch.setattr(resolve, "SECONDS", 1.0)
    listener = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def hold() -> None:
        with suppress(OSError):
            while True:
                held.append(listener.accept()[0])

    threading.Thread(target=hold, daemon=True).start()
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{listener.getsockname()[1]}/simple")
    key = machine.asked("tiny")
    job = resolve.job_of(machine.state, key)
    began = time.monotonic()
    assert resolve.main(str(machine.state.root), key) == 1
    assert time.monotonic() - began < 15
    assert job.status().sentence == resolve.SLOW
    with pytest.raises(DataPlaneError, match="took longer than"):
        machine.packages().resolve(RUNTIME, ["tiny"])
    assert resolve.main(str(machine.state.root), key) == 1
    with pytest.raises(PackagesRefused, match="Pin more versions"):
        machine.packages().resolve(RUNTIME, ["tiny"])
    listener.shutdown(socket.SHUT_RDWR)
    for each in (listener, *held):
        each.close()


# -- Killed --


@pytest.mark.parametrize("group", ["resolve-", "packages-"])
def test_a_job_that_is_killed_is_done_by_the_next_who_asks(machine, group) -> None:
    lock = None if group == "resolve-" else machine.found("tiny")

    def ask():
        return machine.packages().resolve(RUNTIME, ["tiny"]).lock if lock is None else machine.installed(lock)

    if lock is None:
        ask()
    else:
        machine.packages().install(lock)
    for process in machine.supervisor.processes():
        if process.group.startswith(group) and process.pid:
            for each in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
                each.kill()
    assert until(ask)


@pytest.mark.parametrize("step", ["clone", "_run", "_prove", "publish"])
def test_an_installation_that_dies_at_any_step_leaves_nothing_that_is_used(
    machine, monkeypatch, step
) -> None:
    lock = machine.found("tiny")
    folder = machine.folder(lock)
    folder.mkdir()
    (folder / names.LOCK).write_text(lock.text)
    monkeypatch.setenv("UV_DEFAULT_INDEX", machine.index.url)

    def die(*_args, **_named):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(install, step, die)
        with pytest.raises(KeyboardInterrupt):
            install.main(str(machine.state.root), folder.name)
    assert not runtimes.installed(machine.state, folder.name)
    assert install.main(str(machine.state.root), folder.name) == 0
    assert len(list(folder.glob("env-*"))) == 1
    assert runtimes.installed(machine.state, folder.name)


def test_a_full_disk_and_packages_beside_which_airflow_cannot_be_imported_are_told(
    machine, monkeypatch
) -> None:
    machine.index.wheel(
        "breaks", "1.0", {"airflow/configuration.py": "raise SystemExit('broken by breaks')\n"}
    )
    monkeypatch.setenv("UV_DEFAULT_INDEX", machine.index.url)
    before = {file: file.read_bytes() for file in machine.state.runtime(VERSION).rglob("*.py")}
    lock = machine.found("breaks")
    folder = machine.folder(lock)
    folder.mkdir()
    (folder / names.LOCK).write_text(lock.text)
    assert install.main(str(machine.state.root), folder.name) == 1
    job = install.job_of(machine.state, folder.name)
    assert job.status().sentence == (
        "Airflow cannot be imported beside these packages (broken by breaks). Change requirements.txt."
    )
    assert {
        file: file.read_bytes() for file in before
    } == before  # a file of the runtime's was replaced, not written

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(install, "clone", full)
    assert install.main(str(machine.state.root), folder.name) == 1
    assert job.status().sentence.startswith("The disk of this machine is full")


# -- Running --


def test_programs_with_other_packages_are_known_until_they_are_told_to_end(machine) -> None:
    """By this the driver knows that new code may become active."""
    folder = machine.installed(machine.found("tiny"))
    python = runtimes.python(machine.state, folder.name)
    processes = Processes(machine.state, machine.supervisor, RELEASES[0])
    home = machine.state.deployment(RELEASES[0]) / "home"
    home.mkdir(exist_ok=True)
    environment = {"AIRFLOW_HOME": str(home), "AIRDECK_STATE": str(machine.state.root)}
    name = "worker-default-01"
    processes.write_specs({name: Spec((str(python), "-m", "airflow", "sleep"), home, environment)})
    processes.add([name])
    own = runtimes.python(machine.state, VERSION)
    assert until(lambda: names.runs_elsewhere(machine.state, processes, own))
    assert not names.runs_elsewhere(machine.state, processes, python)
    processes.drain(name)
    assert not names.runs_elsewhere(machine.state, processes, own)
    until(lambda: not processes.known()[name].alive)


# -- Keeping --


def test_an_environment_goes_with_the_last_deployment_that_needs_it(machine) -> None:
    lock = machine.found("tiny")
    folder = machine.installed(lock)
    machine.installed(lock, RELEASES[1])
    machine.packages().keep(frozenset())
    assert folder.exists()
    machine.packages(RELEASES[1]).keep(frozenset({lock.digest}))
    assert folder.exists()
    program = subprocess.Popen(
        [folder / "current" / "bin" / "python", "-c", "import time; time.sleep(60)"],
        env={"AIRDECK_STATE": str(machine.state.root)},
    )
    try:
        until(lambda: "".join(psutil.Process(program.pid).cmdline()[:1]).startswith(str(folder)))
        machine.packages(RELEASES[1]).keep(frozenset())
        assert folder.exists()  # something runs in it
    finally:
        program.kill()
        program.wait()

    def swept() -> bool:
        claims.sweep(machine.state, machine.supervisor)
        return not [p for p in machine.supervisor.processes() if p.group.startswith("packages-")]

    until(swept)
    assert not folder.exists()
    assert not list(machine.state.runtimes.glob(".gone-*"))
    assert runtimes.installed(machine.state, VERSION)
    assert machine.installed(lock).exists()  # and it comes back


def test_nothing_is_installed_for_a_deployment_that_is_gone(machine) -> None:
    shutil.rmtree(machine.state.deployment(RELEASES[0]))
    with pytest.raises(DataPlaneError, match="no folder"):
        machine.packages().install(PackageLock(VERSION, "tiny==1.0\n"))
    machine.packages().keep(frozenset())
    assert not machine.state.deployment(RELEASES[0]).exists()


def test_what_runs_code_whenever_python_starts_is_started_cold(machine) -> None:
    machine.index.wheel("early", "1.0", {"early.pth": "import os\n", "early.py": ""})
    for line, cold in (("early", True), ("tiny", False)):
        folder = machine.installed(machine.found(line))
        assert runtimes.starts_cold(machine.state, folder.name) is cold


def test_a_copy_costs_folders_alone_and_its_scripts_name_itself(tmp_path) -> None:
    source, target = tmp_path / "one", tmp_path / "two"
    (source / "bin").mkdir(parents=True)
    (source / "lib").mkdir()
    (source / "lib" / "big.py").write_text("x = 1\n" * 50_000)
    (source / "lib64").symlink_to("lib")
    (source / "bin" / "tool").write_text(f"#!{source}/bin/python\n")
    (source / "bin" / "tool").chmod(0o755)
    clone(source, target)
    assert (target / "bin" / "tool").read_text() == f"#!{target}/bin/python\n"
    assert os.access(target / "bin" / "tool", os.X_OK)
    assert os.readlink(target / "lib64") == "lib"
    assert bytes_of_its_own(target) < 50_000
    assert json.dumps(sorted(p.name for p in target.rglob("*"))) == json.dumps(
        sorted(p.name for p in source.rglob("*"))
    )


def test_what_one_environment_has_compiled_is_shared_with_the_next(machine) -> None:
    machine.index.wheel("many", "1.0", {"many/__init__.py": "X = 1\n", "many/deep/a.py": "Y = 2\n"})

    def compiled(folder: Path) -> dict[str, int]:
        site = folder / "current" / "lib"
        return {f"{f.parent.parent.name}/{f.name}": f.stat().st_ino for f in site.rglob("many/**/*.pyc")}

    first = machine.installed(machine.found("many"))
    before = until(lambda: len(compiled(first)) == 2 and compiled(first))
    second = machine.installed(machine.found("many", "tiny"))
    assert compiled(second) == before
    assert said(second / "current" / "bin" / "python", "import many.deep.a, tiny; print(many.X)") == "1"

"""Where Postgres lies when root starts it in a folder that only root enters."""

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from console.embedded import keys, postgres, postgres_home, process_table, programs
from deployments.dataplane.local.state_dir import StateDir

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="an ordinary user's Postgres runs as that user")


@pytest.fixture
def places(monkeypatch) -> Iterator[Path]:
    """In place of /var/lib/airdeck."""
    folder = Path(tempfile.mkdtemp(prefix="airdeck-places-", dir="/tmp"))
    folder.chmod(0o755)
    monkeypatch.setattr(postgres_home, "PLACES", folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def state(tmp_path, places) -> StateDir:
    """A state folder below one of mode 0700, with its keys."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    made = StateDir(closed / "state")
    made.create()
    keys.ensure(made, has_data=False)
    return made


@pytest.fixture
def closed_programs(tmp_path, monkeypatch) -> Path:
    """The package as it is where the checkout is closed to others: every file for root alone."""
    package = postgres_home.shipped().parent.parent
    copy = tmp_path / "site" / package.name
    for part in postgres_home.NEEDED:
        postgres_home._take(package / postgres_home.shipped().parent.name / part, copy / "pginstall18" / part)
    postgres_home._take(package.with_name(f"{package.name}.libs"), copy.with_name(f"{package.name}.libs"))
    subprocess.run(["chmod", "-R", "go=", str(tmp_path / "site")], check=True)
    monkeypatch.setattr(postgres_home, "shipped", lambda: copy / "pginstall18" / "bin")
    return copy


def may(*argv: str) -> bool:
    """Whether Postgres's user may run this."""
    user = pwd.getpwnam(postgres_home.SYSTEM_USER)
    return (
        subprocess.run(
            argv, user=user.pw_uid, group=user.pw_gid, extra_groups=[], cwd="/", check=False
        ).returncode
        == 0
    )


@pytest.mark.thorough
def test_behind_a_closed_folder_data_programs_and_socket_lie_where_postgres_may_go(
    state, places, closed_programs
):
    assert postgres.problem(state) == ""
    postgres.prepare(state)
    place = state.postgres_home
    assert place.parent == places
    assert (place / "of").read_text() == f"{state.root}\n"
    assert (postgres.data(state) / "PG_VERSION").read_text() == "18\n"
    assert may("test", "-r", str(postgres.data(state) / "postgresql.conf"))
    assert may("test", "-w", str(postgres.socket_dir(state)))
    assert not may("test", "-r", str(state.keys / "postgres_password"))
    program = postgres.program(state, ())
    assert place in Path(program.argv[-3]).parents
    assert may(program.argv[-3], "--version")
    before = os.stat(program.argv[-3]).st_ino
    postgres.prepare(state)
    assert (state.postgres_home, os.stat(program.argv[-3]).st_ino) == (place, before)


def test_the_ledger_finds_postgres_in_its_place(state, places):
    postgres_home.settle(state)
    shutil.copy("/bin/sleep", places / "postgres")
    server = subprocess.Popen([str(places / "postgres"), "1000"], cwd=state.postgres_home, env={})
    try:
        assert [process.pid for process in process_table.processes(state.root)] == [server.pid]
    finally:
        server.kill()
        server.wait()


def test_root_in_a_container_finds_postgres_though_it_may_not_look_into_other_users_processes(state, places):
    postgres_home.settle(state)
    shutil.copy("/bin/sh", places / "postgres")
    user = postgres_home.system_user()
    data = str(postgres.data(state))
    server = subprocess.Popen(
        [str(places / "postgres"), "-c", "sleep 1000; true", "postgres", "-D", data],
        cwd=places,
        env={},
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=[],
    )
    look = (
        "import sys; from pathlib import Path; from console.embedded import process_table;"
        "print([process.pid for process in process_table.processes(Path(sys.argv[1]))])"
    )
    contained = [
        "setpriv",
        "--bounding-set=-sys_ptrace",
        "--inh-caps=-sys_ptrace",
        sys.executable,
        "-c",
        look,
    ]
    try:
        done = subprocess.run(
            [*contained, str(state.root)], capture_output=True, text=True, check=True, cwd=programs.BASE
        )
        assert server.pid in json.loads(done.stdout)
    finally:
        for process in (*psutil.Process(server.pid).children(), server):
            process.kill()
        server.wait()


def test_data_of_an_older_airdeck_moves_there_and_stays_its_own(state):
    old = state.postgres / "data"
    old.mkdir(parents=True, mode=0o700)
    (old / "PG_VERSION").write_text("18\n")
    (old / "base").mkdir()
    for path in (old, *old.rglob("*")):
        os.chown(path, 4321, 4321)
    postgres_home.settle(state)
    assert not old.exists()
    data = postgres.data(state)
    assert data.parent == state.postgres_home != state.postgres
    assert (data / "PG_VERSION").read_text() == "18\n"
    assert {path.stat().st_uid for path in (data, *data.rglob("*"))} == {4321}
    assert data.stat().st_mode & 0o777 == 0o700


def test_a_move_that_was_cut_short_is_made_again(state):
    old = state.postgres / "data"
    old.mkdir(parents=True)
    (old / "PG_VERSION").write_text("18\n")
    postgres_home.settle(state)
    place = state.postgres_home
    shutil.move(place / "data", old)  # as it was after the link, and half of a copy
    (place / "data.moving").mkdir()
    postgres_home.settle(state)
    assert [file.name for file in (place / "data").iterdir()] == ["PG_VERSION"]
    assert not (place / "data.moving").exists()


def test_a_reachable_state_folder_keeps_all_of_it(places):
    folder = Path(tempfile.mkdtemp(prefix="airdeck-open-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        state = StateDir(folder / "state")
        state.create()
        postgres_home.settle(state)
        assert postgres.data(state) == folder / "state" / "postgres" / "data"
        assert postgres.socket_dir(state) == state.run_dir / "pg"
        assert list(places.iterdir()) == []
    finally:
        shutil.rmtree(folder)


def test_a_lost_place_is_refused_and_not_made_anew(state):
    postgres_home.settle(state)
    shutil.rmtree(state.postgres_home)
    assert "is missing: put it back from a backup" in postgres.problem(state)


def test_a_copy_of_a_state_folder_does_not_run_on_the_database_of_the_first(state):
    postgres_home.settle(state)
    copy = StateDir(state.root.with_name("copy"))
    shutil.copytree(state.root, copy.root, symlinks=True)
    problem = postgres.problem(copy)
    assert problem.startswith(f"{copy.root} is a copy of {state.root}, and the database of both lies in ")
    assert postgres.problem(state) == ""


def test_a_state_folder_that_was_moved_keeps_its_database(state):
    postgres_home.settle(state)
    place = state.postgres_home
    moved = StateDir(state.root.with_name("moved"))
    state.root.rename(moved.root)
    assert postgres.problem(moved) == ""
    postgres_home.settle(moved)
    assert moved.postgres_home == place
    assert (place / "of").read_text() == f"{moved.root}\n"
    shutil.copytree(moved.root, state.root, symlinks=True)
    assert "is a copy of" in postgres.problem(state)
    assert postgres.problem(moved) == ""


@pytest.mark.parametrize(("program", "package"), [("setpriv", "util-linux"), ("useradd", "shadow-utils")])
def test_a_missing_program_is_named_with_what_brings_it(state, monkeypatch, program, package):
    there = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == program else there(name))
    assert f"`dnf install {package}` on Fedora" in postgres.problem(state)


def test_a_place_that_nobody_may_enter_is_refused_with_the_command(state, places, monkeypatch):
    monkeypatch.setattr(postgres_home, "PLACES", state.root / "lib" / "airdeck")
    (state.root / "lib").mkdir(mode=0o700)
    assert f"chmod o+x {state.root / 'lib'}" in postgres.problem(state)

"""The fence, by what is behind it: hostile code started by the real launcher, for each way of isolation that there is
here. The same code in a real Airflow is in test_airflow.py; what Airflow itself needs is proven by all tests there."""

import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from console.embedded import up
from console.tests.services import STATE
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.local.fence import accounts, landlock, plan, system, ways
from deployments.dataplane.local.fence.ways import Isolation
from deployments.dataplane.local.steps.fencing import Fencing
from deployments.dataplane.local.supervisor.specs import Spec, launch_argv, write_spec
from deployments.tests.dataplane.local import canary
from deployments.tests.dataplane.local.canary import THEIRS
from deployments.tests.dataplane.local.fence_scene import (
    OURS,
    ROOT,
    VERSION,
    VERSIONED,
    Scene,
    passable_python,
)

WAYS = {
    "landlock": Isolation(landlock.version()),
    "account": Isolation(0, account=True),
    "both": Isolation(landlock.version(), account=True),
}


@pytest.fixture(params=WAYS)
def way(request, monkeypatch, tmp_path) -> Isolation:
    """One of the ways that this machine offers."""
    found = WAYS[request.param]
    if not found.landlock and request.param != "account":
        pytest.skip("this kernel has no Landlock")
    if found.account and not (ROOT and ways._may_change_user() and passable_python()):
        pytest.skip("accounts need root, and a Python that everybody may run")
    monkeypatch.setattr(landlock, "version", lambda: found.landlock)
    monkeypatch.setattr(ways, "_accounts", lambda *_: found.account)
    monkeypatch.setattr(accounts, "CLAIMS", tmp_path / "accounts")
    return found


@pytest.fixture(scope="module")
def machine():
    made = Scene()
    yield made
    shutil.rmtree(STATE.runtime(VERSION), ignore_errors=True)  # where a test made it
    canary.clear(OURS)
    canary.clear(THEIRS)


@pytest.fixture
def scene(machine, way):
    machine.make(passable_python() if way.account else Path(os.path.realpath(sys.executable)))
    return machine


@pytest.mark.thorough
def test_hostile_code_reaches_nothing(scene, way) -> None:
    with scene.neighbour() as (pid, segment):
        found = scene.hostile(scene.targets(way, pid, segment))
    assert canary.left(found, way) == {}


def test_without_a_fence_the_same_code_reaches_most_of_it(machine, monkeypatch) -> None:
    """So it does try. Only what is made for this test is aimed at: without a fence it is destroyed."""
    monkeypatch.setattr(ways, "find", lambda *_, **__: Isolation(why="Told so."))
    machine.make(Path(os.path.realpath(sys.executable)))
    theirs = STATE.deployment(THEIRS)
    with machine.neighbour() as (pid, segment):
        every = machine.targets(Isolation(99, account=True), pid, segment)
        aimed = {
            "secrets": [str(theirs / "home/notes.txt")],
            "folders": [str(theirs / "tmp")],
            "files": [str(STATE.deployment(OURS) / VERSIONED)],
            "pids": [pid],
            "homes": [str(STATE.root)],
        }
        found = machine.hostile({**every, **aimed}, fenced=False)
    tried = {name.split()[0] for name in found}
    expected = "read read_in_a_subprocess handles list write proc trace signals abstract_sockets ports"
    expected += " shared_memory segments every_environment more_rights"
    assert set(expected.split()) <= tried
    assert "could" not in str(found)
    assert {"links", "change"} & tried  # the first of them destroys what the other would reach
    # These ask for a password, whoever asks.
    assert not tried & {"supervisord", "redis", "postgres"}


LEGITIMATE = """
import getpass, multiprocessing, os, socket, sqlite3, ssl, subprocess, sys, tempfile, threading, time
assert getpass.getuser()  # Airflow asks at its start
home = os.environ["HOME"]
open("relative.txt", "w").write("x")
with tempfile.TemporaryDirectory() as folder:
    assert folder.startswith(os.environ["TMPDIR"]), folder
    os.rename("relative.txt", folder + "/moved.txt")
assert subprocess.run(["sh", "-c", "echo $HOME; ls >/dev/null; cat /proc/self/stat >/dev/null"], check=True)
def work(queue, lock):
    with lock:
        queue.put(os.getpid())
queue, lock = multiprocessing.get_context("fork").SimpleQueue(), multiprocessing.get_context("fork").Lock()
child = multiprocessing.get_context("fork").Process(target=work, args=(queue, lock))
child.start(); assert queue.get() == child.pid; child.join()
child = subprocess.Popen(["sleep", "60"]); child.terminate(); assert child.wait() == -15
with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 20000)):
    socket.create_connection(one.getsockname()).close()
socket.create_server(("127.0.0.1", 8001)).close()
assert socket.gethostbyname("localhost") == "127.0.0.1"
ssl.create_default_context()
sqlite3.connect(home + "/x.db").execute("CREATE TABLE IF NOT EXISTS x (y)")
open("/dev/null", "w").write("x"); os.urandom(1); open("/dev/stdout", "w").write("")
assert open("/proc/self/environ").read() and os.listdir("/proc/self/fd") and open("/proc/meminfo").read()
print(open("../code/versions/1-abc/dag.py").read(), open("../secrets/redis.conf").read()[:11])
print("all of it works")
"""


def test_what_airflow_and_its_tasks_need_works(scene) -> None:
    assert "all of it works" in (said := scene.run(LEGITIMATE)), said


def test_a_folder_that_the_operator_shares_can_be_used(scene, tmp_path, monkeypatch) -> None:
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o001)
    script = (
        f"open({str(tmp_path / 'x')!r}, 'w').write('written'); print(open({str(tmp_path / 'x')!r}).read())"
    )
    monkeypatch.setattr(scene, "fencing", Fencing(**{**vars(scene.fencing), "shared": (str(tmp_path),)}))
    assert "written" in scene.run(script)


def test_a_fence_that_cannot_be_put_up_keeps_the_program_from_starting(scene) -> None:
    """Seccomp or a container may refuse what the kernel offers."""
    file = STATE.deployment(OURS) / "specs" / "broken.json"
    fence = {
        "uid": None,
        "groups": [],
        "landlock": True,
        "read": [],
        "write": [],
        "listen": [[0, 70_000]],
    }
    write_spec(file, Spec((sys.executable, "-c", "print('it runs')"), STATE.root, {}, fence=fence))
    done = subprocess.run(launch_argv(file), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "it runs" not in done.stdout
    assert re.search(r"launch.py: not started: the fence cannot be put up \(.+\)\.", done.stderr)


def test_supervisord_answers_nobody_without_its_password(machine) -> None:
    machine.supervisor.processes()  # raises unless it answers us
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(STATE.supervisor_socket))
        link.sendall(b"POST /RPC2 HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        assert b" 401 " in link.recv(100)
    assert STATE.supervisor_password.stat().st_mode & 0o777 == 0o600


def test_what_everybody_may_read_of_a_folder_is_told_from_what_root_alone_may(tmp_path) -> None:
    for name, mode in {
        "open/a": 0o644,
        "open/b": 0o644,
        "mixed/a": 0o644,
        "mixed/key": 0o600,
        "own/a": 0o644,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(mode)
    for folder, mode in {"": 0o755, "open": 0o755, "mixed": 0o755, "own": 0o700}.items():
        (tmp_path / folder).chmod(mode)
    assert sorted(system.read_by_everybody(str(tmp_path))) == [
        str(tmp_path / "mixed/a"),
        str(tmp_path / "open"),
    ]
    assert system.read_by_everybody(str(tmp_path / "open")) == [str(tmp_path / "open")]


def test_servers_of_tasks_may_listen_where_nobody_expects_a_console() -> None:
    def listens(port: int) -> list[list[int]]:
        where = {
            "sockets": Path("/s"),
            "programs": [],
            "shared": [],
            "groups": [],
            "uid": None,
            "landlock": True,
        }
        return plan.fence(Path("/d"), **where, port=20_000, console_port=port)["listen"]

    assert listens(9000) == [[0, 0], [20_000, 20_000], [8000, 8999]]
    assert listens(8000) == [[0, 0], [20_000, 20_000], [8001, 8999]]
    assert listens(8500) == [[0, 0], [20_000, 20_000], [8000, 8499], [8501, 8999]]


SENTENCES = {
    (0, False): "Not isolated: ",
    (0, True): "Isolated: each Deployment has an account of its own. ",
    (
        1,
        False,
    ): "Isolated in part: .* empty files .*, take the port .* and end processes of this user. Linux 6.12",
    (4, False): "Isolated in part: .* can end processes of this user. Linux 6.12 or newer prevents that.",
    (7, False): "Isolated: Landlock keeps",
    (7, True): "Isolated: each Deployment has an account of its own, and Landlock",
}


@pytest.mark.parametrize(("version", "account"), SENTENCES)
def test_what_a_way_is_worth_is_said_in_a_sentence(version, account) -> None:
    found = Isolation(version, account=account, why="Because." * (not version))
    assert re.match(SENTENCES[version, account], found.sentence)
    assert found.whole == found.sentence.startswith("Isolated:")


def test_an_account_is_claimed_once_on_the_machine_and_given_back(tmp_path) -> None:
    claims = tmp_path / "accounts"
    with suppress(DataPlaneError):
        first = accounts.allot(STATE, OURS, claims)
        assert accounts.allot(STATE, OURS, claims) == first
        second = accounts.allot(STATE, THEIRS, claims)
        assert {first, second} <= set(range(accounts.FIRST, accounts.LAST + 1))
        assert first != second
        (claims / str(first)).write_text(
            f"{tmp_path / 'gone'}\nsome-other-0001\n"
        )  # a state folder that was removed
        assert accounts.allot(STATE, OURS, claims) == first
        accounts.release(STATE, OURS, first, claims)
        assert sorted(file.name for file in claims.iterdir()) == [str(second)]
        (claims / str(first)).write_text(f"{tmp_path}\nsome-other-0001\n")
        assert accounts.allot(STATE, OURS, claims) not in (first, second)
    for release in (OURS, THEIRS):
        (STATE.deployment(release) / "account").unlink(missing_ok=True)


def test_what_holds_nothing_secret_is_opened_once_and_no_more_than_it_was(tmp_path) -> None:
    folder = tmp_path / "env"
    for name, mode in {"bin/run": 0o700, "lib/a.py": 0o600, "lib/kept.py": 0o400}.items():
        (folder / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / name).write_text("x")
        (folder / name).chmod(mode)
    (folder / "link").symlink_to("/etc/shadow")
    folder.chmod(0o700)
    accounts.let_everybody_read(folder)
    modes = {
        str(p.relative_to(folder)): p.lstat().st_mode & 0o777 for p in folder.rglob("*") if not p.is_symlink()
    }
    assert modes == {"bin": 0o755, "lib": 0o755, "bin/run": 0o755, "lib/a.py": 0o644, "lib/kept.py": 0o444}
    (folder / "lib/a.py").chmod(0o600)
    accounts.let_everybody_read(folder)
    assert (folder / "lib/a.py").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(not ROOT, reason="only root gives files away")
def test_files_are_given_away_without_following_links(tmp_path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "home"
    outside.write_text("ours")
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "link").symlink_to(outside)
    (folder / "file").write_text("x")
    accounts.give(folder, 40_001)
    assert outside.stat().st_uid == 0
    for path in (folder, folder / "below", folder / "below" / "link", folder / "file"):
        assert path.lstat().st_uid == 40_001


def test_a_deployment_without_a_whole_fence_says_so_in_a_sentence(scene, monkeypatch) -> None:
    assert scene.fencing.details(OURS) == {}  # nothing is wrong
    off = Fencing(**{**vars(scene.fencing), "switched_on": False})
    monkeypatch.setattr(scene, "fencing", off)
    assert off.document(OURS, VERSION, 20_000) is None
    (note,) = off.details("calm-orbit-0003").values()  # before it was started
    assert note.startswith("Not isolated: the code of every Deployment can read the console's keys and ")
    assert note.endswith("FENCE is false: leave it out to isolate them.")


def test_what_a_program_was_started_with_counts_and_not_what_it_would_be(scene) -> None:
    """A console that was told FENCE=false and then not restarts programs only when it comes to them."""
    file = STATE.deployment(OURS) / "specs" / "api-server.json"
    write_spec(file, Spec((sys.executable,), STATE.root))
    assert scene.fencing.details(OURS)["Isolation"].startswith("Not isolated: ")
    file.unlink()


def test_the_link_to_the_configuration_is_put_back_and_what_was_there_is_kept(scene) -> None:
    folder = STATE.deployment(OURS)
    link = folder / "home" / "config"
    for kind in ("another link", "a folder", "nothing"):
        link.unlink()
        if kind == "another link":
            link.symlink_to(STATE.keys)
        elif kind == "a folder":
            link.mkdir()
            (link / "airflow_local_settings.py").write_text("kept")
        scene.fencing.prepare(OURS, VERSION)
        assert link.readlink() == folder / "config", kind
    assert not (STATE.keys / "airdeck_bundle.py").exists()
    (kept,) = (folder / "home").glob("config.before.*/airflow_local_settings.py")
    assert kept.read_text() == "kept"
    shutil.rmtree(kept.parent)


def test_the_configuration_of_an_older_airdeck_moves(scene) -> None:
    folder = STATE.deployment(OURS)
    shutil.rmtree(folder / "config")
    (folder / "home" / "config").unlink()
    (folder / "home" / "config").mkdir()
    (folder / "home" / "config" / "mine.py").write_text("kept")
    scene.fencing.prepare(OURS, VERSION)
    assert (folder / "config" / "mine.py").read_text() == "kept"
    assert (folder / "home" / "config").readlink() == folder / "config"


def test_the_start_warns_where_there_is_something_to_warn_of(monkeypatch) -> None:
    monkeypatch.setenv("FENCE", "false")
    assert up._not_isolated(STATE.root, Path("/bin/true")).startswith("\nNot isolated: ")
    monkeypatch.delenv("FENCE")
    monkeypatch.setattr(landlock, "version", lambda: 7)
    assert up._not_isolated(STATE.root, Path("/bin/true")) == ""
    monkeypatch.setattr(landlock, "version", lambda: 0)
    monkeypatch.setattr(ways, "_accounts", lambda *_: False)
    assert "Linux 5.13 or newer" in up._not_isolated(STATE.root, Path("/bin/true"))

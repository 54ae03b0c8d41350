"""`manage.py up` refuses with one sentence and changes nothing."""

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections import namedtuple
from pathlib import Path

import pytest

from console.embedded import keys, postgres, postgres_home, preflight, programs, redis_server, up
from console.embedded.errors import StartRefused
from console.embedded.signals import Signals
from console.tests.system.installation import free_port
from deployments.dataplane.local.state_dir import StateDir

BASE = Path(up.__file__).parent.parent.parent
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A state folder that does not exist yet, in an otherwise fit environment."""
    for name in preflight.PRODUCTION_ONLY:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PORT", str(free_port()))
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def refused(capsys) -> str:
    """Run `up` and return its one sentence."""
    assert up.main([]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Airdeck cannot start: ")
    assert err.count("\n") == 1
    return err


def test_a_taken_port_is_refused_and_its_owner_named(root, monkeypatch, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        assert f"port {port} is taken by process {os.getpid()} (" in refused(capsys)
    assert not root.exists()


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", ""])
def test_a_port_that_is_none_is_refused(root, monkeypatch, capsys, port):
    monkeypatch.setenv("PORT", port)
    assert "choose a number from 1 to 65535" in refused(capsys)
    assert not root.exists()


@pytest.mark.parametrize("address", ["everywhere", "0.0.0.0:80", "[::]"])
def test_an_address_to_listen_on_that_is_none_is_refused(root, monkeypatch, capsys, address):
    monkeypatch.setenv("LISTEN_ADDRESS", address)
    assert "write 127.0.0.1, or 0.0.0.0 in a container" in refused(capsys)
    assert not root.exists()


def test_the_console_listens_where_it_is_told_and_else_on_this_machine_alone(root, monkeypatch):
    assert preflight.check(os.environ, default_state=root).host == "127.0.0.1"
    monkeypatch.setenv("LISTEN_ADDRESS", "0.0.0.0")
    web = next(
        each
        for each in programs.programs(preflight.check(os.environ, default_state=root))
        if each.name == "web"
    )
    assert "--host=0.0.0.0" in web.argv


def test_an_address_that_this_machine_does_not_have_is_refused(root, monkeypatch, capsys):
    monkeypatch.setenv("LISTEN_ADDRESS", "192.0.2.1")
    assert "LISTEN_ADDRESS is 192.0.2.1, which is not an address of this machine" in refused(capsys)
    assert not root.exists()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8123"),
        ("0.0.0.0", "http://127.0.0.1:8123"),
        ("192.168.1.7", "http://192.168.1.7:8123"),
        ("::", "http://[::1]:8123"),
        ("::1", "http://[::1]:8123"),
    ],
)
def test_the_first_page_is_asked_for_where_web_listens(tmp_path, host, url):
    plan = preflight.StartPlan(StateDir(tmp_path / "state"), 8123, Path("/usr/bin/redis-server"), host)
    assert plan.url == url


def test_a_console_that_listens_at_another_address_gets_ready(tmp_path):
    with socket.create_server(("127.0.0.5", 0)) as web:
        plan = preflight.StartPlan(
            StateDir(tmp_path / "state"), web.getsockname()[1], Path("/bin/true"), "127.0.0.5"
        )
        asked = threading.Thread(target=_answer, args=(web,))
        asked.start()
        with Signals() as signals:
            assert up._Run(plan, signals)._page_answers()
        asked.join(5)


def _answer(web: socket.socket) -> None:
    connection, _ = web.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def test_ctrl_c_does_not_reach_what_makes_the_database(root, tmp_path, monkeypatch):
    state = StateDir(root)
    state.create()
    keys.ensure(state, has_data=False)
    state.postgres.mkdir()
    script = tmp_path / "initdb"
    script.write_text(f'#!/bin/sh\necho "$AIRDECK_STATE" "$(cut -d" " -f6 /proc/$$/stat)" > {root}/seen\n')
    script.chmod(0o755)
    monkeypatch.setattr(postgres_home, "programs", lambda _: tmp_path)
    monkeypatch.setattr(postgres, "_as_postgres_user", lambda: ())
    postgres._initdb(state)
    tag, session = (root / "seen").read_text().split()
    assert tag == str(root)
    assert int(session) != os.getsid(0)


def test_a_nearly_full_disk_is_refused(root, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(10 * 2**30, 8.5 * 2**30, 1.5 * 2**30))
    assert "has 1.5 GiB free and Airdeck needs at least 2 GiB" in refused(capsys)
    assert not root.exists()


def test_a_state_folder_of_a_newer_version_is_refused_and_kept(root, capsys):
    root.mkdir()
    (root / "version").write_text("99\n")
    assert "was written by a newer Airdeck (format 99" in refused(capsys)
    assert [file.name for file in root.iterdir()] == ["version"]


def test_the_version_is_never_half_written(root, monkeypatch):
    state = StateDir(root)
    state.create()
    preflight.write_version(state)

    def cut_short(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(preflight, "STATE_VERSION", 2)
    monkeypatch.setattr(os, "fsync", cut_short)
    with pytest.raises(OSError, match="no space"):
        preflight.write_version(state)
    assert state.version_file.read_text() == "1\n"


def test_what_cleans_tmp_passes_over_the_sockets_of_a_console_that_runs(root, monkeypatch):
    state = StateDir(root)
    monkeypatch.setattr(postgres, "data", lambda _: root / "none")
    plan = preflight.StartPlan(state, 8000, Path("/usr/bin/redis-server"))
    locks = up._claim(plan)
    cleaner = os.open(state.run_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(cleaner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        for each in (*locks, cleaner):
            os.close(each)


def test_a_folder_of_which_a_part_cannot_be_made_is_refused_in_a_sentence(root, capsys):
    root.mkdir()
    (root / "keys").write_text("")
    assert "keys" in refused(capsys)


def test_a_folder_that_is_not_ours_is_refused(root, capsys):
    root.mkdir()
    (root / "version").write_text("hello\n")
    assert "does not hold a version number" in refused(capsys)


@pytest.mark.parametrize("name", ["a%b", "a;b", "a\nb", "a'b", "a\u202eb"])
def test_a_path_that_supervisord_cannot_take_is_refused(root, monkeypatch, capsys, name):
    monkeypatch.setenv("STATE_DIR", str(root.with_name(name)))
    assert "cannot be used" in refused(capsys)
    assert not root.with_name(name).exists()


@pytest.mark.parametrize("name", ["two  spaces", "ü", "u\u0308", "Ж", "संग्रह", "long-" * 60])
def test_any_ordinary_path_is_taken(root, monkeypatch, name):
    place = root.parent.joinpath(*(name[at : at + 100] for at in range(0, len(name), 100)))
    monkeypatch.setenv("STATE_DIR", str(place))
    state = preflight.check(os.environ, default_state=root).state
    assert state.root == place
    assert len(os.fsencode(state.redis_socket)) < 100


def test_a_link_to_the_state_folder_stands_for_it(root, monkeypatch):
    root.mkdir()
    link = root.with_name("link")
    link.symlink_to(root)
    monkeypatch.setenv("STATE_DIR", str(link))
    state = preflight.check(os.environ, default_state=root).state
    state.create()
    assert state.root == root


def test_a_file_in_place_of_the_state_folder_is_refused(root, capsys):
    root.write_text("")
    assert "is not a folder in which this user may write" in refused(capsys)


def test_no_redis_is_refused_with_what_to_install(root, monkeypatch, capsys):
    monkeypatch.setattr(redis_server, "find_binary", lambda: None)
    assert "install one (`apt install redis-server` on Debian, `dnf install valkey` on Fedora" in refused(
        capsys
    )
    assert not root.exists()


@pytest.mark.parametrize("name", preflight.PRODUCTION_ONLY)
def test_settings_of_a_production_installation_are_refused(root, monkeypatch, capsys, name):
    monkeypatch.setenv(name, "x")
    assert f"{name} is set, but `up` is for one person's machine" in refused(capsys)
    assert not root.exists()


def test_a_lost_key_beside_data_is_refused_and_not_made_anew(tmp_path):
    state = StateDir(tmp_path / "state")
    state.create()
    keys.ensure(state, has_data=False)
    assert {file.stat().st_mode & 0o777 for file in state.keys.iterdir()} == {0o600}
    before = keys.read(state, "encryption_keys")
    keys.ensure(state, has_data=True)
    assert keys.read(state, "encryption_keys") == before
    (state.keys / "encryption_keys").unlink()
    with pytest.raises(StartRefused, match="encryption_keys is missing"):
        keys.ensure(state, has_data=True)
    assert not (state.keys / "encryption_keys").exists()


def test_an_old_python_gets_one_sentence_from_manage_py():
    script = (
        "import runpy, sys; sys.version_info = (3, 11, 2); sys.argv = ['manage.py', 'up'];"
        f"runpy.run_path({str(BASE / 'manage.py')!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Airdeck needs Python 3.12 or newer; this is ")
    assert done.stderr.count("\n") == 1


def test_a_command_without_a_console_says_what_to_start(root):
    plain = {"PATH": os.environ["PATH"], "STATE_DIR": str(root)}
    done = subprocess.run(
        [sys.executable, "manage.py", "createsuperuser", "--noinput", "--email", "olga@example.org"],
        cwd=BASE, env=plain, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        f"This command needs a database. No console runs in {root}: start it with `make run`, or set "
        "DATABASE_URL and the other variables of the console that is meant (README.md).\n"
    )


@pytest.mark.parametrize("name", sorted(keys.KEYS))
@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe\x00"])
def test_an_empty_or_damaged_key_is_refused_and_kept(root, capsys, name, content):
    state = StateDir(root)
    state.create()
    keys.ensure(state, has_data=False)
    (state.keys / name).write_bytes(content)
    assert f"{state.keys / name} is empty or damaged" in refused(capsys)
    assert (state.keys / name).read_bytes() == content


@pytest.mark.parametrize("content", ["short", "a" * 44, "a" * 43 + "=\nnonsense"])
def test_a_key_that_decrypts_nothing_is_refused(root, capsys, content):
    state = StateDir(root)
    state.create()
    keys.ensure(state, has_data=False)
    (state.keys / "encryption_keys").write_text(content)
    message = refused(capsys)
    assert "encryption_keys is empty or damaged" in message
    assert content not in message

"""The small parts of the local data plane: launcher, jobs, ports, and what a failed install says."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from console.kit.files import write_private
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.local import ports
from deployments.dataplane.local.health import probe
from deployments.dataplane.local.runtimes import install, lock_files, runtimes
from deployments.dataplane.local.runtimes.jobs import Job, JobStatus, begin
from deployments.dataplane.local.state_dir import StateDir
from deployments.dataplane.local.supervisor.launch import NICE
from deployments.dataplane.local.supervisor.specs import (
    LAUNCHER,
    Spec,
    launch_argv,
    restarts,
    running_digest,
    started_file,
    write_spec,
)

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
SHOW = "import json, os; print(json.dumps([dict(os.environ), os.getcwd(), os.getpid()]))"


@pytest.fixture
def paths(tmp_path: Path) -> StateDir:
    made = StateDir(tmp_path / "state")
    made.create()
    return made


def launch(spec_file: Path) -> subprocess.CompletedProcess[str]:
    leaky = {**os.environ, "LEAK": "supervisord's", "PYTHONPATH": "/nowhere"}
    return subprocess.run(launch_argv(spec_file), env=leaky, capture_output=True, text=True, check=False)


def test_a_program_gets_exactly_its_environment_whatever_is_in_it(tmp_path: Path) -> None:
    environment = {"EVIL": "a\n[program:evil]\ncommand=/bin/true 100%", "QUOTES": "'\"`$x", "UMLAUT": "ü"}
    spec = Spec((sys.executable, "-I", "-c", SHOW), tmp_path, environment)
    file = tmp_path / "spec.json"
    assert write_spec(file, spec)
    assert not write_spec(file, spec)
    assert file.stat().st_mode & 0o777 == 0o600
    done = launch(file)
    seen, folder, pid = json.loads(done.stdout)
    assert {k: v for k, v in seen.items() if k != "LC_CTYPE"} == environment
    assert folder == str(tmp_path)
    assert running_digest(file, pid) == spec.digest
    assert running_digest(file, pid + 1) == ""
    assert restarts(file) == 0
    launch(file)
    assert restarts(file) == 1


def test_a_spec_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    write_spec(file, Spec(("/bin/true",), tmp_path))
    file.chmod(0o644)
    done = launch(file)
    assert done.returncode == 1
    assert "owner alone" in done.stderr


def test_what_a_killed_predecessor_left_in_its_group_is_ended_before_the_next_start(tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    tags = {"AIRDECK_STATE": str(tmp_path), "AIRDECK_DEPLOYMENT": "calm-orbit-0012"}
    write_spec(file, Spec(("/bin/true",), tmp_path, {**tags, "NEW": "setting"}))
    leader, child = leaderless_group({**tags, "OLD": "setting"})
    write_private(started_file(file), json.dumps({"pid": leader, "digest": "old", "starts": 3}))
    assert launch(file).returncode == 0
    deadline = time.monotonic() + 30
    while runs(child):
        assert time.monotonic() < deadline, "the orphan lives"
        time.sleep(0.02)


@pytest.mark.parametrize(
    "whose", [{}, {"AIRDECK_DEPLOYMENT": "calm-orbit-0013"}, {"AIRDECK_STATE": "/other"}]
)
def test_strangers_whose_group_got_the_old_number_are_left_alone(
    tmp_path: Path, whose: dict[str, str]
) -> None:
    file = tmp_path / "spec.json"
    tags = {"AIRDECK_STATE": str(tmp_path), "AIRDECK_DEPLOYMENT": "calm-orbit-0012"}
    write_spec(file, Spec(("/bin/true",), tmp_path, tags))
    leader, child = leaderless_group({**tags, **whose} if whose else {})
    ended = os.pidfd_open(child)
    try:
        write_private(started_file(file), json.dumps({"pid": leader, "digest": "old", "starts": 3}))
        assert launch(file).returncode == 0
        assert not select.select([ended], [], [], 0.2)[0]
    finally:
        signal.pidfd_send_signal(ended, signal.SIGKILL)
        os.close(ended)


def leaderless_group(environment: dict[str, str]) -> tuple[int, int]:
    """A process group whose leader was killed: its number, and the process that is left in it."""
    leader = subprocess.Popen(
        ["/bin/sh", "-c", "sleep 1000 & echo $!; kill -9 $$"],
        stdout=subprocess.PIPE,
        process_group=0,
        text=True,
        env={"PATH": os.defpath, **environment},
    )
    assert leader.stdout is not None
    child = int(leader.stdout.readline())
    leader.wait()
    leader.stdout.close()
    return leader.pid, child


def runs(pid: int) -> bool:
    """Whether it lives; what is only not reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_private_file_is_written_again_only_when_something_is_wrong_with_it(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "key"
    assert write_private(file, "one")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("one", 0o600)
    assert not write_private(file, "one")
    assert write_private(file, "two")
    file.chmod(0o644)
    assert write_private(file, "two")
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_stranger_that_got_the_old_pid_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    write_spec(file, Spec(("/bin/true",), tmp_path))
    stranger = subprocess.Popen(["/bin/sleep", "1000"], process_group=0)
    try:
        write_private(started_file(file), json.dumps({"pid": stranger.pid, "digest": "old", "starts": 1}))
        assert launch(file).returncode == 0
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_program_goes_after_the_console_where_both_want_a_core(tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    write_spec(file, Spec((sys.executable, "-I", "-c", "import os; print(os.nice(0))"), tmp_path))
    assert int(launch(file).stdout) == min(os.nice(0) + NICE, 19)


def test_the_launcher_needs_nothing_but_the_standard_library() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(LAUNCHER), "/nowhere.json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "FileNotFoundError" in done.stderr
    assert "ModuleNotFoundError" not in done.stderr


def test_ports_are_kept_and_never_given_twice(paths: StateDir) -> None:
    names = [f"calm-orbit-{number:04d}" for number in range(20)]
    given = {name: ports.allot(paths, name) for name in names}
    assert len(set(given.values())) == len(names)
    assert {name: ports.allot(paths, name) for name in names} == given
    assert ports.upstream(paths.root, names[0]) == given[names[0]]
    ports.release_all(paths, names[0])
    assert not (paths.ports / str(given[names[0]])).exists()


def test_a_port_that_a_stranger_holds_is_not_given(paths: StateDir) -> None:
    first = ports.allot(paths, "calm-orbit-0001")
    with socket.create_server(("127.0.0.1", first)):
        moved = ports.allot(paths, "calm-orbit-0001", avoid=first)
        assert moved != first
        assert ports.upstream(paths.root, "calm-orbit-0001") == moved
    assert not (paths.ports / str(first)).exists()


@pytest.mark.parametrize("name", ["../../etc", "calm-orbit-0001/../x", "", "nobody-here-0000", "x\n"])
def test_the_proxy_finds_no_port_for_a_name_that_is_none(paths: StateDir, name: str) -> None:
    assert ports.upstream(paths.root, name) is None


@pytest.mark.parametrize("listening", [False, True])
def test_a_redis_that_is_not_there_or_hangs_holds_up_no_look(tmp_path: Path, *, listening: bool) -> None:
    path = tmp_path / "redis.sock"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        if listening:
            silent.listen()
        began = time.monotonic()
        assert probe.connected_workers(path, "password") is None
        assert time.monotonic() - began < 10 * probe.REDIS_SECONDS  # else for ever


def test_a_job_that_fails_waits_longer_each_time_and_one_that_was_killed_is_repeated_at_once(
    tmp_path: Path,
) -> None:
    job = Job("runtime-0.0-1", tmp_path)
    assert job.status() == JobStatus()
    first = begin(job, "Installing.")
    assert job.status() == first
    assert first.wait(time.time()) == 0  # killed: the file still says that it runs
    again = begin(job, "Installing.")
    assert again.attempts == 2
    delays = [JobStatus("x", n, 1000.0, failed=True).wait(1000.0) for n in (1, 2, 3, 20)]
    assert delays == [5, 10, 20, 300]


def test_only_one_process_holds_a_job(tmp_path: Path) -> None:
    job = Job("runtime-0.0-1", tmp_path)
    with job.lock() as first, job.lock() as second:
        assert (first, second) == (True, False)
    with job.lock() as third:
        assert third


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (
            "error: Failed to download `a2wsgi==1.10.10`\n  cause: Hash mismatch for `a2wsgi==1.10.10`\n",
            ("a2wsgi==1.10.10", "hash mismatch"),
        ),
        (
            "error: Request failed after 3 retries in 8.9s\n"
            "  cause: Failed to fetch: https://index.example/simple/a2wsgi/\n  cause: tcp connect error\n",
            ("a2wsgi", "cannot be reached"),
        ),
        (
            "error: Failed to write to the client cache\n"
            "  cause: failed to write to file `/x/.tmp`: No space left on device (os error 28)\n",
            ("the disk is full",),
        ),
        ("error: No solution found\n  cause: there is no version of x==9.\n", ("there is no version",)),
        ("", ("the installer was ended",)),
    ],
)
def test_a_failed_install_is_told_in_one_sentence(output: str, words: tuple[str, ...]) -> None:
    message = runtimes.explain(output, "3.3.2")
    assert message.startswith("Installing Airflow 3.3.2 failed")
    assert message.endswith(".")
    assert all(word in message for word in words)


def test_every_lock_names_hashes_a_working_celery_and_its_airflow() -> None:
    for file in lock_files.LOCKS.glob("*.txt"):
        text = file.read_text()
        assert text.startswith(f"# Runtime {file.stem}: Apache Airflow ")
        assert f"apache-airflow=={text.split('Apache Airflow ')[1].split()[0]} " in text
        assert "\ncelery==5.6.3 " in text
        assert lock_files.package_count(file.stem) > 100
        assert text.count("--hash=sha256:") > lock_files.package_count(file.stem)


def test_an_unknown_runtime_is_told_with_those_there_are() -> None:
    with pytest.raises(DataPlaneError, match=r"Choose one of 3\.2-1, 3\.3-1"):
        lock_files.lock_file("9.9-9")


def test_an_install_keeps_the_way_to_the_index_and_nothing_else(paths: StateDir) -> None:
    environ = {"PATH": "/bin", "HTTPS_PROXY": "http://u:p@proxy", "SECRET_KEY": "x", "DATABASE_URL": "y"}
    spec = runtimes.install_spec(paths, "3.3-1", "3.3.2", environ)
    assert spec.env["HTTPS_PROXY"] == "http://u:p@proxy"
    assert not {"SECRET_KEY", "DATABASE_URL"} & set(spec.env)
    assert not any("proxy" in argument for argument in spec.argv)


@pytest.mark.parametrize(
    ("pythons", "tried"),
    [
        ((HERE,), [[sys.executable, "--no-python-downloads"]]),
        (("3.7", "3.8"), [["3.8", "--no-python-downloads"], ["3.7", "--no-python-downloads"], ["3.8"]]),
    ],
)
def test_a_runtime_gets_a_python_that_its_airflow_supports(tmp_path, monkeypatch, pythons, tried) -> None:
    asked: list[list[str]] = []

    def fail_unless_here(command: list[str]) -> str:
        asked.append(command[command.index("--python") + 1 : -1])
        if sys.executable not in command:
            raise install.InstallFailed("there is none")
        return ""

    monkeypatch.setattr(install, "_run", fail_unless_here)
    if HERE in pythons:
        install._make_environment(tmp_path, pythons, "3.3.2")
    else:
        with pytest.raises(install.InstallFailed, match=r"needs Python 3\.7 or 3\.8, this machine has none"):
            install._make_environment(tmp_path, pythons, "3.3.2")
    assert asked == tried


def test_every_lock_names_its_pythons_and_this_one_among_them() -> None:
    assert all(HERE in runtimes.pythons(version) for version in lock_files.locked_versions())

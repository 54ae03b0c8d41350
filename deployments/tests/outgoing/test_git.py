"""Reading repositories from real servers on loopback, and what each thing that can go wrong is said in."""

import os
import socket
import sys
import threading
import time
from contextlib import suppress

import asyncssh
import psutil
import pytest

from deployments.domain.code_archive import Unpacked
from deployments.domain.code_errors import CodeRefused
from deployments.domain.code_manifest import Manifest
from deployments.domain.public_hosts import Listed
from deployments.outgoing.git import ask, child, history, keys
from deployments.outgoing.git.wish import Commit, GitRefused, GitWish, RefusalKind
from deployments.tests.git import fixtures as served_repositories
from deployments.tests.git.repositories import LINK, PROGRAM, SUBMODULE
from deployments.tests.git.servers import Tcp

loopback, repository = served_repositories.loopback, served_repositories.repository
https, ssh = served_repositories.https, served_repositories.ssh
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 5\n"


@pytest.fixture
def read(tmp_path, loopback):
    """Reads with a wish of which a test says what matters."""
    count = iter(range(100))

    def make(address, *, seconds=None, apart=False, **changes):
        here = tmp_path / f"look-{next(count)}"
        for name in ("repository", "scratch"):
            (here / name).mkdir(parents=True)
        values = {
            "address": address,
            "branch": "main",
            "subfolder": "",
            "known": "",
            "look_only": False,
            "repository": str(here / "repository"),
            "scratch": str(here / "scratch"),
            "listed": ["127.0.0.0/8"],
            "token_user": "git",
        }
        times = {"refs_seconds": seconds, "total_seconds": seconds} if seconds else {}
        make.scratch = here / "scratch"
        wish = GitWish(**{**values, **changes})
        if apart or seconds or not address.startswith("https"):
            return ask.read(wish, **times)
        return in_this_process(wish)

    return make


def in_this_process(wish: GitWish) -> ask.GitAnswer:
    """What `ask.read` gives, without a child process: it takes most of a second to start."""
    said: list[dict] = []
    try:
        found = child.read(wish, said.append)
    except (CodeRefused, GitRefused) as error:
        kind = RefusalKind.LASTING if isinstance(error, CodeRefused) else error.kind
        refusal = GitRefused(str(error), kind)
        raise ask.GitStopped(refusal, said[0]["head"]) if said else refusal from None
    if not found:
        return ask.GitAnswer(said[0]["head"])
    unpacked = Unpacked(Manifest.read(found["manifest"]), found["left_out"])
    return ask.GitAnswer(said[0]["head"], Commit(*found["commit"]), unpacked, found["rewritten"])


def refused(read, *args, **changes) -> GitRefused:
    with pytest.raises(GitRefused) as caught:
        read(*args, **changes)
    assert str(caught.value).endswith((".", "”"))
    return caught.value


def line_of(key: asyncssh.SSHKey) -> str:
    return " ".join(key.export_public_key().decode().split()[:2])


def paths(answer) -> dict[str, int]:
    return {file.path: file.size for file in answer.unpacked.manifest.files}


def test_the_newest_commit_comes_whole_over_https_and_only_when_it_is_wanted(read, https, repository):
    answer = read(https.url("dags.git"), apart=True)
    assert answer.head == repository.first
    assert (answer.commit.subject, answer.commit.author) == ("The first DAG", "Ada <ada@example.org>")
    assert paths(answer) == {"README.md": 5, "dags/lib/help.py": 6, "dags/one.py": 28}
    assert sorted(os.listdir(read.scratch)) == sorted({f.sha256 for f in answer.unpacked.manifest.files})
    https.asked.clear()
    for changes in ({"known": repository.first}, {"look_only": True}):
        answer = read(https.url("dags.git"), **changes)
        assert (answer.head, answer.commit) == (repository.first, None)
    assert not any(path.endswith("git-upload-pack") for path in https.asked)  # a look asks for no object


def test_a_branch_that_was_rewritten_is_noticed_and_one_that_went_on_is_not(read, https, repository):
    base = repository.first
    for number in range(3):
        ahead = repository.commit({"dags/one.py": b"X = %d\n" % number})
    url = https.url("dags.git")
    assert not read(url, after=base).rewritten  # some commits later
    assert not read(url, after=ahead).rewritten
    repository.move("main", base)
    other = repository.commit({"dags/one.py": b"X = 'another way'\n"})
    repository.commit({"dags/one.py": b"X = 'and on'\n"})
    answer = read(url, after=ahead, apart=True)
    assert answer.rewritten
    assert paths(answer)["dags/one.py"] == 13
    assert not read(url, after=other).rewritten
    assert not read(url, after="").rewritten  # the first


def test_what_goes_wrong_while_the_history_is_read_stops_no_deploy(read, https, repository, monkeypatch):
    repository.commit({"dags/one.py": b"1"})
    repository.commit({"dags/one.py": b"2"})
    monkeypatch.setattr(history, "HISTORY_BYTES", 10)
    answer = read(https.url("dags.git"), after="f" * 40)
    assert (answer.rewritten, answer.commit is not None) == (False, True)


def test_a_subfolder_what_is_left_out_and_what_may_be_run(read, https, repository):
    repository.commit(
        {
            "secret.txt": b"not in the folder",
            "team/dags/.airdeckignore": b"*.md\nvendor/\n/link\n/big.bin\n",
            "team/dags/run.sh": (PROGRAM, b"#!/bin/sh\n"),
            "team/dags/a.md": b"left out",
            "team/dags/.env": b"A=1",
            "team/dags/vendor": (SUBMODULE, b"1" * 40),
            "team/dags/link": (LINK, b"/etc/passwd"),
            "team/dags/big.bin": LFS,
        }
    )
    answer = read(https.url("dags.git"), subfolder="team/dags")
    assert paths(answer).keys() == {".airdeckignore", "run.sh"}
    assert {f.path: f.executable for f in answer.unpacked.manifest.files}["run.sh"]
    assert answer.unpacked.left_out == 5


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"a.py": b"", "vendor/lib": (SUBMODULE, b"1" * 40)}, "vendor/lib is a submodule"),
        ({"a.py": b"", "passwd": (LINK, b"/etc/passwd")}, "passwd is a link"),
        ({"a.py": b"", "data/big.bin": LFS}, "data/big.bin is a pointer of Git LFS"),
        ({"A.py": b"", "a.py": b"1"}, "differ only in case"),
        ({"a\\b.py": b""}, "backslash"),
        ({"a\nb.py": b""}, "control character"),
        ({"README.pyc": b""}, "holds no file of code"),
        ({".airdeckignore": b"\xff\xfe", "a.py": b""}, "not UTF-8"),
        ({".airdeckignore": (LINK, b"x"), "a.py": b""}, ".airdeckignore is a link"),
    ],
)
def test_what_cannot_be_deployed_is_refused_by_name_and_for_good(read, https, repository, files, why):
    sha = repository.commit(files)
    error = refused(read, https.url("dags.git"))
    assert why in str(error)
    assert (error.kind, error.head) == (RefusalKind.LASTING, sha)


def test_much_of_the_same_is_no_bomb(read, https, repository):
    repository.commit({"zeros.bin": bytes(12_000_000), "a.py": b""})
    assert paths(read(https.url("dags.git")))["zeros.bin"] == 12_000_000


def test_a_missing_branch_or_subfolder(read, https, repository):
    assert "has no branch develop" in str(refused(read, https.url("dags.git"), branch="develop"))
    error = refused(read, https.url("dags.git"), subfolder="dags/one.py")
    assert "has no folder dags/one.py" in str(error)
    assert error.kind is RefusalKind.LASTING


def test_a_rewritten_branch_is_read_as_it_stands(read, https, repository):
    repository.commit({"two.py": b""})
    repository.move("main", repository.first)
    assert read(https.url("dags.git")).head == repository.first


def test_a_token_is_asked_for_judged_and_in_no_argument(read, https):
    https.token = "canary-token"
    seen: list[str] = []

    def watch(environ):
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # ended while it is read
                seen.extend([*process.cmdline(), *process.environ().values()])

    https.before = watch
    assert "asks for a sign-in" in str(refused(read, https.url("dags.git"), apart=True))
    assert "does not accept the token" in str(refused(read, https.url("dags.git"), token="wrong"))
    assert read(https.url("dags.git"), token="canary-token", apart=True).commit
    assert seen
    assert not any("canary-token" in each for each in seen)
    assert "canary-token" not in repr(GitWish("", "", "", "", False, "", "", [], token="canary-token"))


def test_no_such_repository_and_no_git_at_all(read, https):
    assert "has no public repository" in str(refused(read, https.url("nothing.git")))
    https.before = lambda environ: ("200 OK", [("Content-Type", "text/html")], b"<html>hello")
    assert "is not Git" in str(refused(read, https.url("dags.git")))
    https.before = lambda environ: ("503 Busy", [], b"")
    assert "answers HTTP 503" in str(refused(read, https.url("dags.git")))


def test_a_redirect_is_followed_nowhere(read, https):
    to = "http://169.254.169.254/latest/info/refs?service=git-upload-pack"
    https.before = lambda environ: ("302 Found", [("Location", to)], b"")
    error = refused(read, https.url("dags.git"))
    assert "redirects to http://169.254.169.254/latest, which is not followed" in str(error)
    assert len(https.asked) == 1


def test_a_certificate_of_nobody_known_is_not_trusted(read, https, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "is not trusted" in str(refused(read, https.url("dags.git")))


def test_addresses_are_judged_before_a_connection_is_made(read, https, monkeypatch):
    for url in (https.url("dags.git"), f"https://localhost:{https.port}/dags.git"):
        assert "is not a public address" in str(refused(read, url, listed=[]))
    assert https.asked == []


def test_a_name_is_resolved_once_and_that_address_is_connected_to(monkeypatch, https):
    from deployments.outgoing.git import sockets

    real, asked = socket.getaddrinfo, []

    def rebinding(host, port, **more):
        asked.append(host)
        return real("127.0.0.1" if len(asked) > 1 else "127.0.0.2", port, **more)

    monkeypatch.setattr(sockets.socket, "getaddrinfo", rebinding)
    with pytest.raises(GitRefused, match=r"git.example is 127.0.0.2, which is not a public address"):
        sockets.connect("git.example", https.port, Listed())
    made = sockets.connect("git.example", https.port, Listed.of(["127.0.0.1"]))
    assert made.getpeername() == ("127.0.0.1", https.port)
    made.close()
    assert asked == ["git.example"] * 2


def test_a_repository_that_is_too_large_is_not_fetched_to_the_end(read, https, repository):
    sha = repository.commit({"data.bin": os.urandom(3_000_000), "a.py": b""})
    error = refused(read, https.url("dags.git"), most_bytes=1024 * 1024)
    assert "has more than 1 MiB" in str(error)
    assert (error.kind, error.head) == (RefusalKind.LASTING, sha)


@pytest.mark.thorough
def test_servers_that_say_nothing_or_nonsense_are_left_in_bounded_time(read):
    silent = Tcp(lambda connection: time.sleep(60))
    began = time.monotonic()
    error = refused(read, f"https://127.0.0.1:{silent.port}/a", seconds=3.0)
    assert "did not say within 3 s" in str(error)
    assert time.monotonic() - began < 30
    silent.close()

    def another(connection):
        connection.sendall(b"220 mail.example ready\r\n" * 20)
        connection.close()

    cutting = Tcp(another)
    assert "No TLS connection" in str(refused(read, f"https://127.0.0.1:{cutting.port}/a"))
    private = keys.make("")[0]
    assert "SSH" in str(refused(read, f"ssh://git@127.0.0.1:{cutting.port}/a", private_key=private))
    cutting.close()
    assert "No connection to 127.0.0.1" in str(refused(read, f"https://127.0.0.1:{cutting.port}/a"))


def test_a_commit_that_goes_away_while_it_is_fetched(read, https):
    def without_it(environ):
        if environ["PATH_INFO"].endswith("git-upload-pack"):
            sentence = b"ERR upload-pack: not our ref\n"
            body = b"%04x%s" % (len(sentence) + 4, sentence)
            return "200 OK", [("Content-Type", "application/x-git-upload-pack-result")], body
        return None

    https.before = without_it
    error = refused(read, https.url("dags.git"))
    assert "did not hand out the commit" in str(error)
    assert error.kind is RefusalKind.PASSING


@pytest.mark.thorough
def test_the_child_ends_with_its_parent(tmp_path):
    silent = Tcp(lambda connection: time.sleep(60))
    wish = (f"https://127.0.0.1:{silent.port}/a", "main", "", "", False, str(tmp_path), "", ["127.0.0.1"])
    program = f"from deployments.outgoing.git.ask import *; read(GitWish(*{wish!r}))"
    asking = psutil.Popen([sys.executable, "-c", program], cwd=ask.ROOT)
    deadline = time.monotonic() + 30
    while not silent.open and time.monotonic() < deadline:
        threading.Event().wait(0.05)
    (inner,) = asking.children()
    asking.kill()
    asking.wait(30)
    inner.wait(30)
    silent.close()


@pytest.mark.thorough
def test_over_ssh_the_host_key_comes_first_then_the_key_of_airdeck(read, ssh, repository):
    private, public = keys.make("airdeck test")
    mine, url = {"private_key": private}, ssh.url("dags.git")
    error = refused(read, url, **mine)
    assert (error.kind, error.host_key) == (RefusalKind.HOST_KEY, line_of(ssh.host_key))
    assert keys.fingerprint(error.host_key) == ssh.host_key.get_fingerprint()
    assert "Confirm the host key" in str(error)
    mine["host_key"] = error.host_key
    assert "does not accept Airdeck's key" in str(refused(read, url, **mine))
    ssh.accepted.append(public)
    assert read(url, **mine).commit.sha == repository.first
    assert ssh.commands == ["git-upload-pack '/dags.git'"]


@pytest.mark.thorough
def test_over_ssh_no_repository_no_branch_and_another_host_key(read, ssh):
    private, public = keys.make("airdeck test")
    ssh.accepted.append(public)
    mine = {"private_key": private, "host_key": line_of(ssh.host_key)}
    error = refused(read, ssh.url("nothing.git"), **mine)
    assert "has no repository /nothing.git" in str(error)
    assert "The server says: “ERROR: Repository not found.”" in str(error)
    assert "has no branch develop" in str(refused(read, ssh.url("dags.git"), branch="develop", **mine))
    for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256"):
        other = asyncssh.generate_private_key(kind)
        ssh.restart(other)
        asked = len(ssh.commands)
        error = refused(read, ssh.url("dags.git"), **mine)
        assert "changed, so nothing was sent" in str(error)
        assert error.host_key == line_of(other)
        assert len(ssh.commands) == asked


def test_what_is_made_is_an_ed25519_key_with_a_name():
    private, public = keys.make("airdeck calm-nova-1234")
    assert public.startswith("ssh-ed25519 ")
    assert public.endswith(" airdeck calm-nova-1234")
    assert line_of(asyncssh.import_private_key(private)) == " ".join(public.split()[:2])
    assert keys.make("")[0] != private
    assert keys.fingerprint("nothing") == ""

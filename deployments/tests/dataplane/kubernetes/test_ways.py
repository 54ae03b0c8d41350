"""Ways to an API server beside the direct one with a token that stays: by a proxy, and with a token that is replaced in
its file."""

import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from console.kit.refusals import ActionRefused
from deployments.actions.clusters import checked_settings
from deployments.dataplane.contract import DataPlaneUnreachable
from deployments.dataplane.kubernetes.api import transport
from deployments.dataplane.kubernetes.api.client import Api
from deployments.dataplane.kubernetes.api.credentials import Credentials, KubeconfigError, parse
from deployments.dataplane.kubernetes.api.transport import Connection
from deployments.tests.dataplane.kubernetes.emulator import CONSOLE_TOKEN, Emulator


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as made:
        yield made


class Proxy(socketserver.ThreadingTCPServer):
    """CONNECT to `leads_to`, whatever is asked for; refuses with `refuses` when that is set."""

    leads_to = 0
    refuses = ""
    block_on_close = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Tunnel)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.asked: list[str] = []


class Tunnel(socketserver.StreamRequestHandler):
    server: Proxy

    def handle(self) -> None:
        self.server.asked.append(self.rfile.readline().decode().strip())
        while self.rfile.readline().strip():
            pass
        if self.server.refuses:
            self.wfile.write(f"HTTP/1.1 {self.server.refuses}\r\n\r\n".encode())
            return
        with socket.create_connection(("127.0.0.1", self.server.leads_to)) as far:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            ways = {far: self.connection, self.connection: far}
            with suppress(OSError):
                while True:
                    for one in select.select(list(ways), [], [], 10)[0]:
                        if not (piece := one.recv(65_536)):
                            return
                        ways[one].sendall(piece)


@contextmanager
def proxy_to(emulator: Emulator) -> Iterator[Proxy]:
    with Proxy() as made:
        made.leads_to = int(emulator.credentials.server.rpartition(":")[2])
        thread = threading.Thread(target=made.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield made
        finally:
            made.shutdown()
            thread.join()


def namespaces(credentials: Credentials) -> list[str]:
    connection = Connection(credentials)
    try:
        found = Api(connection, 5.0).items("/api/v1/namespaces")
    finally:
        connection.close()
    return sorted(each["metadata"]["name"] for each in found)


def test_a_cluster_behind_a_proxy_is_reached_by_it_alone_and_its_certificate_is_checked(
    emulator, monkeypatch
):
    """No name of the server is looked up here: the proxy may be the only one that knows it."""
    monkeypatch.setenv("NO_PROXY", "*")  # of somebody else's shell
    own = emulator.credentials
    with proxy_to(emulator) as proxy:
        behind = {
            **replace(own, server="https://api.inside.invalid:6443").settings(),
            "api_proxy": proxy.url,
        }
        with pytest.raises(
            DataPlaneUnreachable, match=r"secure connection .* failed: .*api\.inside\.invalid"
        ):
            namespaces(Credentials.of(behind))
        assert "kube-system" in namespaces(Credentials.of({**behind, "tls_server_name": "127.0.0.1"}))
    assert set(proxy.asked) == {"CONNECT api.inside.invalid:6443 HTTP/1.1"}


def test_what_the_proxy_says_no_to_is_a_sentence_that_names_it(emulator):
    with proxy_to(emulator) as proxy:
        proxy.refuses = "403 Forbidden"
        behind = replace(emulator.credentials, proxy=proxy.url)
        with pytest.raises(DataPlaneUnreachable, match=r"^The proxy \(api_proxy\) .*403"):
            namespaces(behind)
    with pytest.raises(DataPlaneUnreachable, match=r"^The proxy \(api_proxy\) .*refused"):
        namespaces(replace(behind, tls_server_name="localhost"))


@pytest.mark.parametrize(
    "value",
    ["proxy:3128", "https://proxy:3128", "http://u:hush@proxy:3128", "http://proxy", "http://proxy:1/a"],
)
def test_another_word_for_a_proxy_is_refused(value):
    with pytest.raises(ActionRefused, match="api_proxy: give a proxy as http://HOST:PORT"):
        checked_settings({"api_proxy": value})
    assert checked_settings({"api_proxy": "http://proxy.example.org:3128"})


def test_a_token_that_is_replaced_in_its_file_is_the_one_that_is_sent(emulator, tmp_path, monkeypatch):
    file = tmp_path / "token"
    file.write_text("of-yesterday\n")
    found = parse(emulator.kubeconfig, token_file=str(file))
    assert (found.token, found.token_file) == ("of-yesterday", str(file))
    assert Credentials.of(found.settings()) == found
    connection = Connection(found)
    try:
        with pytest.raises(DataPlaneUnreachable, match="401"):
            Api(connection, 5.0).items("/api/v1/namespaces")
        connection.hold(DataPlaneUnreachable(""), -1)
        file.write_text(f"{CONSOLE_TOKEN}\n")
        monkeypatch.setattr(transport, "TOKEN_SECONDS", 0.0)
        assert Api(connection, 5.0).items("/api/v1/namespaces")
        file.unlink()
        with pytest.raises(DataPlaneUnreachable, match=rf"{file} cannot be read: No such file"):
            Api(connection, 5.0).items("/api/v1/namespaces")
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "cannot be read: No such file"),
        ("", "holds one token"),
        ("a" * 20_000, "holds one token"),
        ("a b", "no token has"),
    ],
)
def test_a_token_file_that_holds_none_is_refused(emulator, tmp_path, text, sentence):
    file = tmp_path / "token"
    if text is not None:
        file.write_text(text)
    with pytest.raises(KubeconfigError, match=sentence):
        parse(emulator.kubeconfig, token_file=str(file))
    with pytest.raises(KubeconfigError):
        parse(emulator.kubeconfig, token_file="token")

"""At which addresses a cluster may not be: refused before anything is sent."""

import socket
import threading

import pytest

from console.kit.refusals import ActionRefused
from deployments.actions.clusters import ClusterConnection, checked_url, register
from deployments.dataplane.contract import DataPlaneError
from deployments.dataplane.kubernetes.api import guarded
from deployments.dataplane.kubernetes.api.client import Api
from deployments.dataplane.kubernetes.api.credentials import Credentials
from deployments.dataplane.kubernetes.api.transport import Connection
from deployments.domain import addresses

REFUSED = [
    *(
        "127.0.0.1",
        "127.8.9.1",
        "::1",
        "[::1]",
        "0.0.0.0",
        "::",
        "169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
    ),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "fd00:ec2::254"),
    *(
        "100.100.100.200",
        "127.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "localhost",
        "LOCALHOST.",
        "a.localhost",
    ),
    *("224.0.0.1", "", "/var/run/postgresql", "@abstract"),
]
ALLOWED = [
    "10.0.0.1",
    "192.168.1.5",
    "172.16.0.1",
    "8.8.8.8",
    "fd00::1",
    "2001:db8::5",
    "api.example.org",
    "100.64.0.1",
]


@pytest.fixture
def nothing_listed():
    before = addresses._listed
    addresses.allow(())
    yield
    addresses.allow(before)


@pytest.fixture
def listener():
    """A service of this machine, and how many connections it got."""
    got: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                got.append(connection)
                connection.close()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1], got


@pytest.mark.usefixtures("nothing_listed")
@pytest.mark.parametrize("host", REFUSED)
def test_this_machine_and_its_links_are_refused_in_every_spelling(host: str) -> None:
    assert "CLUSTER_ADDRESSES" in addresses.refusal(host)


@pytest.mark.usefixtures("nothing_listed")
@pytest.mark.parametrize("host", ALLOWED)
def test_private_and_public_addresses_are_taken(host: str) -> None:
    assert addresses.refusal(host) == ""


@pytest.mark.usefixtures("nothing_listed")
def test_what_is_listed_is_taken_and_nothing_beside_it() -> None:
    addresses.allow(addresses.networks(["127.0.0.1", " 169.254.0.0/16 ", "::1"]))
    for host in ("127.0.0.1", "::ffff:127.0.0.1", "localhost", "169.254.1.2", "::1", "/run/postgresql"):
        assert addresses.refusal(host) == ""
    assert addresses.refusal("127.0.0.2")
    assert addresses.refusal("fe80::1")


def test_a_list_that_cannot_be_read_says_so() -> None:
    with pytest.raises(ValueError, match="CLUSTER_ADDRESSES holds 'localhost'"):
        addresses.networks(["localhost"])


@pytest.mark.usefixtures("nothing_listed")
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "cluster.example.org"])
def test_no_connection_is_made_whatever_the_name_resolves_to(listener, monkeypatch, name: str) -> None:
    port, got = listener
    real = socket.getaddrinfo
    monkeypatch.setattr(guarded.socket, "getaddrinfo", lambda host, *a, **more: real("127.0.0.1", *a, **more))
    api = Api(Connection(Credentials(f"https://{name}:{port}", token="t")))
    with pytest.raises(DataPlaneError, match="A cluster may not be at"):
        api.get("/version")
    assert got == []


@pytest.mark.usefixtures("nothing_listed")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254"])
def test_an_operator_is_told_and_nothing_is_stored(db, host: str) -> None:
    with pytest.raises(ActionRefused, match="A cluster may not be at"):
        checked_url(f"postgresql://a:hush@{host}/postgres")
    if "," in host:
        return
    reach = ClusterConnection(
        Credentials(f"https://{host}:6443", token="t"), "postgresql://a:hush@db.example.org/postgres"
    )
    with pytest.raises(ActionRefused, match="A cluster may not be at") as refused:
        register(name="Evil", reach=reach, by=None)
    assert "hush" not in str(refused.value)


def test_a_server_that_cuts_tls_is_asked_once_in_half_a_minute(listener) -> None:
    port, got = listener
    connection = Connection(Credentials(f"https://127.0.0.1:{port}", token="t"))
    for _ in range(20):
        with pytest.raises(DataPlaneError, match="secure connection"):
            Api(connection).get("/version")
    assert len(got) == 1

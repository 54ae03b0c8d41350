"""Objects that do not wait for each other go side by side, as many at a time as the API server lets through."""

import threading
import time
from functools import partial

import pytest

from deployments.dataplane.contract import DataPlaneError, Ref
from deployments.dataplane.kubernetes.api import lanes as lanes_module
from deployments.dataplane.kubernetes.api.client import PLURALS, Api
from deployments.dataplane.kubernetes.api.errors import ApiRefused
from deployments.dataplane.kubernetes.api.lanes import FIRST, MOST, Lanes
from deployments.dataplane.kubernetes.api.transport import Connection
from deployments.dataplane.kubernetes.objects import apply
from deployments.dataplane.kubernetes.objects import inventory as inv
from deployments.dataplane.kubernetes.objects.inventory import Inventory
from deployments.tests.dataplane.kubernetes import samples
from deployments.tests.dataplane.kubernetes.answers import Answer
from deployments.tests.dataplane.kubernetes.emulator import Emulator, _Handler
from deployments.tests.dataplane.kubernetes.store import Place

REF = Ref("00000000-0000-4000-8000-000000000001", "calm-orbit-0012")
NAMESPACE = "team-a-calm-orbit-0012"


class Server:
    """Takes a moment for each, and remembers how many it had at a time."""

    def __init__(self, seconds: float = 0.01) -> None:
        self.seconds, self.now, self.most = seconds, 0, 0
        self.order: list[object] = []
        self._lock = threading.Lock()

    def take(self, what: object) -> object:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.order.append(what)
        time.sleep(self.seconds)
        with self._lock:
            self.now -= 1
        return what

    def sends(self, count: int):
        return {number: partial(self.take, number) for number in range(count)}


def test_all_are_sent_once_and_no_more_at_a_time_than_there_are_lanes():
    server, lanes = Server(), Lanes()
    assert lanes.each(server.sends(60), left=lambda: 10.0) == {number: number for number in range(60)}
    assert sorted(server.order) == list(range(60))
    assert FIRST <= server.most <= MOST
    assert lanes.limit == MOST


def test_a_server_that_asks_for_rest_gets_it_from_every_lane_and_half_of_them_afterwards():
    lanes = Lanes()
    lanes.each(Server(0.0).sends(100), left=lambda: 10.0)
    assert lanes.limit == MOST
    began = time.monotonic()
    for _ in range(8):  # of one crowd
        lanes.slow_down(0.3)
    assert lanes.limit == MOST / 2
    server = Server(0.0)
    lanes.each(server.sends(1), left=lambda: 10.0)
    assert time.monotonic() - began >= 0.3


def test_a_server_that_goes_on_asking_gets_one_at_a_time_and_all_of_them_again_once_it_answers(monkeypatch):
    monkeypatch.setattr(lanes_module, "ROUND_SECONDS", 0.0)
    lanes = Lanes()
    for _ in range(10):
        lanes.slow_down(0.01)
    assert lanes.limit == 1
    server = Server(0.001)
    lanes.each(server.sends(5), left=lambda: 10.0)
    assert server.most <= 3
    lanes.each(server.sends(100), left=lambda: 10.0)
    assert lanes.limit == MOST


def test_when_the_time_is_over_no_further_one_begins_and_what_was_done_is_told():
    server, until = Server(0.02), time.monotonic() + 0.5
    done = Lanes().each(server.sends(1000), left=lambda: until - time.monotonic())
    assert 0 < len(done) < 500  # 8 at a time
    assert set(done) == set(server.order)


def test_a_rest_that_is_longer_than_the_time_that_is_left_is_not_waited_for():
    lanes = Lanes()
    lanes.slow_down(30.0)
    began = time.monotonic()
    assert lanes.each(Server().sends(3), left=lambda: 0.1 - (time.monotonic() - began)) == {}
    assert time.monotonic() - began < 4  # LONGEST_REST is 5 s


def test_after_an_error_nothing_further_begins_and_what_began_has_ended():
    server = Server(0.05)

    def refuse() -> object:
        raise DataPlaneError("No.")

    sends = {"bad": refuse, **server.sends(100)}
    with pytest.raises(DataPlaneError, match="No"):
        Lanes().each(sends, left=lambda: 10.0)
    assert server.now == 0
    assert len(server.order) < MOST


# -- Against an API server --


@pytest.fixture
def emulator():
    with Emulator() as it:
        it.keda = True
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        it.store.apply(Place("v1", "namespaces", "", NAMESPACE), made, "test")
        yield it


def converge(emulator: Emulator, connection: Connection, known: Inventory | None = None) -> apply.Applied:
    manifests = samples.lasting(samples.inputs()).values()
    return apply.converge(
        Api(connection), REF, NAMESPACE, manifests, known=known or Inventory(), key="k", digest="d"
    )


def applied_at(emulator: Emulator) -> list[str]:
    """The kinds in the order in which they arrived, without the inventory's."""
    calls = [
        call for _, call in emulator.calls if call.startswith("PATCH") and "airdeck-inventory" not in call
    ]
    parts = [call.split("?")[0].split("/") for call in calls]
    return [each[-2] for each in parts]


def test_what_a_pod_reads_or_is_fenced_by_is_there_before_it(emulator):
    connection = Connection(emulator.credentials)
    assert converge(emulator, connection).complete
    kinds = applied_at(emulator)
    wave_of = {PLURALS.get(kind, f"{kind.lower()}s"): wave for kind, wave in apply.WAVES.items()}
    waves = [wave_of.get(kind, 1) for kind in kinds]
    assert waves == sorted(waves)
    assert {0, 1, 2, 3} == set(waves)
    connection.close()


def slow(monkeypatch, seconds: float) -> None:
    """The server takes so long for each request."""
    route = _Handler._route

    def slowly(handler, *arguments):
        time.sleep(seconds)
        return route(handler, *arguments)

    monkeypatch.setattr(_Handler, "_route", slowly)


def test_a_server_that_answers_429_is_left_alone_for_as_long_as_it_says_and_everything_is_applied_once(
    emulator, monkeypatch
):
    slow(monkeypatch, 0.05)
    connection = Connection(emulator.credentials)
    busy = Answer(status=429, message="too many requests", headers={"Retry-After": "2"})
    emulator.script("PATCH .*/serviceaccounts/", busy)
    done = converge(emulator, connection)
    assert done.complete
    assert all(mark for mark in done.inventory.rendered.values())
    assert connection.requests["PATCH 429"] == 1
    asked = min(at for at, call in emulator.calls if call.startswith("PATCH") and "/serviceaccounts/" in call)
    meanwhile = [call for at, call in emulator.calls if asked + 1.0 < at < asked + 1.9]
    assert meanwhile == []  # of any lane
    sent = [
        call for _, call in emulator.calls if call.startswith("PATCH") and "airdeck-inventory" not in call
    ]
    assert len(sent) == len(set(sent)) + 1
    connection.close()


def test_a_refused_object_is_told_and_the_next_call_sends_it_again(emulator):
    connection = Connection(emulator.credentials)
    emulator.script("PATCH .*/deployments/", Answer(status=422, message="no"))
    with pytest.raises(ApiRefused):
        converge(emulator, connection)
    known = inv.parse(Api(connection).get(inv.path(NAMESPACE)))
    assert "" in known.rendered.values()  # what was about to be made is written down
    assert converge(emulator, connection, known).complete
    connection.close()


@pytest.mark.thorough
def test_a_slow_server_gets_a_deployment_in_a_fraction_of_the_time_of_one_after_the_other(
    emulator, monkeypatch
):
    """Ratio within one run: the same objects, over one lane and over as many as there are."""
    slow(monkeypatch, 0.05)
    seconds = {}
    for most in (1.0, MOST):
        monkeypatch.setattr(lanes_module, "MOST", most)
        monkeypatch.setattr(lanes_module, "FIRST", min(most, FIRST))
        connection = Connection(emulator.credentials)
        connection.lanes._limit = min(most, FIRST)
        began = time.monotonic()
        assert converge(emulator, connection).complete
        seconds[most] = time.monotonic() - began
        connection.close()
    assert seconds[MOST] < 0.6 * seconds[1.0], seconds

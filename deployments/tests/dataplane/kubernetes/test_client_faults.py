"""What the client makes of an API server that refuses, stumbles, hangs or lies: each fault ends in a decided way."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from deployments.dataplane.contract import DataPlaneError, DataPlaneUnreachable, Ref
from deployments.dataplane.kubernetes.api import client
from deployments.dataplane.kubernetes.api.client import Api, NodeSilent, path_of
from deployments.dataplane.kubernetes.api.errors import ApiRefused, NamespaceEnding, SignInRefused
from deployments.dataplane.kubernetes.api.transport import Connection
from deployments.dataplane.kubernetes.objects import inventory
from deployments.tests.dataplane.kubernetes.answers import Answer
from deployments.tests.dataplane.kubernetes.emulator import Emulator
from deployments.tests.dataplane.kubernetes.pki import Authority

PATH = path_of("v1", "ConfigMap", "default", "thing")
THING = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "thing"}, "data": {"a": "1"}}


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Iterator[Emulator]:
    running.calls.clear()
    yield running
    running.heal()


@pytest.fixture
def connection(emulator: Emulator) -> Iterator[Connection]:
    made = Connection(emulator.credentials)
    yield made
    made.close()


@pytest.fixture
def api(connection: Connection) -> Api:
    return Api(connection, 6.0)


def count(emulator: Emulator) -> int:
    return len(emulator.calls)


def test_401_is_told_and_not_repeated_for_30_seconds(emulator, connection) -> None:
    emulator.script("GET", Answer(status=401, message="Unauthorized"), always=True)
    for _ in range(3):
        with pytest.raises(SignInRefused, match="rejects Airdeck's credentials"):
            Api(connection).get(PATH)
    assert count(emulator) == 1


@pytest.mark.parametrize(
    ("message", "causes", "kind", "expected"),
    [
        (
            "exceeded quota: airdeck, requested: cpu=2, used: cpu=15, limited: cpu=16",
            [],
            ApiRefused,
            "quota does not allow",
        ),
        (
            'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot',
            [],
            ApiRefused,
            "Pod Security",
        ),
        (
            'admission webhook "v.example" denied the request: no',
            [],
            ApiRefused,
            "A policy of the cluster refused",
        ),
        ('User "a" cannot patch resource "configmaps"', [], ApiRefused, "account in the cluster may not"),
        ("unable to create", [{"reason": "NamespaceTerminating"}], NamespaceEnding, "is being deleted"),
    ],
)
def test_403_says_who_refused_what_and_is_not_repeated(
    emulator, api, message, causes, kind, expected
) -> None:
    emulator.script("PATCH", Answer(status=403, message=message, causes=causes))
    with pytest.raises(kind, match=expected) as caught:
        api.apply(PATH, THING)
    assert str(caught.value).endswith(".")
    assert emulator.counted()["PATCH"] == 1


def test_409_twice_succeeds_and_409_for_ever_ends_after_three(emulator, api) -> None:
    emulator.script("PATCH", Answer(status=409), Answer(status=409))
    assert api.apply(PATH, THING)["data"] == {"a": "1"}
    assert count(emulator) == 3
    emulator.script("PATCH", Answer(status=409), always=True)
    with pytest.raises(ApiRefused, match="at the same moment"):
        api.apply(PATH, THING)
    assert count(emulator) == 6


def test_422_names_the_field_and_is_sent_once(emulator, api) -> None:
    causes = [{"field": "spec.selector", "message": "field is immutable"}]
    emulator.script("PATCH", Answer(status=422, message="long story", causes=causes), always=True)
    with pytest.raises(ApiRefused, match=r"refuses ConfigMap thing: spec.selector: field is immutable"):
        api.apply(PATH, THING)
    assert count(emulator) == 1


def test_429_is_repeated_when_the_server_says_so_and_not_sooner(emulator, api) -> None:
    emulator.script("GET", Answer(status=429, headers={"Retry-After": "1"}))
    api.get(PATH)
    (first, _), (second, _) = emulator.calls
    assert second - first >= 1.0


def test_a_rest_longer_than_the_call_is_kept_by_the_next_calls_too(emulator, connection) -> None:
    emulator.script("GET", Answer(status=429, headers={"Retry-After": "30"}))
    began = time.monotonic()
    for _ in range(3):
        with pytest.raises(DataPlaneUnreachable, match="overloaded or starting: HTTP 429"):
            Api(connection, 5.0).get(PATH)
    assert count(emulator) == 1
    assert time.monotonic() - began < 15.0  # the rest is 30 s


def test_503_and_504_pass_and_500_is_told_at_once(emulator, api) -> None:
    emulator.script("GET", Answer(status=503), Answer(status=504))
    api.get(PATH)
    assert count(emulator) == 3
    emulator.script("GET", Answer(status=500, message="etcd is sad"))
    with pytest.raises(DataPlaneUnreachable, match="failed with HTTP 500: etcd is sad"):
        api.get(PATH)
    assert count(emulator) == 4


@pytest.mark.parametrize("act", ["reset", "truncate"])
def test_an_answer_that_is_cut_is_asked_for_again(emulator, api, act: str) -> None:
    emulator.script("GET", Answer(act), Answer(act))
    assert api.get("/version")["major"] == "1"
    assert count(emulator) == 3


def test_an_answer_lost_after_the_apply_leaves_one_object(emulator, api) -> None:
    before = len(emulator.store.objects)
    lost = {**THING, "metadata": {"name": "lost"}}
    emulator.script("PATCH", Answer("lose"))
    made = api.apply(path_of("v1", "ConfigMap", "default", "lost"), lost)
    assert len(emulator.store.objects) == before + 1
    assert made["metadata"]["uid"]
    assert count(emulator) == 2


def test_a_hanging_server_costs_no_more_than_the_budget(emulator, connection) -> None:
    emulator.script("GET", Answer("hang"), always=True)
    began = time.monotonic()
    with pytest.raises(DataPlaneUnreachable, match="does not answer in time"):
        Api(connection, 1.0).get(PATH)
    with pytest.raises(DataPlaneUnreachable, match="does not answer in time"):
        Api(connection, 1.0).get(PATH)  # and is left alone for a moment
    assert time.monotonic() - began < 10.0  # one budget and a loaded machine; a read by itself may take 15 s
    assert count(emulator) == 1


def test_a_call_that_opens_in_silence_is_over_at_once(emulator, connection, monkeypatch) -> None:
    """A pass holds a worker. Its first question, for one small object, is asked once and not for long."""
    monkeypatch.setattr(client, "OPENING_SECONDS", 0.3)
    emulator.script("GET", Answer("hang"), always=True)
    opening = Ref("00000000-0000-0000-0000-000000000001", "calm-orbit-0012")
    began = time.monotonic()
    for _ in range(2):  # the second one, at once, does not ask at all
        with pytest.raises(DataPlaneUnreachable, match="does not answer in time"):
            inventory.read(Api(connection), opening, "calm-orbit-0012")
    assert time.monotonic() - began < 10.0  # a loaded machine's; a list may take the whole budget of 14 s
    assert count(emulator) == 1


@pytest.mark.thorough
@pytest.mark.parametrize("path", ["GET .*/log", "PATCH"])
def test_one_node_or_one_webhook_that_hangs_silences_nobody_else(emulator, connection, path: str) -> None:
    emulator.script(path, Answer("hang"), always=True)
    began = time.monotonic()
    log = path_of("v1", "Pod", "default", "p") + "/log"
    if path == "PATCH":
        with pytest.raises(DataPlaneUnreachable, match="does not answer in time"):
            Api(connection, 1.0).apply(PATH, THING)
    else:
        with pytest.raises(NodeSilent, match=r"The log of p does not come. Is the node of its pod up?"):
            Api(connection).text(log, "the log of p", 1000)
    assert time.monotonic() - began < 10.0  # a read by itself may take 15 s
    assert count(emulator) == 1
    assert Api(connection).get("/version")["major"] == "1"


def test_an_endless_answer_is_left(emulator, connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_ANSWER", 4 << 20)
    emulator.script("GET", Answer("huge"), always=True)
    with pytest.raises(DataPlaneError, match="larger than 4 MiB"):
        Api(connection, 5.0).get(PATH)


def test_what_is_not_an_object_is_not_believed(emulator, api) -> None:
    emulator.script("GET", Answer(status=200, message="x"))  # a Status, which is an object without items
    assert api.items(PATH) == []
    assert api.text("/version", "it", 100).startswith("{")


@pytest.mark.thorough
def test_a_server_that_forbids_everything_has_just_begun_and_is_not_taken_at_its_word(emulator, api) -> None:
    """Its rules are loaded a few seconds after it answers: until then all is forbidden alike."""
    forbidden = Answer(status=403, message='configmaps "thing" is forbidden: User cannot get resource')
    emulator.script("GET", forbidden, always=True)
    for asked in (PATH, "/version"):
        with pytest.raises(DataPlaneUnreachable, match="is starting: it does not know yet") as caught:
            api.get(asked)
        assert "Grant" not in str(caught.value)
    emulator.heal()
    emulator.script("GET .*/configmaps/thing", forbidden, always=True)
    with pytest.raises(ApiRefused, match=r"may not do this to .*Grant the right"):
        api.get(PATH)


def test_a_server_with_another_certificate_is_refused(emulator) -> None:
    stranger = replace(emulator.credentials, ca_pem=Authority().ca_pem)
    with pytest.raises(DataPlaneUnreachable, match=r"secure connection .* failed: certificate verify failed"):
        Api(Connection(stranger)).get(PATH)
    elsewhere = replace(emulator.credentials, tls_server_name="other.example")
    with pytest.raises(DataPlaneUnreachable, match=r"not valid for 'other.example'"):
        Api(Connection(elsewhere)).get(PATH)


def test_the_authority_of_an_old_cluster_names_no_key_usage_and_is_believed_all_the_same() -> None:
    with Emulator(Authority(key_usage=False)) as old:
        connection = Connection(old.credentials)
        assert Api(connection).get("/version", "the version")
        connection.close()
        for other, words in (
            ({"ca_pem": Authority(key_usage=False).ca_pem}, "certificate verify failed"),
            ({"tls_server_name": "other.example"}, "not valid for 'other.example'"),
        ):
            with pytest.raises(DataPlaneUnreachable, match=words):
                Api(Connection(replace(old.credentials, **other))).get(PATH)


def test_a_certificate_that_is_over_is_refused() -> None:
    with (
        Emulator(Authority(lasts=timedelta(minutes=30))) as old,  # from an hour ago
        pytest.raises(DataPlaneUnreachable, match="certificate has expired"),
    ):
        Api(Connection(old.credentials)).get(PATH)


def test_a_server_that_is_not_there_is_told_at_once(emulator) -> None:
    began = time.monotonic()
    nobody = replace(emulator.credentials, server="https://127.0.0.1:1")
    with pytest.raises(DataPlaneUnreachable, match="cannot be reached: Connection refused"):
        Api(Connection(nobody)).get(PATH)
    assert time.monotonic() - began < 10.0  # the budget is 14 s


def test_redirects_and_proxies_of_the_environment_are_not_followed(emulator, monkeypatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    emulator.script("GET", Answer(status=302, headers={"Location": "https://127.0.0.1:1/latest/meta-data"}))
    with pytest.raises(ApiRefused, match="HTTP 302"):
        Api(Connection(emulator.credentials)).get(PATH)
    assert count(emulator) == 1


def test_hostile_text_is_cut_and_cleaned(emulator, api) -> None:
    emulator.script("GET", Answer(status=418, message="\x1b[31mred\x1b[0m\x00\u202e" + "x" * 100_000))
    with pytest.raises(ApiRefused) as caught:
        api.get(PATH)
    assert len(str(caught.value)) < 1200
    assert str(caught.value).isprintable()


def test_every_request_is_counted(emulator, connection, api) -> None:
    emulator.script("GET", Answer("reset"))
    api.get(PATH)
    api.apply(PATH, THING)
    assert connection.requests["GET lost"] == 1
    assert sum(connection.requests.values()) == count(emulator)


def test_a_delete_of_another_object_of_the_same_name_is_no_delete(api) -> None:
    made = api.apply(
        path_of("v1", "ConfigMap", "default", "reborn"), {**THING, "metadata": {"name": "reborn"}}
    )
    path = path_of("v1", "ConfigMap", "default", "reborn")
    assert not api.delete(path, "it", "00000000-0000-0000-0000-000000000000")
    assert api.get(path) is not None
    assert api.delete(path, "it", made["metadata"]["uid"])
    assert not api.delete(path, "it", made["metadata"]["uid"])


def test_a_stream_ends_in_a_sentence_when_it_is_cut(emulator, api) -> None:
    emulator.script("GET", Answer("reset"))
    with pytest.raises(DataPlaneUnreachable, match="ended too early"), api.stream(PATH, "it", 2.0):
        pass

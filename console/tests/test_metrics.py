"""`/metrics`: what is counted, by whom it can be read, and what it never holds up."""

import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from django.test import AsyncClient
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from console import processes
from console.embedded import programs
from console.kit import metrics, metrics_server
from console.request_metrics import kind_of
from deployments.clusters import connections, measured
from deployments.dataplane.contract import DataPlaneUnreachable, Driver
from deployments.models import AlertChannel, AlertDelivery, Cluster, Deployment
from deployments.queries import figures
from deployments.reconciler.reconcile import reconcile
from workspaces.actions import invitations
from workspaces.permissions import Role

ROOT = Path(__file__).resolve().parents[2]
type Samples = dict[str, float]


@pytest.fixture
def counting() -> Iterator[CollectorRegistry]:
    """Everything counts, into a registry of the test's own."""
    registry = CollectorRegistry()
    metrics_server._make(registry, "web")
    yield registry
    for metric in metrics.ALL:
        metric.real = None


def samples(text: str) -> Samples:
    """Each line of a scrape: `name{label="value"}` with its number."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(one.labels.items()))
            found[f"{one.name}{{{labels}}}"] = one.value
    return found


def scraped(registry: CollectorRegistry) -> Samples:
    return samples(generate_latest(registry).decode())


def get(port: int, path: str = "/metrics") -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return answer.read().decode()


# -- What is counted --


@pytest.mark.django_db(transaction=True)
async def test_requests_count_by_kind_and_status_and_those_of_the_api_by_endpoint(counting):
    client = AsyncClient()
    for path in ("/-/live/", "/accounts/login/", "/api/v1/me", "/nothing/here/", "/nothing/there/"):
        await client.get(path)
    found = scraped(counting)
    count = "airdeck_http_request_seconds_count"
    assert found[f'{count}{{kind="probe",status="2xx"}}'] == 1
    assert found[f'{count}{{kind="account",status="2xx"}}'] == 1
    assert found[f'{count}{{kind="api",status="4xx"}}'] == 1
    assert found[f'{count}{{kind="page",status="4xx"}}'] == 2
    endpoints = {
        name: value for name, value in found.items() if name.startswith("airdeck_api_requests_total")
    }
    assert list(endpoints.values()) == [1.0]
    assert 'method="GET",status="401"' in next(iter(endpoints))
    assert "nothing" not in str(found)


def test_a_request_of_any_address_is_of_one_of_nine_kinds(rf):
    paths = (
        "/-/live/",
        "/api/v1/me",
        "/w/x/stream/",
        "/static/a.css",
        "/accounts/login/",
        "/admin/",
        "/w/x/",
    )
    kinds = {kind_of(rf.get(path)) for path in paths}
    kinds |= {kind_of(rf.post("/w/x/")), kind_of(rf.get("/w/x/", HTTP_HX_REQUEST="true"))}
    assert kinds == {
        "probe", "api", "stream", "static", "account", "admin", "page", "action", "fragment"
    }  # fmt: skip


def test_a_pass_counts_by_what_it_was_for_and_how_it_ended(counting, deployment, driver):
    reconcile(deployment.pk)
    found = scraped(counting)
    passes = {name: value for name, value in found.items() if name.startswith("airdeck_pass_seconds_count")}
    assert list(passes) == ['airdeck_pass_seconds_count{operation="create",outcome="progressed"}']
    calls = {name for name in found if name.startswith("airdeck_data_plane_call_seconds_count")}
    assert 'airdeck_data_plane_call_seconds_count{call="apply",cluster="This machine",outcome="ok"}' in calls


def test_a_pass_that_breaks_counts_as_an_error(counting, deployment, monkeypatch):
    def broken(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr("deployments.reconciler.reconcile._apply_pass", broken)
    with pytest.raises(ValueError, match="a bug"):
        reconcile(deployment.pk)
    assert scraped(counting)['airdeck_pass_seconds_count{operation="create",outcome="error"}'] == 1


def test_a_pass_that_is_to_change_something_is_a_line_in_the_log(deployment, driver):
    with structlog.testing.capture_logs() as lines:
        reconcile(deployment.pk)
    (line,) = [line for line in lines if line["event"] == "pass"]
    assert (line["operation"], line["outcome"]) == ("create", "progressed")


def test_a_call_that_fails_counts_by_the_kind_of_its_error(counting):
    class Away:
        def observe(self, ref: object) -> None:
            raise DataPlaneUnreachable("It is away.")

    with pytest.raises(DataPlaneUnreachable):
        measured.measured(Away(), "Production").observe(None)
    name = 'airdeck_data_plane_call_seconds_count{call="observe",cluster="Production",outcome="DataPlaneUnreachable"}'
    assert scraped(counting)[name] == 1


def test_a_driver_is_its_own_self_where_nothing_counts(cluster, driver):
    assert connections.driver_of(cluster) is driver


def test_every_method_of_the_contract_that_speaks_to_the_data_plane_is_measured():
    pure = {"create_steps", "delete_steps", "watcher", "code", "packages", "images", "endpoint", "details"}
    methods = {name for name, value in vars(Driver).items() if callable(value) and not name.startswith("_")}
    assert methods - pure == measured.METHODS


# -- What the database says --


def test_the_figures_of_the_database_are_those_of_its_rows(deployment, cluster, workspace, alice):
    now = timezone.now()
    Deployment.objects.filter(pk=deployment.pk).update(due_at=now - timedelta(seconds=90))
    Cluster.objects.filter(pk=cluster.pk).update(
        last_seen_at=now - timedelta(seconds=30), observer="x", observer_until=now + timedelta(seconds=9)
    )
    invitations.invite(by=alice, workspace=workspace, emails=["dora@example.org"], role=Role.MEMBER)
    found = figures.read()
    assert found[metrics.DEPLOYMENTS][("creating",)] == 1
    assert found[metrics.DEPLOYMENTS][("healthy",)] == 0
    assert found[metrics.DUE] == {("This machine",): 1}
    assert found[metrics.LEASED] == {("This machine",): 0}
    assert 89 < found[metrics.OLDEST_DUE][("This machine",)] < 120
    assert 29 < found[metrics.CLUSTER_SILENT][("This machine",)] < 60
    assert found[metrics.CLUSTER_LED] == {("This machine",): 1}
    assert found[metrics.MAIL_QUEUED] == {("invitation",): 1, ("alert",): 0}
    assert set(found) == set(metrics.READ_FROM_DATABASE)

    Deployment.objects.filter(pk=deployment.pk).update(lease_until=now + timedelta(seconds=60))
    found = figures.read()
    assert found[metrics.DUE] == {("This machine",): 0}
    assert found[metrics.LEASED] == {("This machine",): 1}
    assert found[metrics.OLDEST_DUE] == {("This machine",): 0}


def test_mails_of_alerts_wait_too_and_a_mail_that_is_tried_again_waits_since_its_first_try(workspace):
    mail, hook = (
        AlertChannel.objects.create(workspace=workspace, kind=kind, name=kind)
        for kind in ("email", "webhook")
    )

    def waits(channel: AlertChannel, seconds: float, **more: object) -> None:
        due_at = timezone.now() - timedelta(seconds=seconds)
        AlertDelivery.objects.create(
            workspace=workspace,
            channel=channel,
            event="opened",
            address="a@x.org",
            content={},
            due_at=due_at,
            **more,
        )

    waits(mail, 5)
    waits(mail, -300, tries=6)  # due again in five minutes, after 15, 30, 60, 120, 300 and 600 seconds
    waits(mail, 9000, state="sent")
    waits(hook, 9000)
    found = figures.read()
    assert found[metrics.MAIL_QUEUED] == {("invitation",): 0, ("alert",): 2}
    assert 820 < found[metrics.MAIL_OLDEST][("alert",)] < 850


def test_the_figures_take_five_queries_however_many_rows_there_are(deployment, django_assert_num_queries):
    with django_assert_num_queries(5):
        figures.read()


def test_a_database_that_hangs_holds_up_no_scrape_and_old_figures_are_left_out(monkeypatch):
    hangs, go_on = threading.Event(), threading.Event()

    def read() -> metrics_server.Figures:
        if hangs.is_set():
            go_on.wait(20)
            raise OSError("at last")
        return {metrics.DUE: {("Production",): 3.0}}

    registry, snapshot = CollectorRegistry(), metrics_server.Snapshot(read)
    registry.register(snapshot)
    snapshot.refresh()
    assert scraped(registry)['airdeck_rows_due{cluster="Production"}'] == 3
    hangs.set()
    thread = threading.Thread(target=snapshot.refresh)
    thread.start()
    began = time.monotonic()
    assert scraped(registry)["airdeck_database_figures_fresh{}"] == 1
    snapshot._at -= metrics_server.FRESH_SECONDS + 1
    assert scraped(registry) == {"airdeck_database_figures_fresh{}": 0}
    assert time.monotonic() - began < 15  # and not the 20 s for which the database hangs
    go_on.set()
    thread.join()


# -- The port --


@pytest.fixture
def served() -> Iterator[int]:
    """The port of a server as `web` has it."""
    yield metrics_server.start(role="web", version="1.2.3", address="127.0.0.1", port=0)
    for metric in metrics.ALL:
        metric.real = None


def test_metrics_are_at_one_address_of_a_port_of_their_own(served):
    metrics.STREAMS.add()
    found = samples(get(served))
    assert found['airdeck_build_info{role="web",version="1.2.3"}'] == 1
    assert found["airdeck_streams_open{}"] == 1
    assert found["process_resident_memory_bytes{}"] > 0
    assert "airdeck_sign_of_life_seconds{}" not in found or found["airdeck_sign_of_life_seconds{}"] >= 0
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        get(served, "/")
    refused.value.close()


def test_a_port_that_is_taken_ends_no_process_and_is_answered_once_it_is_free(monkeypatch):
    monkeypatch.setattr(metrics_server, "BIND_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert metrics_server._serve(CollectorRegistry(), "127.0.0.1", port) == 0
    deadline = time.monotonic() + 30
    while True:
        try:
            get(port)
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_who_connects_and_asks_nothing_holds_up_nobody(served):
    with socket.create_connection(("127.0.0.1", served)):
        assert "airdeck_build_info" in get(served)


def test_nothing_counts_and_the_client_is_not_imported_until_it_is_wished(deployment):
    assert all(metric.real is None for metric in metrics.ALL)
    metrics.STREAMS.add()
    metrics.CALLS.observe(1.0, "a", "b", "c")
    metrics.LEADS.set(1.0, "a")


def test_on_one_machine_each_process_has_a_port_of_its_own():
    ports = [programs._settings(role, {"METRICS_PORT": "9100"})[1] for role in processes.ROLES]
    assert ports == [f"METRICS_PORT={9100 + n}" for n in range(4)]
    assert programs._settings("web", {}) == ("PROCESS_ROLE=web",)
    assert programs._settings("web", {"METRICS_PORT": "0"}) == ("PROCESS_ROLE=web",)


# -- Labels --


def test_no_label_can_hold_a_name_of_a_workspace_a_deployment_or_a_person():
    labels = {label for metric in metrics.ALL for label in metric.labels}
    assert labels == {
        "call", "cluster", "endpoint", "kind", "method", "operation", "outcome", "role", "status", "task", "version",
    }  # fmt: skip


def test_every_metric_is_named_as_prometheus_wants_it():
    for metric in metrics.ALL:
        assert re.fullmatch(r"airdeck_[a-z_]+", metric.name), metric.name
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.help.endswith(".") or ";" in metric.help, metric.name


def test_the_page_names_every_metric_and_no_other_one():
    text = (ROOT / "docs" / "metrics.md").read_text()
    assert set(re.findall(r"`(airdeck_[a-z_]+)", text)) == {metric.name for metric in metrics.ALL}

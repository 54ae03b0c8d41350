"""The cast and the fixtures that every test may use.

Settings read DATABASE_URL when they are loaded, so the real Postgres starts first, and Django after it; that is
why pyproject.toml names no DJANGO_SETTINGS_MODULE.
"""

# ruff: noqa: E402
import gc
import os

from console.tests import chromium, parallel, services

os.environ["DJANGO_SETTINGS_MODULE"] = "console.settings"
services.start(servers=not parallel.is_controller())

import django

django.setup()
if parallel.is_controller():  # its workers inherit the environment, and must find their own servers first
    del os.environ["DJANGO_SETTINGS_MODULE"]

import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from uuid import UUID, uuid4

import hypothesis
import pytest
from django.db import connections
from django.test import Client, TransactionTestCase

from deployments.actions import Choices, QueueChoice, create_deployment
from deployments.clusters import catalogue
from deployments.clusters import connections as cluster_connections
from deployments.clusters.options import options_for
from deployments.dataplane import registry
from deployments.dataplane.fake import ScriptedDriver
from deployments.domain.states import Executor
from deployments.models import Cluster, Deployment
from workspaces.actions import workspaces as workspace_actions
from workspaces.models import Membership, User, Workspace
from workspaces.permissions import Role

PASSWORD = "correct horse battery"

# How long an example takes says something of the machine, and nothing of the code. Each run tries the same examples, so
# that a change is not refused for what another one did; RANDOM_EXAMPLES=1 looks for new ones.
hypothesis.settings.register_profile(
    "airdeck", deadline=None, derandomize=os.environ.get("RANDOM_EXAMPLES") != "1"
)
hypothesis.settings.load_profile("airdeck")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of `system/` start a console. The order is that of `console.tests.parallel`. What needs a browser is
    skipped, and counted so, where none is wanted."""
    for item in items:
        if "/tests/system/" in item.nodeid:
            item.add_marker(pytest.mark.system)
    parallel.order(items)
    if chromium.skipped():
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason="SKIP_BROWSER"))


def pytest_collection_finish() -> None:
    """Everything imported and collected stays to the end: the garbage collector need not walk it again."""
    gc.freeze()


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> parallel.Scheduling:
    """Deals files out as `console.tests.parallel` says."""
    return parallel.Scheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def _quick_flush() -> Iterator[None]:
    """What a test committed is removed without making content types and permissions again: that takes longer than most
    tests. They stay instead."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", services.flush)
        yield


@pytest.fixture(autouse=True)
def _fast_and_plain(settings) -> None:
    """Cheap password hashes, and no manifest: templates are rendered without collectstatic."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}


@pytest.fixture
def enqueued(monkeypatch) -> list[UUID]:
    """The hints that would have been sent to a worker."""
    sent: list[UUID] = []

    def remember(pk: UUID) -> bool:
        sent.append(pk)
        return True

    monkeypatch.setattr("deployments.enqueue.reconcile", remember)
    return sent


@pytest.fixture
def enqueued_mail(monkeypatch) -> list[UUID]:
    """The invitations whose mail a worker would have been asked to send."""
    sent: list[UUID] = []

    def remember(pk: UUID) -> bool:
        sent.append(pk)
        return True

    monkeypatch.setattr("workspaces.enqueue.send_invitation", remember)
    return sent


@pytest.fixture
def enqueued_checks(monkeypatch) -> list[UUID]:
    """The clusters that a worker would have been asked to look at."""
    sent: list[UUID] = []

    def remember(pk: UUID) -> bool:
        sent.append(pk)
        return True

    monkeypatch.setattr("deployments.enqueue.check_cluster", remember)
    return sent


@pytest.fixture
def enqueued_git(monkeypatch) -> list[UUID]:
    """The Deployments whose Git repository a worker would have been asked to look at."""
    sent: list[UUID] = []

    def remember(pk: UUID) -> bool:
        sent.append(pk)
        return True

    monkeypatch.setattr("deployments.enqueue.check_git", remember)
    return sent


@pytest.fixture
def enqueued_alerts(monkeypatch) -> list[UUID]:
    """The messages of alerts that a worker would have been asked to send."""
    sent: list[UUID] = []

    def remember(pk: UUID) -> bool:
        sent.append(pk)
        return True

    monkeypatch.setattr("deployments.enqueue.send_alert", remember)
    return sent


@pytest.fixture(autouse=True)
def _no_worker(enqueued, enqueued_mail, enqueued_checks, enqueued_git, enqueued_alerts) -> None:
    """Nothing is sent to a real broker unless a test starts one."""


@pytest.fixture(autouse=True)
def published(monkeypatch) -> list[tuple[str, list]]:
    """What would have been pushed to open pages."""
    sent: list[tuple[str, list]] = []

    def remember(topic, frames) -> bool:
        sent.append((topic, list(frames)))
        return True

    monkeypatch.setattr("console.kit.events.publish", remember)
    return sent


def make_user(email: str, name: str) -> User:
    return User.objects.create_user(email, PASSWORD, name=name)


@pytest.fixture
def alice(db) -> User:
    """Admin of the Workspace."""
    return make_user("alice@example.org", "Alice")


@pytest.fixture
def workspace(alice) -> Workspace:
    """Alice's Workspace, with the whole cast but Charlie."""
    return workspace_actions.create_workspace(by=alice, name="Acme Data")


@pytest.fixture
def bob(workspace) -> User:
    """Editor."""
    user = make_user("bob@example.org", "Bob")
    Membership.objects.create(workspace=workspace, user=user, role=Role.EDITOR)
    return user


@pytest.fixture
def vera(workspace) -> User:
    """Member."""
    user = make_user("vera@example.org", "Vera")
    Membership.objects.create(workspace=workspace, user=user, role=Role.MEMBER)
    return user


@pytest.fixture
def charlie(db) -> User:
    """A stranger with a Workspace of his own."""
    user = make_user("charlie@example.org", "Charlie")
    workspace_actions.create_workspace(by=user, name="Charlie's")
    return user


@pytest.fixture
def olga(db) -> User:
    """Operator: a site administrator, member of no Workspace."""
    return User.objects.create_superuser("olga@example.org", PASSWORD, name="Olga")


@pytest.fixture
def as_(client) -> Callable[[User], Client]:
    """The test client, signed in as somebody."""

    def sign_in(user: User) -> Client:
        signed_in = Client()
        signed_in.force_login(user)
        return signed_in

    return sign_in


@pytest.fixture
def one_window(monkeypatch) -> None:
    """The clock of the limits stands still at the start of an hour: no window ends while a test counts."""
    start = time.time() // 3600 * 3600 + 1
    monkeypatch.setattr("console.kit.limits.time", SimpleNamespace(time=lambda: start))


@pytest.fixture
def patient(monkeypatch) -> None:
    """Threads wait longer for each other's locks than the console does, so that a busy machine fails no race."""
    options = connections.settings["default"]["OPTIONS"]
    monkeypatch.setitem(options, "options", "-c lock_timeout=60000 -c statement_timeout=60000")


@pytest.fixture
def driver(monkeypatch) -> Iterator[ScriptedDriver]:
    """The scripted data plane behind the cluster of kind "local"."""
    scripted = ScriptedDriver()
    monkeypatch.setitem(registry.DRIVERS, "local", lambda config: scripted)
    return scripted


@pytest.fixture
def cluster(db, driver) -> Cluster:
    """A local cluster with the shipped catalogue."""
    made = cluster_connections.ensure_embedded(database_url="postgresql://nobody@nowhere/none", settings={})
    catalogue.apply()
    return made


@pytest.fixture
def choices(cluster) -> Callable[..., Choices]:
    """Choices of a create form: the defaults, and what a test says."""

    def make(name: str = "Analytics", **changes) -> Choices:
        options = options_for(cluster)
        values = {
            "name": name,
            "description": "",
            "cluster": cluster,
            "runtime": options.runtimes[0],
            "executor": Executor.CELERY,
            "scheduler_au": 5,
            "scheduler_replicas": 1,
            "queue": QueueChoice(options.worker_types[0], 1, 10, 16),
        }
        return Choices(**{**values, **changes})

    return make


@pytest.fixture
def deployment(workspace, alice, choices) -> Deployment:
    """Analytics, just created by Alice."""
    return create_deployment(workspace=workspace, by=alice, idempotency_key=uuid4(), choices=choices())

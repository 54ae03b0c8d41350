"""The command line as a process, against a console that is served as it ships and whose data plane is scripted."""

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import uvicorn
from django.db import connections
from django.utils import timezone

from console.kit import events
from deployments.models import Deployment
from deployments.reconciler.reconcile import reconcile
from tests.running import SOURCE, Airdeck
from workspaces import hooks
from workspaces.actions import tokens
from workspaces.actions.tokens import Scope, TokenWish
from workspaces.api.auth import buckets
from workspaces.permissions import Role

sys.path.insert(0, str(SOURCE))
REAL_PUBLISH = events.publish


@pytest.fixture
def served(settings, monkeypatch) -> Iterator[str]:
    """The console's whole ASGI application on a port of its own, with a real Redis for its events."""
    from console.asgi import application

    monkeypatch.setattr(events, "publish", REAL_PUBLISH)
    events.breaker.reset()  # whatever a test before did to Redis
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    buckets.clear()
    listening = socket.create_server(("127.0.0.1", 0))
    settings.BASE_URL = f"http://127.0.0.1:{listening.getsockname()[1]}"
    running = uvicorn.Server(uvicorn.Config(application, lifespan="off", log_level="error"))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    yield settings.BASE_URL
    running.should_exit = running.force_exit = True
    thread.join(20)
    listening.close()


@pytest.fixture
def reconciled(driver) -> Iterator[SimpleNamespace]:
    """A worker: it makes passes over every Deployment all the time, unless `paused`."""
    it = SimpleNamespace(paused=threading.Event(), failures=[])
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(0.1):
            if it.paused.is_set():
                continue
            try:
                for pk in Deployment.objects.filter(deleted_at__isnull=True).values_list("pk", flat=True):
                    Deployment.objects.filter(pk=pk).update(due_at=timezone.now())
                    reconcile(pk)
            except Exception as error:
                it.failures.append(error)
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    yield it
    ended.set()
    thread.join(20)
    assert it.failures == []


@pytest.fixture
def token(workspace) -> Callable[..., str]:
    """The value of a new token of this maker."""

    def make(maker, role: Role = Role.EDITOR, *, deployment=None, personal: bool = False) -> str:
        scope = Scope(None) if personal else Scope(workspace)
        if deployment is not None:
            found = hooks.content_of("deployment").find(deployment.workspace_id, deployment.pk)
            scope = Scope(deployment.workspace, "deployment", found)
        return tokens.make(scope=scope, by=maker, wish=TokenWish("ci", "", role, 90)).value

    return make


@pytest.fixture
def airdeck(tmp_path, served, token, alice, cluster) -> Iterator[Airdeck]:
    """A pipeline of the Workspace: an Editor's token in the environment."""
    it = Airdeck(tmp_path, AIRDECK_URL=served, AIRDECK_TOKEN=token(alice))
    yield it
    it.close()


@pytest.fixture
def alone(tmp_path) -> Iterator[Airdeck]:
    """The command line without any console."""
    it = Airdeck(tmp_path)
    yield it
    it.close()

"""A rolling update of web under a load of clicks, as the chart makes it: nobody sees an error.

Both processes are of this version. That the version before can go on with the tables of this one is for
test_migrations_beside.py, which compares them; the two tests together are what is known of an update.
"""

import itertools
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from django.db import connection
from django.test import Client

from console.embedded import postgres
from console.tests import chart, services
from console.tests.system.installation import free_port, is_ready, wait_until
from deployments.domain.states import Status
from deployments.reconciler.reconcile import reconcile
from workspaces.actions import tokens
from workspaces.actions.tokens import Scope, TokenWish
from workspaces.permissions import Role

pytestmark = pytest.mark.django_db(transaction=True)
REQUESTS, PEOPLE = 200, 4
# Between the moment at which a Service leaves a process out and that at which it is told to end. The chart has 5 s.
PAUSE_SECONDS = 1.0


class Web:
    """A web process as the image starts it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        name = connection.settings_dict["NAME"]
        environment = {
            **os.environ,
            "PORT": str(self.port),
            "STATIC_ROOT": str(folder / "static"),
            "DATABASE_URL": postgres.url(services.STATE, name),
        }
        self.log = folder / f"web-{self.port}.log"
        argv = [sys.executable, "-m", "console.processes", "web"]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(argv, env=environment, stdout=log, stderr=log)
        self.url = f"http://127.0.0.1:{self.port}"

    def wait_ready(self) -> None:
        wait_until(self.is_ready, 60, self.log.read_text, 0.1)

    def is_ready(self) -> bool:
        return is_ready(self.url)

    def end(self) -> None:
        self.process.terminate()
        assert self.process.wait(20) is not None


class Service:
    """What is in front of them: the next request goes to the next one that is ready, on a connection of its own."""

    def __init__(self) -> None:
        self._ready: list[Web] = []
        self._lock = threading.Lock()
        self._turn = itertools.count()

    def add(self, web: Web) -> None:
        with self._lock:
            self._ready.append(web)

    def leave_out(self, web: Web) -> None:
        with self._lock:
            self._ready.remove(web)

    def url(self) -> str:
        with self._lock:
            return self._ready[next(self._turn) % len(self._ready)].url


@pytest.fixture
def webs(tmp_path) -> Iterator[list[Web]]:
    """Two that are ready; what a test adds ends too."""
    environment = {**os.environ, "STATIC_ROOT": str(tmp_path / "static")}
    collect = (sys.executable, "manage.py", "collectstatic", "--no-input", "-v0")
    subprocess.run(collect, env=environment, check=True)
    started = [Web(tmp_path), Web(tmp_path)]
    try:
        for web in started:
            web.wait_ready()
        yield started
    finally:
        for web in started:
            web.process.kill()
            web.process.wait()


class Person:
    """Looks at the list, at a Deployment, and changes its description by a program, over and over."""

    def __init__(self, user, deployment, service: Service) -> None:
        client = Client()
        client.force_login(user)
        self._cookies = {name: morsel.value for name, morsel in client.cookies.items()}
        made = tokens.make(
            scope=Scope(deployment.workspace), by=user, wish=TokenWish("click", "", Role.EDITOR, 1)
        )
        self._token = {"Authorization": f"Bearer {made.value}"}
        self._deployment, self._service = deployment, service

    def click(self, number: int) -> str:
        """What came of it: a status, or the name of the error that a browser would show."""
        release = self._deployment.release_name
        url = self._service.url()
        try:
            if number % 10 == 0:
                body = {"description": f"Changed by click {number}"}
                answer = httpx.patch(
                    f"{url}/api/v1/deployments/{release}", json=body, headers=self._token, timeout=20
                )
            else:
                page = self._deployment.url if number % 2 else self._deployment.workspace.url
                answer = httpx.get(f"{url}{page}", cookies=self._cookies, timeout=20)
        except httpx.TransportError as error:
            return type(error).__name__
        return str(answer.status_code)


@pytest.mark.thorough
def test_one_of_two_web_processes_is_replaced_and_two_hundred_clicks_see_no_error(
    webs, tmp_path, deployment, driver, alice
):
    while deployment.status != Status.HEALTHY:
        reconcile(deployment.pk)
        deployment.refresh_from_db()
    service = Service()
    for web in webs:
        service.add(web)
    person = Person(alice, deployment, service)
    assert {person.click(number) for number in (10, 1, 2)} <= {"200", "202"}
    done = itertools.count()
    replaced = threading.Event()
    found: Counter[str] = Counter()

    def click_until_replaced(_: int) -> Counter[str]:
        seen: Counter[str] = Counter()
        while (number := next(done)) < REQUESTS or not replaced.is_set():
            seen[person.click(number)] += 1
        return seen

    with ThreadPoolExecutor(PEOPLE) as people:
        clicking = [people.submit(click_until_replaced, each) for each in range(PEOPLE)]
        try:
            old, new = webs[0], Web(tmp_path)
            webs.append(new)
            new.wait_ready()
            service.add(new)
            service.leave_out(old)
            time.sleep(PAUSE_SECONDS)
            old.end()
        finally:
            replaced.set()
        for each in clicking:
            found += each.result(60)
    assert set(found) <= {"200", "202"}, found
    assert found.total() >= REQUESTS
    for web in webs:
        assert "Traceback" not in web.log.read_text()


def test_the_pause_before_the_end_is_what_the_chart_has():
    web = next(each for each in chart.rendered({}) if each["metadata"]["name"] == "airdeck-web")
    (container,) = web["spec"]["template"]["spec"]["containers"]
    command = container["lifecycle"]["preStop"]["exec"]["command"]
    assert command[0] == "sleep"
    assert float(command[1]) >= PAUSE_SECONDS
    assert web["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}

"""The list of rights is held to what is really asked: nothing beyond it, and nothing in it that nobody uses. Every
request of the driver, the watcher and the checks is seen on its way out, while each does all that it can do."""

import re
import time
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from deployments.dataplane.kubernetes.api.transport import Connection
from deployments.dataplane.kubernetes.checks.canary import KEPT_OUT, LET_IN, LISTENS, canary
from deployments.dataplane.kubernetes.checks.examine import examine
from deployments.dataplane.kubernetes.checks.verdicts import CheckState
from deployments.dataplane.kubernetes.rbac import rules
from deployments.dataplane.kubernetes.watch.kinds import KINDS
from deployments.domain.states import Executor
from deployments.tests.dataplane.contract import Case, apply_once, converge, new_case, remove
from deployments.tests.dataplane.kubernetes.harness import KubernetesHarness
from deployments.tests.dataplane.kubernetes.test_canary import QUICK, Player
from deployments.tests.dataplane.kubernetes.words import changed

NOUN = re.compile(
    r"^/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)(?:/namespaces/(?P<namespace>[^/]+)(?=/[^/]+))?"
    r"/(?P<resource>[a-z]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>[a-z]+))?$"
)
PASSED_ON = re.compile(r"/proxy/.*")
FREE = {"selfsubjectaccessreviews"}  # everybody may ask for their own rights
# The server name makes these credentials others than the test's own, so that the two have a connection each.
OURS = {"tls_server_name": "127.0.0.1"}

type Use = tuple[str, str, str]  # API group, resource, verb


def uses(method: str, path: str, query: dict[str, str], status: int) -> set[Use]:
    """The rights that a request took, as the API server reckons."""
    found = NOUN.match(PASSED_ON.sub("/proxy", urlsplit(path).path))
    if not found or found["resource"] in FREE:
        return set()
    resource = found["resource"] + (f"/{found['sub']}" if found["sub"] else "")
    verbs = {"PATCH": ["patch"], "POST": ["create"], "DELETE": ["delete"], "PUT": ["update"]}.get(method)
    if verbs is None:
        verbs = ["get"] if found["name"] else ["watch"] if query.get("watch") else ["list"]
    if method == "PATCH" and status == 201:
        verbs.append("create")
    return {(found["group"] or "", resource, verb) for verb in verbs}


class Watched:
    """A harness whose driver is seen: what `contract.converge` and `remove` need of one."""

    def __init__(self, harness) -> None:
        self.harness, self.settings = harness, dict(OURS)
        self.patience, self.pause = harness.patience, harness.pause

    def bare_driver(self):
        return self.harness.bare_driver(**self.settings)

    def new_driver(self):
        self.harness.kubelet.play()
        return self.bare_driver()


@pytest.fixture
def seen(harness, monkeypatch) -> set[Use]:
    """Every right that our connection takes."""
    found: set[Use] = set()
    ours, send = harness.bare_driver(**OURS).connection, Connection.send

    def spy(self, request, read):
        answer = send(self, request, read)
        if self is ours:
            found.update(uses(request.method, request.path, dict(request.query), answer.status))
        return answer

    monkeypatch.setattr(Connection, "send", spy)
    return found


@pytest.mark.thorough
def test_no_right_is_taken_that_is_not_listed_and_none_is_listed_that_is_not_taken(
    harness, cases, seen
) -> None:
    watched, case = Watched(harness), new_case()
    cases.append(case)
    _create_scale_and_ask(watched, case, seen)
    _break_and_mend(watched, case)
    _every_executor_and_keda(watched, case)
    _upgrade_and_sleep(watched, case)
    remove(watched, case)
    _check(harness)
    granted = {(r.group, r.resource, r.verb) for r in rules.rights()}
    assert seen - granted == set()
    # Whatever is applied may have to be pruned, looked at when somebody else made it anew, and watched: these four
    # come together. Being allowed to lend a role is asked of nobody: the API server looks at it.
    applied = {(group, resource) for group, resource, verb in seen if verb == "patch"}
    own = {use for use in granted if use[:2] in applied and use[2] in rules.OWN}
    assert granted - seen - own == {(rules.RBAC, "clusterroles", "bind")}


def _create_scale_and_ask(watched: Watched, case: Case, seen: set[Use]) -> None:
    two = changed(case, scheduler_replicas=2)
    for workers in (1, 3, 1):
        converge(watched, replace(two, workers={"default": workers}))
    driver = watched.new_driver()
    driver.logs(case.ref, "scheduler")
    driver.inspect(case.ref, "scheduler")
    watched.harness.code_server(case)
    driver.task_logs(case.ref)
    driver.fingerprint([case.ref])
    driver.reading(case.ref, None)
    watcher = driver.watcher(lambda: True)
    assert watcher is not None
    desired = {k.kind for k in KINDS if not k.optional}
    deadline = time.monotonic() + 10
    try:
        while len([use for use in seen if use[2] == "watch"]) < len(desired) and time.monotonic() < deadline:
            watcher.changed({case.ref.deployment_id: case.ref}, 0.2)
    finally:
        watcher.close()


def _break_and_mend(watched: Watched, case: Case) -> None:
    watched.harness.kubelet.broken.add("triggerer")
    apply_once(watched, changed(case, environment={"COLOUR": "red"}))
    assert not watched.new_driver().observe(case.ref).ready
    watched.harness.kubelet.broken.clear()
    converge(watched, changed(case, environment={"COLOUR": "red"}))


def _every_executor_and_keda(watched: Watched, case: Case) -> None:
    converge(watched, changed(case, executor=Executor.KUBERNETES, queues=()))
    watched.harness.emulator.keda = True
    watched.settings["keda"] = "true"
    watched.bare_driver().connection.keda = (0.0, False)
    converge(watched, case)
    watched.settings["keda"] = ""
    converge(watched, changed(case, executor=Executor.LOCAL, queues=()))
    watched.harness.emulator.keda = False


def _upgrade_and_sleep(watched: Watched, case: Case) -> None:
    newer = changed(
        case, runtime=replace(case.release.runtime, version="3.3-9"), upgrade_from=case.release.runtime
    )
    converge(watched, newer)
    converge(watched, changed(newer, hibernating=True))


def _check(harness: KubernetesHarness) -> None:
    examine(harness.config(**OURS))
    player = Player(harness.emulator, {LISTENS: "Running", LET_IN: "Succeeded", KEPT_OUT: "Failed"})
    player.start()
    try:
        found = canary(harness.config(**OURS), QUICK)
    finally:
        player.done.set()
        player.join()
    assert found[-1].state is CheckState.OK

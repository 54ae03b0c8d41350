"""What the API's own document allows, and what it forbids, sent at random with a fixed seed: the answer is always one
that the document describes, and never a fault of the console."""

import copy
from contextlib import suppress

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from console.api.document import document
from deployments.tests.one_of_everything import furnish, furnish_alerts, furnish_git
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.api.auth import buckets

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 5  # of an endpoint, of each of both kinds
OPERATIONS = [
    (method, path)
    for path, item in document()["paths"].items()
    for method in item
    if not path.endswith("/logs")
]  # a log is a stream: test_waiting.py


class Undone(Exception):
    """Takes back what a request changed."""


@pytest.fixture
def known(deployment, driver, workspace, cluster) -> dict[str, object]:
    """The parts of addresses that there are."""
    settle(deployment)
    furnish(deployment)
    furnish_git(deployment)
    alerts = furnish_alerts(workspace)
    return {
        "workspace_id": str(workspace.pk),
        "cluster_id": str(cluster.pk),
        "release_name": deployment.release_name,
        "queue_name": "default",
        "key": "REGION",
        "number": 1,
        "operation_id": f"{deployment.release_name}.create.1",
        "alert_id": str(alerts["alert"]),
        "rule_id": str(alerts["alert_rule"]),
        "channel_id": str(alerts["alert_channel"]),
        "delivery_id": str(alerts["alert_again"]),
    }


@pytest.fixture
def _one_connection():
    """As Django's test client does it: the connection of the test is that of the requests."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.mark.thorough
@pytest.mark.usefixtures("_one_connection")
@pytest.mark.filterwarnings("ignore")
def test_no_input_finds_a_fault_or_an_answer_that_is_not_described(program, alice, known):
    schema = schemathesis.openapi.from_dict(copy.deepcopy(document()))
    app = get_wsgi_application()
    made = program(alice)
    headers = {"Authorization": f"Bearer {made.value}"}
    known["token_id"] = str(made.token.pk)
    for method, path in OPERATIONS:
        operation = schema[path][method]
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            _ask(operation.as_strategy(generation_mode=mode), app, headers, known)


def _ask(strategy, app, headers, known) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy, real=st.booleans())
    def test(case, real):
        if real or "wait" in (case.query or {}):
            case.path_parameters = {name: known[name] for name in case.path_parameters or {}}
        buckets.clear()
        with suppress(Undone), transaction.atomic():
            response = case.call(app=app, headers=headers)
            case.validate_response(response, checks=CHECKS)
            raise Undone

    test()

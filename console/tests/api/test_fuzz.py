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
from console.kit import cursors
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


ODD = {"a NUL": r"a\u0000", "half a surrogate pair": r"\ud800"}  # as JSON writes them
WRITES = [
    (method, path)
    for method, path in OPERATIONS
    if "application/json" in document()["paths"][path][method].get("requestBody", {}).get("content", {})
]


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_text_that_cannot_be_stored_is_refused_wherever_it_stands(program, alice, known, odd):
    client, kinds = program(alice).client, document()["components"]["schemas"]
    assert len(WRITES) > 25
    for method, path in WRITES:
        (schema,) = _named(document()["paths"][path][method]["requestBody"])
        texts = ", ".join(f'"{name}": "{odd}"' for name in kinds[schema]["properties"])
        for body in (f"{{{texts}}}", f'{{"{odd}": 1}}'):
            buckets.clear()
            answer = client.generic(method.upper(), path.format(**known), body, "application/json")
            if "/tokens" in path:  # by no token, whatever the body is
                assert answer.status_code == 403
                continue
            assert answer.status_code == 400, (method, path, body, answer.content)
            assert answer.json()["detail"].startswith("A text in the body holds a NUL")


def test_a_cursor_of_text_that_cannot_be_stored_is_refused(program, alice, known):
    cursor = cursors.pack("\ud800", str(known["alert_id"]))
    for method, path in OPERATIONS:
        parameters = document()["paths"][path][method].get("parameters", [])
        if "cursor" in {each["name"] for each in parameters}:
            buckets.clear()
            answer = program(alice, name=path).client.get(path.format(**known), {"cursor": cursor})
            assert answer.status_code == 422, (path, answer.content)


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize(
    "where", ["configuration.cluster_name", "metadata.release_name", "configuration.description"]
)
def test_a_file_of_text_that_cannot_be_stored_is_refused(program, alice, workspace, cluster, where, odd):
    section, key = where.split(".")
    text = f'{{"deployment": {{"configuration": {{"name": "A"}}, "{section}": {{"name": "A", "{key}": "{odd}"}}}}}}'
    text = text.replace('"configuration": {"name": "A"}, "configuration"', '"configuration"')
    for verb in ("plan", "apply"):
        wish = {"text": text, "base": ""} if verb == "apply" else {"text": text}
        refused = program(alice, name=verb).ask(
            "post", f"/workspaces/{workspace.pk}/deployment-file/{verb}", wish, status=422
        )
        assert refused.json()["detail"].startswith("A text in the file holds a NUL character")


def _named(body) -> set[str]:
    """The schemas of which a JSON body is."""
    schema = body["content"]["application/json"]["schema"]
    found = [schema, *schema.get("anyOf", ())]
    return {each["$ref"].rpartition("/")[2] for each in found if "$ref" in each}

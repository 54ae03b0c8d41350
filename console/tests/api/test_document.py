"""The description of the API: it is what is committed, it only grows, and people can read it."""

import copy
import json
import re

import pytest

from console.api import document
from console.api.growth import narrowed
from console.tests.html_rules import complaints


def test_the_committed_document_describes_the_api_that_there_is():
    assert document.committed() == document.text(), "Run manage.py write_openapi, and read what differs."


def test_it_is_served_to_everybody(client, db):
    answer = client.get("/api/v1/openapi.json")
    assert answer.json() == document.document()
    assert answer.json()["openapi"] == "3.1.0"


def test_every_endpoint_says_what_it_does_and_answers_errors_of_one_shape():
    for path, item in document.document()["paths"].items():
        for method, operation in item.items():
            assert operation["description"].endswith("."), (method, path)
            for status in ("4XX", "5XX"):
                assert list(operation["responses"][status]["content"]) == ["application/problem+json"]


def test_a_header_of_which_an_endpoint_speaks_is_among_its_parameters():
    """Idempotency-Key, and the If-Match for which an answer has its ETag."""
    for path, item in document.document()["paths"].items():
        for method, operation in item.items():
            named = {each["name"] for each in operation.get("parameters", [])}
            if method == "post" and "Idempotency-Key" in operation["description"]:
                assert "Idempotency-Key" in named, (method, path)
            for taken in ("PUT", "PATCH"):
                if method == "get" and f"If-Match of {taken}" in operation["description"]:
                    other = item.get(taken.lower()) or {"parameters": []}
                    assert "If-Match" in {each["name"] for each in other["parameters"]}, (taken, path)


def changed(change) -> list[str]:
    old = document.document()
    new = copy.deepcopy(old)
    change(new["paths"], new["components"]["schemas"])
    return narrowed(old, new)


ONE = "/api/v1/deployments/{release_name}"
CUTS = [
    (lambda paths, kinds: paths.pop(ONE), "is gone"),
    (lambda paths, kinds: paths[ONE].pop("patch"), f"PATCH {ONE} is gone."),
    (lambda paths, kinds: kinds["DeploymentOut"]["properties"].pop("status"), "status is gone"),
    (lambda paths, kinds: kinds["DeploymentOut"]["required"].remove("status"), "status may be missing now"),
    (lambda paths, kinds: kinds["NewDeployment"]["properties"].pop("runtime"), "runtime is gone"),
    (lambda paths, kinds: kinds["NewDeployment"]["required"].append("runtime"), "runtime is required now"),
    (
        lambda paths, kinds: kinds["NewDeployment"]["properties"]["name"].update(maxLength=9),
        "tighter maxLength",
    ),
    (lambda paths, kinds: kinds["NewDeployment"]["properties"]["name"].update(type="integer"), "fewer types"),
    (
        lambda paths, kinds: kinds["DeploymentOut"]["properties"]["name"].update(type=["string", "null"]),
        "more types",
    ),
    (
        lambda paths, kinds: kinds["OperationOut"]["properties"]["status"]["enum"].append("lost"),
        "more values",
    ),
    (
        lambda paths, kinds: paths["/api/v1/deployments"]["get"]["parameters"].pop(),
        "the parameter cursor is gone",
    ),
    (lambda paths, kinds: paths[ONE]["patch"]["responses"].pop("202"), "answers 202 no more"),
]


@pytest.mark.parametrize(("cut", "told"), CUTS)
def test_whatever_is_taken_away_is_told(cut, told):
    found = changed(cut)
    assert found
    assert any(told in sentence for sentence in found), found


def test_growth_is_no_loss():
    def grow(paths, kinds):
        paths["/api/v1/more"] = {"get": {"responses": {}}}
        kinds["DeploymentOut"]["properties"]["more"] = {"type": "string"}
        kinds["DeploymentOut"]["required"].append("more")
        kinds["NewDeployment"]["properties"]["more"] = {"type": "string"}

    assert changed(grow) == []


def test_the_reference_names_every_address_and_keeps_the_rules_of_pages(client, db):
    answer = client.get("/docs/api-reference/")
    page = answer.content.decode()
    assert complaints(page) == []
    for path, item in document.document()["paths"].items():
        for method in item:
            assert f"{method.upper()} {path.removeprefix('/api/v1')}" in page
    assert not re.search(r"<script(?![^>]*src=)", page)
    assert "unsafe" not in answer["Content-Security-Policy"]


def test_the_guide_names_every_address():
    guide = (document.settings.BASE_DIR / "docs" / "api.md").read_text()
    words = {"release_name": "release", "queue_name": "name", "key": "key", "number": "number"}
    for path in json.loads(document.committed())["paths"]:
        told = re.sub(
            r"\{(\w+)\}", lambda found: f"{{{words.get(found[1], 'id')}}}", path.removeprefix("/api/v1")
        )
        assert f"`{told}`" in guide or f"`/{told.rsplit('/', 1)[1]}`" in guide, told

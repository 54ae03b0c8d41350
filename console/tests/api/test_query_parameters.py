"""What stands behind the question mark of an address: a mistyped word must not do what it was to prevent."""

import asyncio
import inspect
import re
import sys

import pytest
from django.test import AsyncClient

from console.api import document
from console.api.query_parameters import declared
from console.tests.api.conftest import code
from console.tests.api.test_contract import archive, sentences, upload
from deployments.models import CodeUpload, Deploy
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.permissions import Role

pytestmark = pytest.mark.django_db


@pytest.fixture
def path(deployment, driver) -> str:
    settle(deployment)
    return f"/deployments/{deployment.release_name}"


def test_a_mistyped_dry_run_deploys_nothing(program, alice, path):
    made = program(alice)
    refused = upload(made, path, archive(b"x = 1"), "?dryrun=true&description=Try")
    assert code(refused) == (422, "invalid")
    assert sentences(refused) == {"dryrun": "There is no query parameter dryrun here. Did you mean dry_run?"}
    assert (Deploy.objects.count(), CodeUpload.objects.count()) == (0, 0)
    assert code(upload(made, path, archive(b"x = 1"), "?dryrun")) == (422, "invalid")  # without a value too


def test_a_change_with_a_word_behind_the_question_mark_that_there_is_not_changes_nothing(
    program, alice, path, deployment
):
    refused = program(alice).ask("patch", f"{path}?dry_run=true", {"name": "Other"}, status=422)
    assert sentences(refused) == {"dry_run": "There is no query parameter dry_run here."}
    assert program(alice).get(path)["name"] == deployment.name


def test_every_one_of_several_is_named_and_a_long_one_is_cut(program, alice, path):
    refused = program(alice).ask("get", f"{path}/deploys?limt=3&{'x' * 5000}=1&limit=2", status=422)
    assert sentences(refused) == {
        "limt": "There is no query parameter limt here. Did you mean limit?",
        "x" * 100: f"There is no query parameter {'x' * 100} here.",
    }


def test_who_may_not_ask_at_all_hears_that_first(program, bob, vera, charlie, path):
    assert (
        program(vera, Role.MEMBER, personal=True).ask("post", f"{path}/hibernate?soon=1").status_code == 403
    )
    assert program(charlie, personal=True).ask("get", f"{path}?all=1").status_code == 404
    assert program(bob, personal=True).client.get("/api/v1/nothing?all=1").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_an_endpoint_that_waits_refuses_them_too(program, alice, path, deployment):
    made = program(alice)
    where = f"/api/v1/operations/{deployment.release_name}.create.1?wiat=30"
    answer = asyncio.run(AsyncClient().get(where, headers={"Authorization": f"Bearer {made.value}"}))
    assert code(answer) == (422, "invalid")


def test_what_an_endpoint_takes_is_what_the_reference_says():
    """Otherwise a documented parameter would be refused, or one that does nothing taken."""
    said = {
        operation["operationId"]: {
            each["name"] for each in operation.get("parameters", []) if each["in"] == "query"
        }
        for item in document.document()["paths"].values()
        for operation in item.values()
    }
    taken = {
        each._ninja_operation.operation_id: set(declared(inspect.signature(each)))
        for module in list(sys.modules.values())
        if re.fullmatch(r"(deployments|workspaces)\.api\.\w+", module.__name__)
        for each in vars(module).values()
        if hasattr(each, "_ninja_operation")
    }
    assert taken == said

"""The login of a Deployment's registry for programs: it goes in, its password never comes out."""

import pytest
from django.urls import reverse

from deployments.models import Deployment
from deployments.secrets import vault
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.models import AuditEvent
from workspaces.permissions import Role

pytestmark = pytest.mark.django_db
PASSWORD = "canary-pull-token"
WISH = {"host": "registry.example.com", "user": "puller", "password": PASSWORD}


@pytest.fixture
def path(deployment, driver) -> str:
    driver.takes_images = True
    settle(deployment)
    return f"/deployments/{deployment.release_name}/registry-login"


@pytest.fixture
def editor(program, bob):
    return program(bob, Role.EDITOR, personal=True)


def errors_of(answer) -> dict[str, str]:
    return {each["path"]: each["sentence"] for each in answer.json()["errors"]}


def test_a_login_is_kept_replaced_and_removed_and_its_password_is_never_answered(
    editor, program, vera, deployment, path
):
    none = editor.ask("get", path, status=200)
    assert none.json() == {"host": "", "user": ""}
    kept = editor.ask("put", path, WISH, status=200, If_Match=none["ETag"])
    assert kept.json()["operation"] is None
    read = editor.ask("get", path, status=200)
    assert (read.json(), read["ETag"]) == ({"host": WISH["host"], "user": "puller"}, kept["ETag"])
    assert PASSWORD not in (kept.content + read.content).decode()
    assert vault.one(deployment, vault.REGISTRY_PASSWORD) == PASSWORD
    program(vera, Role.MEMBER, personal=True).ask("get", path, status=403)

    replaced = editor.ask("put", path, {**WISH, "password": "another"}, status=200)
    assert replaced["ETag"] != kept["ETag"]  # of what cannot be read, too
    stale = editor.ask("put", path, WISH, status=412, If_Match=kept["ETag"])
    assert stale.json()["code"] == "stale"
    assert vault.one(deployment, vault.REGISTRY_PASSWORD) == "another"

    for _ in range(2):  # twice is once
        gone = editor.ask("delete", path, status=200)
    assert gone["ETag"] == editor.ask("get", path)["ETag"]
    assert not deployment.secrets.filter(name=vault.REGISTRY_PASSWORD).exists()
    assert AuditEvent.objects.filter(verb="removed the registry login of").count() == 1


def test_an_image_that_runs_is_pulled_with_the_new_login(editor, deployment, path):
    image = f"registry.example.com/team/airflow@sha256:{'a' * 64}"
    Deployment.objects.filter(pk=deployment.pk).update(image=image)
    operation = editor.ask("put", path, WISH, status=202).json()["operation"]
    assert operation["id"] == f"{deployment.release_name}.change.2"
    assert editor.ask("delete", path, status=202).json()["operation"]["id"].endswith(".change.3")


def test_what_is_wrong_with_it_is_said_as_on_the_page_and_without_the_password(
    editor, as_, bob, deployment, path, driver
):
    for wrong in (
        dict.fromkeys(WISH, ""),
        {"host": "no host!", "user": "a:b", "password": "x\x07"},
        {**WISH, "user": ""},
    ):
        refused = editor.ask("put", path, wrong, status=422)
        page = as_(bob).post(reverse("deployments:registry_login", args=[deployment.release_name]), wrong)
        shown = {name: str(found[0]) for name, found in page.context["login"].errors.items()}
        assert errors_of(refused) == shown
    refused = editor.ask("put", path, {**WISH, "host": 7, "colour": PASSWORD}, status=422)
    assert set(errors_of(refused)) == {"host", "colour"}
    assert PASSWORD not in refused.content.decode()
    driver.takes_images = False
    refused = editor.ask("put", path, WISH, status=409)
    assert "without images" in refused.json()["detail"]
    assert not deployment.secrets.filter(name=vault.REGISTRY_PASSWORD).exists()

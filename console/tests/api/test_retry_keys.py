"""A request that is sent again with its Idempotency-Key: the first result, and a refusal where something else is
asked."""

import pytest

from console.tests.api.test_contract import archive, upload
from deployments.models import AlertChannel, Deploy, Deployment
from deployments.tests.reconciler.test_deploys import run
from deployments.tests.reconciler.test_reconcile import settle

IMAGE = "registry.example.com/team/airflow:1"
FILE = "deployment: {configuration: {name: %s, description: %s}}"


@pytest.fixture
def path(deployment, driver) -> str:
    driver.takes_images = True
    settle(deployment)
    return f"/deployments/{deployment.release_name}"


def reused(answer) -> bool:
    return (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")


def test_a_key_of_a_deploy_stands_for_what_it_deployed(program, alice, deployment, path):
    ci = program(alice)
    for number, content in enumerate((b"x = 1", b"x = 2"), 1):
        sent = upload(ci, path, archive(content), Idempotency_Key=f"run-{number}")
        assert (sent.status_code, sent.json()["deploy"]["number"]) == (202, number)
        run(deployment)
    again = upload(ci, path, archive(b"x = 1"), Idempotency_Key="run-1")
    assert (again.status_code, again.json()["deploy"]["number"], again.json()["plan"]) == (202, 1, None)
    assert reused(upload(ci, path, archive(b"x = 3"), Idempotency_Key="run-1"))
    assert reused(ci.ask("post", f"{path}/deploys/1/rollback", {}, Idempotency_Key="run-1"))
    assert reused(ci.ask("post", f"{path}/deploys/image", {"image": IMAGE}, Idempotency_Key="run-1"))
    assert Deploy.objects.count() == 2


def test_a_key_of_a_rollback_and_of_an_image_stands_for_that_one(program, alice, deployment, path):
    ci = program(alice)
    for content in (b"x = 1", b"x = 2", b"x = 3"):
        upload(ci, path, archive(content))
        run(deployment)
    for _ in range(2):
        back = ci.ask("post", f"{path}/deploys/1/rollback", {}, status=202, Idempotency_Key="back").json()
        assert (back["deploy"]["number"], back["deploy"]["rolled_back_to"]) == (4, 1)
        run(deployment)
    assert reused(ci.ask("post", f"{path}/deploys/2/rollback", {}, Idempotency_Key="back"))
    for image, number in ((IMAGE, 5), ("", 6)):
        for _ in range(2):  # also once it is what runs
            wish = {"image": image}
            sent = ci.ask("post", f"{path}/deploys/image", wish, status=202, Idempotency_Key=f"i{number}")
            assert sent.json()["deploy"]["number"] == number
            for _ in range(3):
                run(deployment)
    assert reused(ci.ask("post", f"{path}/deploys/image", {"image": f"{IMAGE}2"}, Idempotency_Key="i5"))


def test_a_key_whose_deploy_failed_makes_another_try(program, alice, deployment, path):
    ci = program(alice)
    broken = archive(b"def f(:\n")
    assert upload(ci, path, broken, Idempotency_Key="run").json()["deploy"]["number"] == 1
    again = upload(ci, path, broken, Idempotency_Key="run").json()
    assert again["deploy"]["number"] == 1  # it is under way
    run(deployment)
    assert ci.get(f"{path}/deploys/1")["status"] == "failed"
    assert reused(upload(ci, path, archive(b"x = 1"), Idempotency_Key="run"))
    query = "?despite_syntax=true"
    assert upload(ci, path, broken, query, Idempotency_Key="run").json()["deploy"]["number"] == 2
    run(deployment)
    assert upload(ci, path, broken, query, Idempotency_Key="run").json()["deploy"]["status"] == "deployed"
    assert Deploy.objects.count() == 2


def test_another_image_from_the_page_that_one_went_back_to_is_a_further_deploy(as_, alice, deployment, path):
    key = "6f1c5a0e-6d0f-4b0e-9d0c-7a3d2b1e9c44"
    for number, image in enumerate((IMAGE, f"{IMAGE}2"), 1):
        wish = {"image": image, "description": "", "idempotency_key": key}
        sent = as_(alice).post(f"{path}/deploys/image/", wish)
        assert sent["Location"].endswith(f"/deploys/{number}/")


@pytest.mark.parametrize(
    ("wish", "other"),
    [
        ({"kind": "slack", "url": "https://hooks.slack.com/services/T/B/one"}, "url"),
        ({"kind": "email", "addresses": ["alice@example.org"]}, "addresses"),
    ],
)
def test_a_key_of_a_channel_stands_for_where_it_leads(program, alice, bob, workspace, wish, other):
    admin, path = program(alice), f"/workspaces/{workspace.pk}/alert-channels"
    wish["name"] = "Team"
    for _ in range(2):
        admin.ask("post", path, wish, status=201, Idempotency_Key="k")
    wish[other] = {
        "url": "https://hooks.slack.com/services/T/B/two",
        "addresses": ["alice@example.org", "bob@example.org"],
    }[other]
    assert reused(admin.ask("post", path, wish, Idempotency_Key="k"))
    assert AlertChannel.objects.count() == 1


@pytest.mark.parametrize("mode", ["apply", "create"])
def test_a_key_of_a_file_gives_the_deployment_that_it_made(program, alice, cluster, workspace, mode):
    ci, path = program(alice), f"/workspaces/{workspace.pk}/deployment-file/apply"
    wish = {"text": FILE % ("New", "One"), "base": "", "mode": mode}
    made = {
        ci.ask("post", path, wish, status=202, Idempotency_Key="k").json()["operation"]["id"]
        for _ in range(2)
    }
    assert len(made) == Deployment.objects.count() == 1
    for text in (FILE % ("Other", "One"), FILE % ("New", "Two")):
        assert reused(ci.ask("post", path, {**wish, "text": text}, Idempotency_Key="k"))
    assert Deployment.objects.get().description == "One"
    code = {"apply": "changed", "create": "exists"}[mode]
    assert ci.ask("post", path, wish, status=409, Idempotency_Key="l").json()["code"] == code


def test_a_change_by_a_file_is_made_once_by_its_base(program, alice, deployment, path):
    ci, place = program(alice), f"/workspaces/{deployment.workspace_id}/deployment-file"
    text = FILE % ("Analytics", "Changed")
    base = ci.ask("post", f"{place}/plan", {"text": text}, status=200).json()["base"]
    wish = {"text": text, "base": base}
    ci.ask("post", f"{place}/apply", wish, status=200, Idempotency_Key="k")
    again = ci.ask("post", f"{place}/apply", wish, status=409, Idempotency_Key="k").json()
    assert again["code"] == "changed"
    assert ci.ask("post", f"{place}/plan", {"text": text}, status=200).json()["lines"] == []

"""What programs rely on: errors of one shape with the sentences of pages, ETags, keys of retries, lists."""

import base64
import hashlib
from io import BytesIO
from uuid import uuid4

import pytest
from django.test import Client

from deployments.actions import create_deployment
from deployments.actions.variables import latest_revision
from deployments.models import Deploy, Deployment
from deployments.tests.archives import tar_gz
from deployments.tests.reconciler.test_deploys import run
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.models import AuditEvent


@pytest.fixture
def path(deployment, driver) -> str:
    settle(deployment)
    return f"/deployments/{deployment.release_name}"


@pytest.fixture
def new(workspace) -> str:
    return f"/workspaces/{workspace.pk}/deployments"


def sentences(response) -> dict[str, str]:
    document = response.json()
    assert response["Content-Type"] == "application/problem+json"
    assert set(document) == {"type", "title", "status", "code", "detail", "errors", "request_id"}
    assert document["status"] == response.status_code
    assert document["request_id"] == response.headers.get("X-Request-ID", "")
    return {each["path"]: each["sentence"] for each in document["errors"]}


WRONG = [
    {"name": ""},
    {"name": "x" * 65},
    {"name": "a\u200bb"},
    {"name": "Fine", "description": "x" * 1001},
    {"name": "Fine", "runtime": "9.9-9"},
    {"name": "Fine", "executor": "kubernetes"},
    {"name": "Fine", "worker_type": "A4000"},
    {"name": "Fine", "min_workers": 31},
    {"name": "Fine", "min_workers": 5, "max_workers": 4},
    {"name": "Fine", "concurrency": 0, "scheduler_au": 4, "scheduler_replicas": 5},
    {"name": "Fine", "cluster": "0" * 8},
]


@pytest.mark.parametrize("given", WRONG)
def test_a_page_and_the_api_refuse_with_the_same_sentences(
    program, as_, alice, workspace, cluster, new, given
):
    refused = program(alice).ask("post", new, given, status=422)
    values = {
        "idempotency_key": str(uuid4()),
        "description": "",
        "runtime": "3.3-1",
        "cluster": str(cluster.pk),
        "executor": "celery",
        "worker_type": "A5",
        "min_workers": "1",
        "max_workers": "10",
        "concurrency": "16",
        "scheduler_au": "5",
        "scheduler_replicas": "1",
    }
    page = as_(alice).post(f"/w/{workspace.pk}/deployments/new/", {**values, **given})
    assert page.status_code == 422
    shown = {name: str(found[0]) for name, found in page.context["form"].errors.items()}
    assert sentences(refused) == shown
    assert Deployment.objects.count() == 0


def test_every_field_is_told_at_once_and_what_there_is_not_by_name(program, alice, cluster, new):
    given = {"name": 7, "scheduler_au": "5", "min_workers": True, "colour": "red", "runtime": None}
    refused = program(alice).ask("post", new, given, status=422)
    assert sentences(refused) == {
        "name": "Enter text.",
        "scheduler_au": "Scheduler AU: enter a whole number from 5 to 24.",
        "min_workers": "Min workers: enter a whole number from 0 to 30.",
        "colour": "There is no field colour here.",
        "runtime": "This field is required.",
    }


def test_a_field_that_is_missing_is_named(program, alice, workspace):
    refused = program(alice).ask("post", f"/workspaces/{workspace.pk}/deployment-file/apply", {}, status=422)
    assert sentences(refused) == {
        "text": "“text” is missing. Send it.",
        "base": "“base” is missing. Send it.",
    }


def test_a_name_that_is_taken_is_a_conflict_in_both(program, as_, alice, new, path):
    refused = program(alice).ask("post", new, {"name": "analytics"}, status=409)
    assert refused.json()["code"] == "name_taken"
    assert sentences(refused) == {"name": "Enter a name that no other Deployment in this Workspace uses."}


@pytest.mark.parametrize(
    ("body", "status"),
    [("{", 400), ("[1]", 422), ('{"name": NaN}', 400), ('{"name": "\\ud800"}', 400), ("", 422)],
)
def test_a_body_that_is_no_object_is_refused(program, alice, cluster, new, body, status):
    made = program(alice)
    answer = made.client.post(f"/api/v1{new}", body, content_type="application/json")
    assert answer.status_code == status
    sentences(answer)


def test_what_is_not_there_is_a_problem_too(program, alice):
    made = program(alice)
    for method, path, status in (("get", "/nothing", 404), ("post", "/me", 405), ("get", "/me?x=%00", 400)):
        answer = made.ask(method, path, status=status)
        sentences(answer)
    assert made.ask("post", "/me")["Allow"] == "GET"
    assert Client().get("/api/v1/me")["WWW-Authenticate"] == 'Bearer realm="Airdeck"'


def test_an_idempotency_key_makes_one_deployment(program, alice, cluster, new):
    made = program(alice)
    first = made.ask("post", new, {"name": "One"}, status=202, Idempotency_Key="k1").json()
    again = made.ask("post", new, {"name": "One"}, status=202, Idempotency_Key="k1").json()
    assert first["deployment"]["release_name"] == again["deployment"]["release_name"]
    assert Deployment.objects.count() == 1
    other = made.ask("post", new, {"name": "Two"}, status=409, Idempotency_Key="k1")
    assert other.json()["code"] == "idempotency_key_reused"
    assert Deployment.objects.count() == 1
    program(alice, name="another").ask("post", new, {"name": "Two"}, status=202, Idempotency_Key="k1")
    made.ask("post", new, {"name": "Three"}, status=422, Idempotency_Key="k" * 65)


def test_a_change_that_restarts_nothing_has_no_operation(program, alice, path):
    made = program(alice)
    answer = made.ask("patch", path, {"name": "Two", "description": None}, status=200)
    assert answer.json()["operation"] is None
    assert answer.json()["deployment"]["name"] == "Two"
    restarted = made.ask("patch", path, {"scheduler_au": 6}, status=202).json()
    assert restarted["operation"]["id"].endswith(".change.2")
    assert restarted["deployment"]["scheduler_au"] == 6
    assert made.ask("patch", path, {"scheduler_au": 6}, status=200).json()["operation"] is None


def test_if_match_keeps_what_somebody_else_saved(program, alice, path):
    made = program(alice)
    read = made.ask("get", path, status=200)["ETag"]
    made.ask("patch", path, {"name": "Two"}, status=200, If_Match=read)
    stale = made.ask("patch", path, {"name": "Three"}, status=412, If_Match=read)
    assert stale.json()["code"] == "stale"
    assert made.get(path)["name"] == "Two"
    made.ask("patch", path, {"name": "Three"}, status=200, If_Match="*")
    made.ask("patch", path, {"name": "Four"}, status=200)


def test_variables_are_replaced_as_a_list_and_secrets_stay(program, alice, deployment, path):
    made = program(alice)
    where = f"{path}/variables"
    items = [{"key": "A", "value": "x=y=z"}, {"key": "T", "value": "hush-hush-9", "secret": True}]
    made.ask("put", where, {"items": items}, status=202)
    read = made.ask("get", where, status=200)
    assert [(each["key"], each["value"], each["secret"]) for each in read.json()["items"]] == [
        ("A", "x=y=z", False),
        ("T", None, True),
    ]
    before = latest_revision(deployment)
    same = [{"key": "A", "value": "x=y=z"}, {"key": "T", "value": None, "secret": False}]
    made.ask("put", where, {"items": same}, status=200)  # what is secret keeps its value, and stays secret
    assert latest_revision(deployment) == before
    made.ask("put", where, {"items": [{"key": "T"}]}, status=202, If_Match=read["ETag"])
    assert [each["key"] for each in made.get(where)["items"]] == ["T"]
    made.ask("put", where, {"items": []}, status=412, If_Match=read["ETag"])
    made.ask("put", where, {"items": []}, status=202)
    assert made.get(where)["items"] == []
    assert "hush-hush-9" not in str(list(AuditEvent.objects.values_list("new", flat=True)))


def test_every_variable_that_is_wrong_is_told_at_its_place(program, alice, path):
    items = [
        {"key": "OK", "value": "1"},
        {"key": "9", "value": "1"},
        {"key": "B"},
        {"key": "PATH", "value": "/bin"},
        {"key": "S", "value": "••••", "secret": True},
        {"key": "OK", "value": "2"},
        {"key": "N", "value": 7},
    ]
    refused = program(alice).ask("put", f"{path}/variables", {"items": items[:6]}, status=422)
    assert set(sentences(refused)) == {
        "items.1.key",
        "items.2.value",
        "items.3.key",
        "items.4.value",
        "items.5.key",
    }
    refused = program(alice, name="b").ask("put", f"{path}/variables", {"items": items}, status=422)
    assert sentences(refused) == {"items.6.value": "Enter text."}


def test_one_variable_is_set_and_deleted(program, alice, path):
    made = program(alice)
    made.ask("put", f"{path}/variables/REGION", {"value": "eu"}, status=202)
    made.ask("put", f"{path}/variables/REGION", {"value": "us"}, status=202)
    assert made.get(f"{path}/variables/REGION")["value"] == "us"
    made.ask("delete", f"{path}/variables/REGION", status=202)
    made.ask("get", f"{path}/variables/REGION", status=404)
    made.ask("delete", f"{path}/variables/REGION", status=404)


def test_a_worker_queue_lives_through_the_api(program, alice, path):
    made = program(alice)
    where = f"{path}/worker-queues"
    made.ask("post", where, {"name": "heavy", "min_workers": 0}, status=202)
    assert sentences(made.ask("post", where, {"name": "heavy"}, status=409)).keys() == {"name"}
    read = made.ask("get", f"{where}/heavy", status=200)
    assert (read.json()["min_workers"], read.json()["concurrency"]) == (0, 16)
    made.ask("patch", f"{where}/heavy", {"concurrency": 2}, status=202, If_Match=read["ETag"])
    made.ask("patch", f"{where}/heavy", {"concurrency": 3}, status=412, If_Match=read["ETag"])
    made.ask("delete", f"{where}/heavy", status=202)
    assert made.ask("delete", f"{where}/heavy", status=404).json()["code"] == "queue_gone"
    assert [each["name"] for each in made.get(where)["items"]] == ["default"]


def test_a_schedule_is_set_and_read(program, alice, path):
    made = program(alice)
    where = f"{path}/schedule"
    assert made.get(where)["enabled"] is False
    wish = {"hibernate_cron": "0 20 * * 1-5", "wake_cron": "0 7 * * 1-5", "time_zone": "Europe/Berlin"}
    answer = made.ask("put", where, wish, status=200)
    assert answer.json()["enabled"]
    assert answer.json()["next_wake_at"].endswith("Z")
    assert made.ask("get", where)["ETag"] == answer["ETag"]
    wrong = made.ask("put", where, {"hibernate_cron": "soon", "enabled": 1}, status=422)
    assert set(sentences(wrong)) == {"hibernate_cron", "enabled"}


def archive(content: bytes) -> bytes:
    return tar_gz({"a.py": content})


def upload(made, path, content, query="", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    where = f"/api/v1{path}/deploys{query}"
    return made.client.post(where, content, content_type="application/gzip", headers=named)


def test_an_archive_becomes_a_deploy_in_one_request(program, alice, path):
    made = program(alice, name="ci")
    content = archive(b"x = 1")
    plan = upload(made, path, content, "?dry_run=true").json()
    assert (plan["changed"], plan["deploy"], plan["plan"]["added"]) == (True, None, ["a.py"])
    assert made.get(f"{path}/deploys")["items"] == []
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    headers = {"Idempotency_Key": "commit-1", "Content_Digest": f"sha-256=:{digest}:"}
    remote = "git_remote=https://ci:hush-hush@git.example.org/a"
    first = upload(made, path, content, f"?description=First&git_sha=abc&git_dirty=true&{remote}", **headers)
    assert first.status_code == 202
    deploy = first.json()["deploy"]
    assert (deploy["number"], deploy["actor"]) == (1, "Alice's token ci")
    git = {"remote": "https://git.example.org/a", "sha": "abc", "dirty": True}
    assert (deploy["description"], deploy["git"], Deploy.objects.get().git) == ("First", git, git)
    again = upload(made, path, content, **headers)
    assert (again.status_code, again.json()["deploy"]["number"]) == (202, 1)
    same = upload(made, path, content)
    assert (same.status_code, same.json()["changed"], same.json()["operation"]) == (200, False, None)
    assert len(made.get(f"{path}/deploys")["items"]) == 1
    assert made.get(f"{path}/deploys/1")["steps"][0]["title"] == "Received"
    made.ask("get", f"{path}/deploys/2", status=404)


def test_an_archive_that_is_damaged_or_none_is_refused(program, alice, path):
    made = program(alice)
    wrong = upload(
        made, path, archive(b"x = 1"), Content_Digest=f"sha-256=:{base64.b64encode(b'x' * 32).decode()}:"
    )
    assert (wrong.status_code, wrong.json()["code"]) == (422, "digest_mismatch")
    assert upload(made, path, archive(b"x = 1"), Content_Digest="sha-256=:?:").status_code == 422
    none = upload(made, path, b"not an archive")
    assert (none.status_code, none.json()["code"]) == (422, "code_refused")
    assert "The body is empty. Send the archive itself" in upload(made, path, b"").json()["detail"]
    form = made.client.post(f"/api/v1{path}/deploys", {"file": BytesIO(archive(b"x = 1"))})
    assert (form.status_code, form.json()["code"]) == (422, "code_refused")
    assert "A form was sent. Send the archive itself" in form.json()["detail"]
    assert upload(made, path, archive(b"1"), f"?description={'x' * 501}").status_code == 422


def test_a_deploy_is_rolled_back_to(program, alice, deployment, path):
    made = program(alice)
    for number, content in enumerate((b"x = 1", b"x = 2"), 1):
        assert upload(made, path, archive(content)).json()["deploy"]["number"] == number
        run(deployment)
    back = made.ask("post", f"{path}/deploys/1/rollback", {"description": "Oops"}, status=202).json()
    assert (back["deploy"]["number"], back["deploy"]["rolled_back_to"]) == (3, 1)
    run(deployment)
    assert made.get(f"/operations/{back['operation']['id']}")["status"] == "done"
    same = made.ask("post", f"{path}/deploys/1/rollback", status=200).json()
    assert same["changed"] is False


def test_pages_of_a_list_hold_each_item_once(program, alice, workspace, choices):
    made = program(alice)
    names = [f"Same {letter}" for letter in "abcdefg"]
    for name in reversed(names):
        create_deployment(workspace=workspace, by=alice, idempotency_key=uuid4(), choices=choices(name))
    for where in ("/deployments", f"/workspaces/{workspace.pk}/deployments"):
        found, cursor = [], ""
        while cursor is not None:
            page = made.get(f"{where}?limit=3&cursor={cursor}")
            found += [each["name"] for each in page["items"]]
            cursor = page["next"]
        assert found == names
    assert [each["name"] for each in made.get("/deployments?name=SAME A")["items"]] == ["Same a"]
    events, cursor = [], ""
    while cursor is not None:
        page = made.get(f"/workspaces/{workspace.pk}/activity?limit=4&cursor={cursor}")
        events += [(each["at"], each["sentence"]) for each in page["items"]]
        cursor = page["next"]
    assert len(events) == len(set(events)) == AuditEvent.objects.filter(workspace_id=workspace.pk).count()


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "cursor=x", "cursor=WzFd", "cursor=WyJhIiwgImIiXQ", "status=fine"],
)
def test_a_parameter_that_is_wrong_is_refused_in_a_sentence(program, alice, query):
    refused = program(alice).ask("get", f"/deployments?{query}", status=422)
    assert sentences(refused).keys() == {query.partition("=")[0]}


def test_what_cannot_be_done_now_says_so_like_the_page(program, alice, deployment):
    made = program(alice)
    path = f"/deployments/{deployment.release_name}"
    asks = [
        ("patch", path),
        ("post", f"{path}/worker-queues"),
        ("put", f"{path}/schedule"),
        ("post", f"{path}/hibernate"),
    ]
    for method, where in asks:
        refused = made.ask(method, where, {"name": "x"}, status=409)
        assert refused.json()["code"] == "not_now"
        assert refused.json()["detail"].startswith("This Deployment is being created.")

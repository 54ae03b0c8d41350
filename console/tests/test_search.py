"""The search: what a person finds, and that nothing else is ever found."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from conftest import make_user
from console.bench.rows import make_deployments
from console.search.results import IN_DIALOG, words_of
from console.tests.html_rules import complaints
from deployments.models import Dag, Deployment, ReleaseName
from deployments.pages.looked_at import COOKIE
from workspaces.actions import workspaces as workspace_actions
from workspaces.models import Membership
from workspaces.permissions import Role

HTMX = {"HX-Request": "true"}


def found(client, text: str) -> dict[str, list[tuple[str, str]]]:
    """Titles and addresses of the results, by kind; of the dialog's, which are those of the page."""
    answer = client.get("/search/", {"q": text})
    return {group.label: [(hit.title, hit.url) for hit in group.hits] for group in answer.context["groups"]}


def test_deployments_are_found_by_parts_of_their_name_and_by_their_release_name(as_, vera, deployment):
    expected = [("Analytics", deployment.url)]
    for text in ("ana", "LYTICS", deployment.release_name, f"ana {deployment.release_name[:6]}"):
        assert found(as_(vera), text)["Deployments"] == expected, text
    assert "Deployments" not in found(as_(vera), "ana nothing-like-it")


def test_a_name_and_a_page_lead_to_that_page(as_, vera, bob, deployment):
    assert found(as_(vera), "analytics log")["Deployments"] == [
        ("Analytics: Logs", deployment.url_for("logs"))
    ]
    assert found(as_(bob), "analy open airflow")["Deployments"] == [
        ("Analytics: Open Airflow", deployment.url_for("open"))
    ]
    assert found(as_(bob), "analytics settings")["Deployments"][0][1] == deployment.url_for("settings")
    assert "Deployments" in found(as_(bob), "analytics settings")
    assert "Analytics: Settings" not in str(found(as_(vera), "analytics settings"))  # she may not


def test_a_word_of_a_page_that_is_part_of_the_name_is_part_of_the_name(as_, vera, deployment):
    Deployment.objects.update(name="Server logs")
    assert found(as_(vera), "server logs")["Deployments"][0][1] in {
        deployment.url,
        deployment.url_for("logs"),
    }
    assert found(as_(vera), "logs")["Deployments"] == [("Server logs", deployment.url)]


def test_nothing_of_another_workspace_is_ever_found(as_, charlie, alice, bob, deployment):
    client = as_(charlie)
    client.cookies[COOKIE] = deployment.release_name
    client.cookies["airdeck-workspace"] = str(deployment.workspace_id)
    for text in ("", "ana", deployment.release_name, "alice", "bob@example.org", "acme", "members"):
        page = client.get("/search/", {"q": text}).content.decode()
        fragment = client.get("/search/", {"q": text}, headers=HTMX).content.decode()
        for secret in (
            "Analytics",
            deployment.url,
            "Acme Data",
            "alice@",
            str(deployment.workspace_id),
            "Bob",
        ):
            assert secret not in page, (text, secret)
            assert secret not in fragment, (text, secret)


def test_who_leaves_finds_nothing_of_it_any_more(as_, vera, deployment):
    assert "Deployments" in found(as_(vera), "ana")
    Membership.objects.filter(user=vera).delete()
    assert "Deployments" not in found(as_(vera), "ana")


def test_a_deployment_that_is_gone_is_not_found(as_, vera, deployment):
    Deployment.objects.update(deleted_at=deployment.created_at)
    assert "Deployments" not in found(as_(vera), "ana")


def test_members_lead_to_the_list_that_shows_them(as_, vera, bob, workspace):
    ((title, url),) = found(as_(vera), "bob@example")["Members"]
    assert title == "Bob"
    assert "Bob" in as_(vera).get(url).content.decode()


@pytest.mark.thorough
def test_pages_and_actions_are_those_that_the_role_allows(as_, alice, bob, vera, workspace):
    def titles(user, text):
        groups = found(as_(user), text)
        return {title for kind in ("Pages", "Actions") for title, _ in groups.get(kind, [])}

    assert "Create Deployment" in titles(bob, "create")
    assert "Create Deployment" not in titles(vera, "create")
    assert "Invite people" in titles(alice, "invite")
    assert "Invite people" not in titles(bob, "invite")
    assert "Workspace settings" not in titles(bob, "workspace settings")
    assert {"Docs", "Members"} & titles(vera, "people") == {"Members"}
    for user in (alice, bob, vera):
        client = as_(user)
        groups = [group for text in ("a", "e", "s", "n") for group in found(client, text).values()]
        for url in {url for group in groups for _, url in group}:
            assert client.get(url).status_code in {200, 302, 303}, (user, url)


def test_before_a_word_is_typed_the_last_ones_looked_at_come_first(as_, vera, alice, deployment, workspace):
    client = as_(vera)
    make_deployments(workspace, 2)
    for row in Deployment.objects.filter(release_name__startswith="bench-row-"):
        client.get(row.url)
    client.get(deployment.url)
    groups = found(client, "")
    assert [title for title, _ in groups["Viewed recently"]] == [
        "Analytics",
        "Deployment 0001",
        "Deployment 0000",
    ]
    assert groups["Actions"]


def test_the_workspace_that_was_looked_at_comes_first(as_, alice, workspace):
    other = workspace_actions.create_workspace(by=alice, name="Aardvarks")
    client = as_(alice)
    client.get(workspace.url)
    assert found(client, "members")["Pages"][0][1] == workspace.url_for("members")
    client.get(other.url)
    assert found(client, "members")["Pages"][0][1] == other.url_for("members")


def test_wildcards_are_characters_like_others(as_, vera, deployment):
    assert "Deployments" not in found(as_(vera), "%")
    assert "Deployments" not in found(as_(vera), "an_lytics")


def dag(deployment: Deployment, dag_id: str) -> Dag:
    return Dag.objects.create(deployment=deployment, dag_id=dag_id, name=dag_id, digest="x")


def test_dags_lead_to_the_list_that_shows_them(as_, vera, charlie, deployment):
    for dag_id in ("load_customers", "customers_daily", "reports"):
        dag(deployment, dag_id)
    hits = found(as_(vera), "customers")["DAGs"]
    assert [title for title, _ in hits] == ["customers_daily", "load_customers"]
    assert "customers_daily" in as_(vera).get(hits[0][1]).content.decode()
    assert "DAGs" not in found(as_(charlie), "customers")
    Deployment.objects.update(deleted_at=deployment.created_at)
    assert "DAGs" not in found(as_(vera), "customers")


def test_a_search_takes_five_queries_at_any_size(as_, vera, workspace, cluster):
    client = as_(vera)
    client.get("/search/?q=deployment", headers=HTMX)
    counts = []
    for amount in (3, 40):
        Deployment.objects.all().delete()
        make_deployments(workspace, amount)
        one = Deployment.objects.first()
        for _ in range(amount):
            dag(one, f"deployment_{amount}_{_}")
            user = make_user(f"person-{amount}-{_}@example.org", f"Person of deployment {_}")
            Membership.objects.create(workspace=workspace, user=user, role=Role.MEMBER)
        with CaptureQueriesContext(connection) as queries:
            answer = client.get("/search/?q=deployment", headers=HTMX)
        counts.append(len(queries))
        assert answer.content.count(b'role="option"') >= min(amount, IN_DIALOG) * 3
        ReleaseName.objects.all().delete()
    assert counts == [6, 6]  # session and person, memberships, Deployments, DAGs, members


def test_the_dialog_and_the_results_come_without_the_shell(as_, vera, deployment):
    client = as_(vera)
    dialog = client.get("/search/", headers=HTMX).content.decode()
    assert dialog.count("<dialog") == 1
    assert 'role="combobox"' in dialog
    results = client.get("/search/?q=ana", headers=HTMX).content.decode()
    assert "<dialog" not in results
    assert "<html" not in dialog + results
    assert 'data-q="ana"' in results
    assert client.get("/search/keys/", headers=HTMX).content.decode().startswith("<dialog")


def test_the_page_keeps_the_rules_and_works_without_script(as_, vera, deployment):
    page = as_(vera).get("/search/?q=ana").content.decode()
    assert complaints(page) == []
    assert f'href="{deployment.url}"' in page
    assert 'value="ana"' in page
    assert "Nothing found" in as_(vera).get("/search/?q=zzzz").content.decode()


def test_what_was_typed_and_named_is_never_markup(as_, vera, deployment):
    evil = "<script>alert(1)</script>"
    Deployment.objects.update(name=evil)
    for headers in ({}, HTMX):
        page = as_(vera).get("/search/", {"q": evil}, headers=headers).content.decode()
        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page


def test_a_stranger_is_asked_to_sign_in(client, db):
    assert reverse("account_login") in client.get("/search/?q=a").headers["Location"]


def test_no_more_than_six_words_are_looked_for():
    assert words_of("A b  c d e f g h") == ("a", "b", "c", "d", "e", "f")
    assert words_of("   ") == ()


def test_a_cookie_of_nonsense_is_read_as_nothing(as_, vera, deployment):
    client = as_(vera)
    client.cookies[COOKIE] = f"../x.{'a' * 99}.{deployment.release_name}.DROP TABLE"
    assert found(client, "")["Viewed recently"] == [("Analytics", deployment.url)]

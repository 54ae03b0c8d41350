"""Every URL of the operators' pages, crossed with every role. One that nobody listed fails the build."""

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

PEOPLE = (
    "charlie",
    "vera",
    "bob",
    "alice",
)  # stranger, Member, Editor, Admin: to operators' pages all the same
AUTOCOMPLETE = "?app_label=deployments&model_name=cluster&field_name=workspaces&term=a"

# name: (arguments, query), what an operator gets by GET and by POST. None: the URL without a name.
SITE = {
    "index": ((), "", 200, 200),
    "login": ((), "", 302, 302),  # to the index: there is no form
    "logout": ((), "", 302, 302),  # to the console's own
    "password_change": ((), "", 302, 302),  # likewise
    "password_change_done": ((), "", 302, 302),
    "autocomplete": ((), AUTOCOMPLETE, 200, 405),
    "jsi18n": ((), "", 200, 405),
    "view_on_site": (("999", "1"), "", 404, 404),
    "app_list": (("workspaces",), "", 200, 200),
}
NO_ROW = "00000000-0000-0000-0000-000000000000"
MODEL = {
    "changelist": ((), 200, 200),
    "add": ((), 403, 403),
    "change": ((NO_ROW,), 302, 302),  # to the index, in words; pages of rows: deployments/tests/test_admin.py
    "delete": ((NO_ROW,), 403, 403),
    "history": ((NO_ROW,), 302, 302),  # to the audit events
}
# Where it differs.
OWN = {
    ("deployments_cluster", "add"): ((), 200, 422),
    ("deployments_runtimerelease", "add"): ((), 200, 200),
    ("deployments_workertype", "add"): ((), 200, 200),
    ("deployments_cluster", "reach"): ((NO_ROW,), 404, 404),
}


def names() -> set[str]:
    """The names of all URLs of the site."""

    def walk(patterns):
        for pattern in patterns:
            yield from walk(pattern.url_patterns) if hasattr(pattern, "url_patterns") else [pattern.name]

    return set(walk(admin.site.urls[0]))


def models() -> list[str]:
    return [f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry]


def urls_of(model: str) -> dict[str, tuple]:
    return MODEL | {name: row for (own, name), row in OWN.items() if own == model}


def table() -> dict[str, tuple[int, int]]:
    """URL: what an operator gets by GET and by POST."""
    rows = {reverse(f"admin:{n}", args=a) + q: (get, post) for n, (a, q, get, post) in SITE.items()}
    for model in models():
        for name, (args, get, post) in urls_of(model).items():
            rows[reverse(f"admin:{model}_{name}", args=args)] = (get, post)
    catch_all, old_change = "/admin/nowhere/", f"/admin/workspaces/user/{NO_ROW}/"
    return rows | {catch_all: (404, 404), old_change: (302, 302)}


def test_every_url_of_the_site_is_in_the_table():
    listed = {*SITE, *(f"{model}_{name}" for model in models() for name in urls_of(model)), None}
    assert names() == listed


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("who", ["anonymous", *PEOPLE])
def test_only_operators_get_in(request, as_, workspace, who, method):
    client = Client() if who == "anonymous" else as_(request.getfixturevalue(who))
    for url in table():
        answer = getattr(client, method)(url)
        if who == "anonymous":
            assert answer.status_code == 302, url
            assert answer["Location"].startswith("/accounts/login/?next="), url
        else:
            assert answer.status_code == 403, url


@pytest.mark.thorough
def test_operators_get_what_the_table_says(as_, olga, cluster):
    client = as_(olga)
    found = {url: (client.get(url).status_code, client.post(url).status_code) for url in table()}
    assert found == table()


def test_an_operator_is_a_stranger_to_workspaces(as_, olga, workspace, deployment):
    assert as_(olga).get(workspace.url).status_code == 404
    assert as_(olga).get(deployment.url).status_code == 404


def test_buttons_need_the_token_of_the_form(olga, workspace):
    client = Client(enforce_csrf_checks=True)
    client.force_login(olga)
    data = {"action": "suspend", "_selected_action": str(workspace.pk), "confirmed": "yes"}
    assert client.post(reverse("admin:workspaces_workspace_changelist"), data).status_code == 403
    workspace.refresh_from_db()
    assert workspace.suspended_at is None

"""Open Airflow, from the console's side: whom it lets go on, with what, and what it writes down. From Airflow's side:
`dataplane/sign_in_story.py`."""

import html
import re
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from django.http import Http404
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from deployments.actions import sign_in
from deployments.dataplane import airflow_sign_in as rules
from deployments.models import AirflowSignOut
from deployments.secrets import assertions, vault
from deployments.tests.reconciler.test_reconcile import settle
from workspaces.models import AuditEvent, Membership, User

PASSWORD = "correct horse battery"
STATE = rules.digest("s" * 43)


@pytest.fixture
def healthy(deployment, driver):
    return settle(deployment)


def opened(client, deployment, **fields):
    """The answer to the form that posts itself."""
    return client.post(f"{deployment.url}open/", {"state": STATE, "next": "/dags", **fields})


def field(answer, name: str) -> str:
    return html.unescape(re.findall(rf'name="{name}" value="([^"]*)"', answer.content.decode())[0])


def read(deployment, assertion: str) -> rules.Assertion:
    """As its Airflow would."""
    key = rules.public_key(vault.read(deployment).sign_in_key)
    claims = jwt.decode(assertion, options={"verify_signature": False})
    return rules.read_assertion(assertion, key, deployment.release_name, "s" * 43, claims["iat"])


@pytest.mark.parametrize(("who", "role"), [("vera", "VIEWER"), ("bob", "OP"), ("alice", "ADMIN")])
def test_everybody_comes_in_as_oneself_with_the_role_of_the_workspace(as_, healthy, request, who, role):
    user = request.getfixturevalue(who)
    found = read(healthy, field(opened(as_(user), healthy), "assertion"))
    assert (found.user_id, found.email, found.role, found.next) == (
        str(user.pk),
        user.email,
        role,
        "/dags",
    )
    event = AuditEvent.objects.get(verb="opened the Airflow of")
    assert (event.actor_id, event.new) == (user.pk, {"role in Airflow": role})


def test_the_way_begins_at_airflow_and_comes_back_with_its_state(as_, vera, healthy):
    client = as_(vera)
    first = client.get(f"{healthy.url}open/", {"next": "/dags/proof?x=1"})
    assert first.status_code == 303
    target = urlsplit(first["Location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == f"{healthy.airflow_url}auth/login"
    assert parse_qs(target.query) == {"next": ["/dags/proof?x=1"], "console": ["http://testserver"]}
    back = client.get(f"{healthy.url}open/", {"next": "/dags", "state": STATE})
    assert back.status_code == 200
    assert (field(back, "state"), field(back, "next")) == (STATE, "/dags")
    assert "assertion" not in back.content.decode()
    assert not AuditEvent.objects.filter(verb="opened the Airflow of").exists()  # a GET writes nothing


def test_the_assertion_goes_to_that_airflow_alone_and_stands_in_no_address(as_, vera, healthy):
    answer = opened(as_(vera), healthy)
    text = answer.content.decode()
    assert f'action="{healthy.airflow_url}auth/callback"' in text
    assert "csrfmiddlewaretoken" not in text  # it would go to Airflow
    origin = healthy.airflow_url.rstrip("/")
    assert f"form-action {origin}" in answer["Content-Security-Policy"]
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert answer["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer["Cache-Control"]
    assert "<script>" not in text
    assert "onload" not in text


def test_who_signs_in_on_the_way_goes_on_from_a_page_of_ours(vera, healthy):
    stranger, here = Client(), f"{healthy.url}open/"
    form = stranger.get(here)["Location"]
    answer = stranger.post(form, {"login": vera.email, "password": PASSWORD})
    assert (answer.status_code, answer["Refresh"]) == (200, f"0; url={here}")
    assert stranger.get(here)["Location"].startswith(healthy.airflow_url)
    to_us = Client().post(f"/accounts/login/?next={healthy.url}", {"login": vera.email, "password": PASSWORD})
    assert (to_us.status_code, to_us["Location"]) == (302, healthy.url)


@pytest.mark.parametrize("state", ["", "short", "Z" * 64, "0" * 65])
def test_without_airflow_s_state_nothing_is_signed(as_, vera, healthy, state):
    answer = opened(as_(vera), healthy, state=state)
    assert answer.status_code == 303
    assert answer["Location"].startswith(healthy.airflow_url)
    assert not AuditEvent.objects.filter(verb="opened the Airflow of").exists()


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "/\\evil", "javascript:alert(1)"])
def test_only_paths_of_airflow_are_passed_on(as_, vera, healthy, to):
    assert read(healthy, field(opened(as_(vera), healthy, next=to), "assertion")).next == "/"
    assert "evil" not in as_(vera).get(f"{healthy.url}open/", {"next": to})["Location"]


def test_strangers_and_site_administrators_do_not_come_in(as_, client, charlie, olga, healthy):
    for user in (charlie, olga):
        assert opened(as_(user), healthy).status_code == 404
    client.logout()
    assert opened(client, healthy).status_code == 302
    asked = client.get(f"{healthy.url}open/", {"state": STATE, "next": "/dags"})
    assert asked["Location"].startswith("/accounts/login/?next=")
    assert STATE in asked["Location"]  # and back, once signed in


def test_a_suspended_workspace_has_no_way_into_its_airflow(as_, vera, healthy, workspace):
    workspace.suspended_at = timezone.now()
    workspace.save()
    assert opened(as_(vera), healthy).status_code == 403
    assert as_(vera).get(healthy.url).status_code == 200


def test_another_deployment_s_assertion_counts_for_nothing(as_, vera, healthy):
    assertion = field(opened(as_(vera), healthy), "assertion")
    other = rules.public_key(assertions.public_half(assertions.new_key()))
    with pytest.raises(rules.Refused, match="not one of Airdeck's"):
        rules.read_assertion(assertion, other, healthy.release_name, "s" * 43, 0)


def test_while_it_does_not_answer_a_page_waits_for_it(as_, vera, deployment):
    answer = as_(vera).get(f"{deployment.url}open/", {"next": "/dags"})
    assert answer.status_code == 303
    assert answer["Location"] == f"{deployment.url}opening/?to=%2Fdags"


def test_a_token_for_scripts_is_shown_once_has_the_own_role_and_is_audited(as_, vera, healthy):
    client = as_(vera)
    page = client.get(reverse("deployments:token", args=[healthy.release_name])).content.decode()
    assert "Every token is recorded" in page
    answer = client.post(reverse("deployments:token_new", args=[healthy.release_name]), {"minutes": 30})
    token = re.findall(r'data-copy="(eyJ[^"]+)"', answer.content.decode())[0]
    secret = vault.one(healthy, "jwt_secret")
    claims = jwt.decode(token, secret, algorithms=["HS512"], audience="apache-airflow")
    assert (claims["sub"], claims["role"], claims["kind"]) == (str(vera.pk), "VIEWER", "script")
    event = AuditEvent.objects.get(verb="created an Airflow token for")
    assert event.new == {"role in Airflow": "VIEWER", "minutes": 30}
    assert token not in str(event.new)
    assert answer.headers.get("Content-Encoding") is None
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("minutes", ["", "0", "61", "-5", "1.5", "a", "100000"])
def test_no_token_outlives_an_hour(as_, vera, healthy, minutes):
    url = reverse("deployments:token_new", args=[healthy.release_name])
    assert as_(vera).post(url, {"minutes": minutes}).status_code == 422
    assert not AuditEvent.objects.filter(verb="created an Airflow token for").exists()


def test_signing_out_is_written_down_for_airflow(as_, vera, healthy):
    client = as_(vera)
    before = timezone.now()
    assert not AirflowSignOut.objects.exists()
    client.post("/accounts/logout/")
    assert AirflowSignOut.objects.get(user=vera).at >= before


def test_a_new_password_ends_what_was_opened_with_the_old_one_in_airflow_too(vera, healthy):
    client, new = Client(), "quite another phrase"
    client.post("/accounts/login/", {"login": vera.email, "password": PASSWORD})
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    before = timezone.now()
    fields = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert client.post("/accounts/password/change/", fields).status_code == 302
    assert AirflowSignOut.objects.get(user=vera).at >= before


def test_the_right_is_looked_at_again_when_it_counts(vera, healthy):
    """Between the page's own look and the signature somebody may be removed."""
    Membership.objects.filter(user=vera).delete()
    user = User.objects.get(pk=vera.pk)
    with pytest.raises(Http404):
        sign_in.sign_in(deployment=healthy, by=user, state=STATE, to="/")
    assert not AuditEvent.objects.filter(verb="opened the Airflow of").exists()

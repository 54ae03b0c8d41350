"""The pages of environment variables: what they show to whom, and that nothing typed is lost but secrets."""

import re

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from console.tests.forms import posted_forms
from console.tests.html_rules import complaints
from deployments.actions.variables import delete_variables, latest_revision, set_variable
from deployments.domain.variables import Setting
from deployments.models import VariableRevision
from deployments.secrets import import_drafts, vault
from deployments.tests.reconciler.test_reconcile import settle

CANARY = "canary-77aa"


@pytest.fixture
def healthy(deployment, driver, bob):
    settle(deployment)
    add(deployment, bob, "REGION", "eu-central-1")
    add(deployment, bob, "TOKEN", CANARY, secret=True)
    return deployment


def add(deployment, by, key, value, *, secret=False):
    return set_variable(deployment=deployment, by=by, key=key, value=value, secret=secret, seen=None)


def url(deployment, name="variables", *more):
    return reverse(f"deployments:{name}", args=[deployment.release_name, *more])


def text(response):
    return " ".join(re.sub(r"<[^>]*>", " ", response.content.decode()).split())


def settings(deployment):
    return vault.variables_of(deployment)


def pasted(client, deployment, content, **more):
    """The address of the difference that pasting leads to."""
    response = client.post(url(deployment, "variables_import"), {"text": content, "secret": "on", **more})
    assert response.status_code == 303, text(response)
    return response["Location"]


def base_of(page):
    return re.search(r'name="base" value="(\d+)"', page.content.decode())[1]


def test_the_table_shows_plain_values_and_who_set_secrets(as_, vera, bob, healthy):
    page = as_(vera).get(url(healthy))
    message = text(page)
    assert "eu-central-1" in message
    assert "Secret, set just now by Bob" in message
    assert "Variables 2" in message  # the tab
    assert "Revision 2" in message
    assert CANARY not in page.content.decode()
    for control in ("Add variable", "Edit", "Replace", "Delete selected", "Apply again"):
        assert control not in message
        assert control in text(as_(bob).get(url(healthy)))
    assert complaints(page.content.decode()) == []


def test_the_page_costs_the_same_at_any_number(as_, bob, healthy):
    client = as_(bob)

    def cost():
        client.get(url(healthy))
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url(healthy)).status_code == 200
        return len(queries)

    few = cost()
    for number in range(40):
        healthy.variables.create(key=f"K{number}", value="v", updated_by=bob)
        VariableRevision.objects.create(deployment=healthy, number=number + 9, sealed=b"", by=bob)
    assert cost() == few <= 16  # the page of them, their count and the keys of all


def test_a_variable_is_added_and_its_value_trimmed_at_the_end(as_, bob, healthy):
    client = as_(bob)
    answer = client.post(url(healthy, "variable_new"), {"key": " DSN ", "value": "  a\r\nb \r\n"})
    assert answer.status_code == 303
    assert settings(healthy)["DSN"] == Setting("  a\nb", False)
    assert "DSN is saved." in text(client.get(url(healthy)))


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"key": "", "value": "kept-text"}, "Enter a key."),
        ({"key": "A-B", "value": "kept-text"}, "A key is made of letters"),
        ({"key": "AIRFLOW__CORE__EXECUTOR", "value": "kept-text"}, "Choose the executor with Edit"),
        ({"key": "REGION", "value": "kept-text"}, "REGION exists already"),
        ({"key": "A", "value": "kept-text\x00"}, "NUL"),
        ({"key": "A", "value": "kept-text\x07"}, "control character"),
        ({"key": "A", "value": "kept-text" + "x" * 32_768}, "32,768"),
        ({"key": "A", "value": "kept-text", "is_secret": "1"}, "no field “is_secret”"),
    ],
)
def test_a_bad_variable_gets_its_sentence_and_nothing_is_lost(as_, bob, healthy, typed, sentence):
    page = as_(bob).post(url(healthy, "variable_new"), typed)
    assert page.status_code == 422
    assert sentence in text(page)
    assert re.search(r"<title>([A-Z][a-z ]+: )?Error: ", page.content.decode())
    assert "kept-text" in page.content.decode()
    assert complaints(page.content.decode()) == []
    assert settings(healthy).keys() == {"REGION", "TOKEN"}


def test_a_typed_secret_is_not_sent_back_with_an_error(as_, bob, healthy):
    page = as_(bob).post(url(healthy, "variable_new"), {"key": "A-B", "value": CANARY, "secret": "on"})
    assert page.status_code == 422
    assert CANARY not in page.content.decode()
    assert "Enter the value again" in text(page)
    assert 'value="A-B"' in page.content.decode()


def test_a_secret_is_replaced_and_kept_when_left_empty(as_, bob, healthy):
    client, address = as_(bob), url(healthy, "variable_edit", "TOKEN")
    page = client.get(address)
    assert CANARY not in page.content.decode()
    assert 'name="secret"' not in page.content.decode()
    seen = healthy.variables.get(key="TOKEN").updated_at.isoformat()
    assert client.post(address, {"value": "", "seen": seen}).status_code == 303
    assert settings(healthy)["TOKEN"].value == CANARY
    masked = client.post(address, {"value": "••••••••", "seen": seen})
    assert masked.status_code == 422
    assert "shown in place of a secret" in text(masked)
    assert client.post(address, {"value": "next", "seen": seen}).status_code == 303
    assert settings(healthy)["TOKEN"] == Setting("next", True)
    again = client.post(address, {"value": CANARY, "seen": seen})
    assert again.status_code == 422
    assert "Bob changed TOKEN after you opened this page" in text(again)
    assert CANARY not in again.content.decode()


def test_what_was_typed_is_kept_beside_what_another_person_saved_and_a_second_save_counts(
    as_, alice, bob, healthy
):
    address = url(healthy, "variable_edit", "REGION")
    seen = healthy.variables.get(key="REGION").updated_at.isoformat()
    as_(alice).post(address, {"value": "theirs", "seen": seen, "plain": "1"})
    page = as_(bob).post(address, {"value": "mine", "seen": seen, "plain": "1"})
    assert page.status_code == 422
    assert "Alice changed REGION after you opened this page. It is now “theirs”." in text(page)
    assert ">\nmine</textarea>" in page.content.decode()
    assert complaints(page.content.decode()) == []
    again = re.search(r'name="seen" value="([^"]+)"', page.content.decode())[1]
    assert as_(bob).post(address, {"value": "mine", "seen": again, "plain": "1"}).status_code == 303
    assert settings(healthy)["REGION"].value == "mine"
    seen = healthy.variables.get(key="REGION").updated_at.isoformat()
    as_(alice).post(address, {"value": CANARY, "seen": seen, "plain": "1", "secret": "on"})
    page = as_(bob).post(address, {"value": "mine", "seen": seen, "plain": "1"})
    assert "Its value is secret." in text(page)
    assert "Enter the value again" in text(page)
    assert CANARY not in page.content.decode()


def test_a_secret_cannot_be_made_plain_by_a_posted_field(as_, bob, healthy):
    seen = healthy.variables.get(key="TOKEN").updated_at.isoformat()
    address = url(healthy, "variable_edit", "TOKEN")
    page = as_(bob).post(address, {"value": "next", "seen": seen, "secret": ""})
    assert page.status_code == 422
    assert settings(healthy)["TOKEN"] == Setting(CANARY, True)


def test_saving_an_unchanged_page_changes_no_byte(as_, bob, healthy):
    value = "  both \r\n sides \n\n"
    healthy.variables.create(key="ODD", value=value)
    client, address = as_(bob), url(healthy, "variable_edit", "ODD")
    page = client.get(address).content.decode()
    shown = re.search(r"<textarea[^>]*>\n?(.*?)</textarea>", page, re.DOTALL)[1]
    sent = shown.replace("\r\n", "\n").replace("\n", "\r\n")  # as a browser does
    seen = healthy.variables.get(key="ODD").updated_at.isoformat()
    assert client.post(address, {"value": sent, "seen": seen}).status_code == 303
    assert settings(healthy)["ODD"].value == value


def test_several_are_deleted_after_a_page_that_says_what_goes(as_, bob, healthy):
    client, address = as_(bob), url(healthy, "variables_delete")
    page = client.get(address, {"key": ["REGION", "TOKEN", "NEVER"]})
    assert "Delete 2 variables?" in text(page)
    assert "Restarts the API server, the scheduler" in text(page)
    assert settings(healthy).keys() == {"REGION", "TOKEN"}
    assert client.post(address, {"key": ["REGION", "TOKEN"], "base": base_of(page)}).status_code == 303
    assert settings(healthy) == {}
    empty = client.get(url(healthy))
    assert "2 variables are deleted." in text(empty)
    assert "No variables yet" in text(empty)


def test_what_changed_after_it_was_confirmed_is_not_deleted(as_, alice, bob, healthy):
    client, address = as_(bob), url(healthy, "variables_delete")
    shown = client.get(address, {"key": ["REGION", "TOKEN"]})
    seen = healthy.variables.get(key="REGION").updated_at
    set_variable(deployment=healthy, by=alice, key="REGION", value="mars", secret=False, seen=seen)
    for base in ({"base": base_of(shown)}, {}):
        page = client.post(address, {"key": ["REGION", "TOKEN"], **base})
        assert page.status_code == 409
        assert settings(healthy)["REGION"].value == "mars"
        assert "The variables changed after this page was shown" in text(page)
        assert "by Alice" in text(page)
        assert complaints(page.content.decode()) == []
    assert client.post(address, {"key": ["REGION", "TOKEN"], "base": base_of(page)}).status_code == 303
    assert settings(healthy) == {}
    again = client.post(address, {"key": ["REGION", "TOKEN"], "base": base_of(page)}, follow=True)
    assert "they were deleted already" in text(again)


def fields_of(page):
    return next(fields for _, fields in posted_forms(page.content.decode()) if "value" in fields)


def test_what_was_typed_for_a_variable_deleted_meanwhile_can_be_added_again(as_, alice, bob, healthy):
    client = as_(bob)
    opened = {key: fields_of(client.get(url(healthy, "variable_edit", key))) for key in ("REGION", "TOKEN")}
    base = latest_revision(healthy)
    delete_variables(deployment=healthy, by=alice, keys=opened, base=base)
    page = client.post(url(healthy, "variable_edit", "REGION"), {**opened["REGION"], "value": "typed-text"})
    assert page.status_code == 422
    assert "REGION was deleted after you opened this page. Add it again if you need it." in text(page)
    assert complaints(page.content.decode()) == []
    assert fields_of(page)["value"] == "typed-text"
    [action] = [action for action, fields in posted_forms(page.content.decode()) if "value" in fields]
    assert client.post(action, fields_of(page)).status_code == 303
    assert settings(healthy) == {"REGION": Setting("typed-text", False)}
    for typed in (opened["TOKEN"], {**opened["REGION"], "secret": "on"}, {"seen": "x"}):
        page = client.post(url(healthy, "variable_edit", "TOKEN"), {**typed, "value": CANARY})
        assert page.status_code == 422
        assert CANARY not in page.content.decode()
        assert "secret" in fields_of(page)
        assert "Enter the value again" in text(page)
    assert client.get(url(healthy, "variable_edit", "TOKEN")).status_code == 404


def test_while_creating_the_pages_say_so(as_, bob, deployment, driver):
    client = as_(bob)
    page = client.get(url(deployment))
    assert "You can change it once it is Healthy" in text(page)
    assert "Add variable" not in text(page)
    refused = client.post(url(deployment, "variable_new"), {"key": "A", "value": "kept-text"})
    assert refused.status_code == 422
    assert "You can change it once it is Healthy" in text(refused)
    assert "kept-text" in refused.content.decode()
    shown = client.get(pasted(client, deployment, "A=1\n"))
    assert "You can change it once it is Healthy" in text(shown)
    assert "Apply 1" not in text(shown)


def test_an_expired_draft_says_what_to_do(as_, bob, healthy):
    address = pasted(as_(bob), healthy, "A=1\n")
    import_drafts.forget(healthy, bob)
    page = as_(bob).get(address)
    assert page.status_code == 410
    assert "Paste it again" in text(page)
    assert complaints(page.content.decode()) == []
    cache.clear()


@pytest.mark.parametrize("value", ["<script>alert(1)</script>", "{{7*7}}", "%(a)s", "javascript:alert(1)"])
def test_values_are_shown_as_they_are(as_, bob, healthy, value):
    add(healthy, bob, "ODD", value)
    page = as_(bob).get(url(healthy)).content.decode()
    assert "<script>alert" not in page
    assert value.replace("<", "&lt;").replace(">", "&gt;") in page

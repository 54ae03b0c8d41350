"""The page of a hibernation schedule: what it shows, saves and refuses."""

# ruff: noqa: F811 - fixtures of another module

import re
from uuid import uuid4

import pytest
from django.utils import timezone

from console.tests.forms import posted_forms
from console.tests.html_rules import complaints
from deployments.actions import create_deployment
from deployments.models import Deployment, HibernationSchedule
from deployments.tests.pages.test_upgrade_hibernation_transfer import editable, page, url  # noqa: F401

pytestmark = pytest.mark.django_db


def fields(**changes):
    return {
        "hibernate_cron": "0 20 * * 1-5",
        "wake_cron": "0 7 * * 1-5",
        "time_zone": "Europe/Berlin",
    } | changes


def typed(client, here, **changes):
    """The form that the page shows, with this typed into it."""
    shown = next(form for _, form in posted_forms(client.get(here).content.decode()) if "shown" in form)
    return {"shown": shown["shown"], **fields(**changes)}


def test_a_schedule_is_saved_shown_and_told_in_words(as_, bob, editable):
    here = url("schedule", editable)
    answer = as_(bob).post(here, typed(as_(bob), here, enabled="on"))
    assert (answer.status_code, answer["Location"]) == (303, here)
    saved = HibernationSchedule.objects.get(deployment=editable)
    assert (saved.wake_cron, saved.time_zone, saved.enabled) == ("0 7 * * 1-5", "Europe/Berlin", True)
    shown = page(as_(bob), "schedule", editable)
    assert "At 20:00, Monday through Friday, Europe/Berlin." in shown
    assert shown.count("<time") >= 6


def test_a_schedule_that_cannot_be_read_loses_nothing_and_is_marked(as_, bob, editable):
    here = url("schedule", editable)
    answer = as_(bob).post(here, typed(as_(bob), here, hibernate_cron="61 20 * * 5", enabled="on"))
    message = answer.content.decode()
    assert answer.status_code == 422
    assert "The minute cannot be read." in message
    assert 'value="61 20 * * 5"' in message
    assert 'value="0 7 * * 1-5"' in message
    assert complaints(message) == []
    assert not HibernationSchedule.objects.exists()


def test_a_schedule_that_says_nothing_is_refused_unless_it_is_off(as_, bob, editable):
    here = url("schedule", editable)
    empty = typed(as_(bob), here, hibernate_cron="", wake_cron="")
    assert as_(bob).post(here, {**empty, "enabled": "on"}).status_code == 422
    assert as_(bob).post(here, empty).status_code == 303


def test_of_two_people_the_second_is_shown_the_difference_and_saves_knowingly(as_, alice, bob, editable):
    here = url("schedule", editable)
    bobs = typed(as_(bob), here, wake_cron="0 9 * * 1-5")
    alices = typed(as_(alice), here, hibernate_cron="0 22 * * *", time_zone="UTC", enabled="on")
    assert as_(alice).post(here, alices).status_code == 303
    answer = as_(bob).post(here, bobs)
    assert answer.status_code == 409
    assert [(d.label, d.was, d.saved, d.yours) for d in answer.context["differences"]] == [
        ("Hibernate at", "–", "0 22 * * *", "0 20 * * 1-5"),
        ("Wake at", "–", "0 7 * * 1-5", "0 9 * * 1-5"),
        ("Time zone", "–", "UTC", "Europe/Berlin"),
        ("Schedule on", "–", "yes", "no"),
    ]
    message = answer.content.decode()
    assert "Alice changed this while you were editing" in message
    assert complaints(message) == []
    assert HibernationSchedule.objects.get().wake_cron == "0 7 * * 1-5"
    again = next(form for _, form in posted_forms(message) if "shown" in form)
    assert (again["wake_cron"], "enabled" in again) == ("0 9 * * 1-5", False)
    again["time_zone"] = "UTC"
    assert as_(bob).post(here, again).status_code == 303
    saved = HibernationSchedule.objects.get()
    assert (saved.wake_cron, saved.time_zone, saved.enabled) == ("0 9 * * 1-5", "UTC", False)


def test_what_the_reader_did_not_change_is_taken_from_who_saved_first(as_, alice, bob, editable):
    here = url("schedule", editable)
    as_(alice).post(here, typed(as_(alice), here, enabled="on"))
    bobs = typed(as_(bob), here, wake_cron="0 9 * * 1-5", enabled="on")
    as_(alice).post(here, typed(as_(alice), here, hibernate_cron="0 22 * * 1-5"))  # and not followed
    answer = as_(bob).post(here, bobs)
    again = next(form for _, form in posted_forms(answer.content.decode()) if "shown" in form)
    assert (again["hibernate_cron"], again["wake_cron"], "enabled" in again) == (
        "0 22 * * 1-5",
        "0 9 * * 1-5",
        False,
    )


def test_a_form_that_was_shown_for_another_deployment_is_refused(as_, bob, editable, workspace, choices):
    other = create_deployment(workspace=workspace, by=bob, idempotency_key=uuid4(), choices=choices("Other"))
    Deployment.objects.filter(pk=other.pk).update(first_healthy_at=timezone.now())
    here = url("schedule", editable)
    for strange in (fields(), typed(as_(bob), url("schedule", other))):
        answer = as_(bob).post(here, strange)
        assert answer.status_code == 422
        assert "Reload it and try again" in answer.content.decode()
    assert not HibernationSchedule.objects.exists()


def test_a_suggestion_fills_the_form_and_the_preview(as_, bob, editable):
    message = as_(bob).get(url("schedule", editable) + "?suggest=weekends").content.decode()
    assert 'value="0 20 * * 5"' in message
    assert "only on Friday" in message
    assert not HibernationSchedule.objects.exists()


def test_a_suggestion_keeps_what_else_was_typed_and_offers_the_times_that_it_replaced(as_, bob, editable):
    here = url("schedule_preview", editable)
    sent = typed(as_(bob), url("schedule", editable), hibernate_cron="15 21 * * 4")
    message = as_(bob).post(f"{here}?suggest=weekends", sent).content.decode()
    assert 'value="0 20 * * 5"' in message
    assert '<option value="Europe/Berlin" selected>' in message
    assert "checked" not in message  # the box was not ticked
    assert sent["shown"] in message  # what saving compares with
    back = dict(re.findall('name="(back_[a-z_]+)" value="([^"]*)"', message))
    assert back == {"back_hibernate_cron": "15 21 * * 4", "back_wake_cron": "0 7 * * 1-5"}
    weekends = sent | {"hibernate_cron": "0 20 * * 5", "wake_cron": "0 7 * * 1"}
    undone = as_(bob).post(f"{here}?suggest=", weekends | back).content.decode()
    assert 'value="15 21 * * 4"' in undone
    assert "0 20 * * 5" in undone  # and back again
    assert not HibernationSchedule.objects.exists()


def test_without_a_script_a_preset_keeps_what_was_typed_too_and_saves_nothing(as_, bob, editable):
    here = url("schedule", editable)
    sent = typed(as_(bob), here, hibernate_cron="15 21 * * 4", enabled="on")
    shown = as_(bob).get(here).content.decode()
    assert 'id="preset-weekends" name="suggest" value="weekends"' in shown
    answer = as_(bob).post(here, {**sent, "suggest": "weekends"})
    message = answer.content.decode()
    assert answer.status_code == 200
    assert complaints(message) == []
    assert 'value="0 20 * * 5"' in message
    assert "only on Friday, Europe/Berlin" in message
    assert not HibernationSchedule.objects.exists()
    action, form = next((action, form) for action, form in posted_forms(message) if "shown" in form)
    assert (action, form["time_zone"], "enabled" in form) == (here, "Europe/Berlin", True)
    assert 'id="preset-undo" name="suggest" value=""' in message
    undone = as_(bob).post(here, {**form, "suggest": ""}).content.decode()
    assert 'value="15 21 * * 4"' in undone
    assert as_(bob).post(action, form).status_code == 303  # and saves with the next click
    assert HibernationSchedule.objects.get().hibernate_cron == "0 20 * * 5"


def test_the_preview_tells_what_is_typed_and_saves_nothing(as_, bob, editable):
    message = as_(bob).post(
        url("schedule_preview", editable), fields(wake_cron="0 7 * *", time_zone="Nowhere/No")
    )
    text = message.content.decode()
    assert text.count("<time") == 3
    assert "At 20:00, Monday through Friday, UTC." in text
    assert "Enter five fields" in text
    assert not HibernationSchedule.objects.exists()


def test_an_expression_that_is_too_long_is_not_even_read(as_, bob, editable, monkeypatch):
    monkeypatch.setattr("deployments.domain.schedules.upcoming", lambda *_: pytest.fail("it was read"))
    long = f"{','.join(['0'] * 5000)} 20 * * 5"
    answer = as_(bob).post(url("schedule_preview", editable), fields(hibernate_cron=long, wake_cron=""))
    assert "Enter at most 100 characters." in answer.content.decode()

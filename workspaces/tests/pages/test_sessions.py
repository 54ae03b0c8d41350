"""The sessions of a person, and ending one of them."""

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from console.tests.html_rules import complaints
from workspaces.models import User

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Mobile/15E148 Safari/604.1"


@pytest.fixture
def signed_in():
    def do(user: User, agent: str):
        browser = Client(headers={"user-agent": agent})
        browser.force_login(user)
        key = browser.session.session_key
        session = UserSession.objects.create(user=user, ip="127.0.0.1", user_agent=agent, session_key=key)
        return browser, session

    return do


def test_one_browser_is_signed_out_and_the_others_stay(signed_in, alice):
    here, _ = signed_in(alice, FIREFOX)
    phone, other = signed_in(alice, SAFARI)
    shown = here.get(reverse("usersessions_list")).content.decode()
    assert "Firefox on Linux" in shown
    assert "Safari on iPhone" in shown
    assert complaints(shown) == []
    answer = here.post(reverse("session_end", args=[other.pk]), follow=True)
    assert "That browser is signed out." in answer.content.decode()
    assert phone.get(reverse("account")).status_code == 302
    assert here.get(reverse("account")).status_code == 200
    assert not Session.objects.filter(session_key=other.session_key).exists()


def test_the_session_in_use_is_not_ended_by_it(signed_in, alice):
    here, mine = signed_in(alice, FIREFOX)
    answer = here.post(reverse("session_end", args=[mine.pk]), follow=True)
    assert "This is the session that you are using." in answer.content.decode()
    assert here.get(reverse("account")).status_code == 200


def test_nobody_ends_a_session_of_somebody_else(signed_in, alice, bob):
    _, alices = signed_in(alice, FIREFOX)
    bobs, _ = signed_in(bob, SAFARI)
    assert bobs.post(reverse("session_end", args=[alices.pk])).status_code == 404
    assert UserSession.objects.filter(pk=alices.pk).exists()


def test_a_part_of_a_page_that_is_asked_for_after_signing_out_is_no_sign_in_form(client, deployment):
    for url in (deployment.url, deployment.workspace.url, deployment.badge_url, "/search/?q=a"):
        assert client.get(url)["Location"].startswith("/accounts/login/?next=")
        part = client.get(url, headers={"HX-Request": "true"}, follow=True)
        assert (part.status_code, part.content, part.redirect_chain) == (401, b"", [])

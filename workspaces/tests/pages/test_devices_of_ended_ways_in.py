"""A code that was confirmed and not fetched yet is a way in, and ends with the others."""

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client
from django.urls import reverse

from conftest import PASSWORD
from workspaces.actions import operators, sessions
from workspaces.models import ApiToken
from workspaces.tests.pages.test_devices import Terminal, _from_the_start, fresh, say  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db
SENTENCE = (
    "The person who confirmed this code was signed out afterwards. Run airdeck login again for a new one."
)
NEW = "another long passphrase"


def forgotten(client, user, olga):
    sessions.forget_ways_in(user=user)


def signed_out_elsewhere(client, user, olga):
    other = Client()
    other.force_login(user)
    UserSession.objects.create(
        user=user, ip="127.0.0.1", user_agent="x", session_key=other.session.session_key
    )
    assert client.post(reverse("usersessions_list")).status_code == 302


def another_password(client, user, olga):
    given = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
    assert client.post(reverse("account_change_password"), given).status_code == 302


def blocked_and_unblocked(client, user, olga):
    operators.block_user(user=user, by=olga)
    operators.unblock_user(user=user, by=olga)


@pytest.mark.parametrize("ends", [forgotten, signed_out_elsewhere, another_password, blocked_and_unblocked])
def test_what_ends_the_ways_in_ends_a_code_that_was_confirmed_before(fresh, alice, bob, olga, ends):  # noqa: F811
    mine, theirs = Terminal(), Terminal()
    say(fresh(alice), mine)
    say(fresh(bob), theirs)
    ends(fresh(alice), alice, olga)
    status, answer = mine.poll()
    assert (status, answer) == (400, {"error": "access_denied", "error_description": SENTENCE})
    assert mine.poll()[1]["error"] == "invalid_grant"  # and is gone
    assert not ApiToken.objects.filter(maker=alice).exists()
    assert theirs.poll()[0] == 200  # another person's is none of it


def test_a_code_that_is_confirmed_afterwards_counts(fresh, alice):  # noqa: F811
    terminal = Terminal()
    sessions.forget_ways_in(user=alice)
    say(fresh(alice), terminal)
    assert terminal.poll()[0] == 200

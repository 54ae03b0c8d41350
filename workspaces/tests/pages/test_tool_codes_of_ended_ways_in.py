"""An authorization code that a tool was given and has not exchanged yet is a way in, and ends with the others."""

import threading

import pytest
from django.db import connection

from workspaces.actions import sessions
from workspaces.sign_in import tool_codes
from workspaces.tests.pages.test_devices import _from_the_start, fresh  # noqa: F401 - fixtures
from workspaces.tests.pages.test_devices_of_ended_ways_in import (
    another_password,
    blocked_and_unblocked,
    forgotten,
    signed_out_elsewhere,
)
from workspaces.tests.pages.test_identity import BACK, Tool, code_of, key, provider, wiki  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("ends", [forgotten, signed_out_elsewhere, another_password, blocked_and_unblocked])
def test_what_ends_the_ways_in_ends_a_code_that_was_given_before(wiki, fresh, alice, bob, olga, ends):  # noqa: F811
    tool = Tool(wiki)
    mine, theirs = (code_of(fresh(person).get(tool.way_in())) for person in (alice, bob))
    ends(fresh(alice), alice, olga)
    for _ in range(2):
        answer = tool.exchange(mine)
        assert answer.status_code == 400
        assert answer.json() == {"error": "invalid_grant", "error_description": tool_codes.SIGNED_OUT}
    assert tool.exchange(theirs).status_code == 200  # another person's is none of it


@pytest.mark.parametrize("more", [{"response_mode": "fragment"}, {"prompt": "none"}])
def test_so_does_one_that_comes_in_the_fragment_or_without_a_page(wiki, fresh, alice, more):  # noqa: F811
    tool, client = Tool(wiki), fresh(alice)
    tool.exchange(code_of(client.get(tool.way_in())))  # only then one is given without a page
    location = client.get(tool.way_in(**more))["Location"]
    code = location.partition("code=")[2].partition("&")[0]
    assert location.startswith(BACK)
    assert code
    sessions.forget_ways_in(user=alice)
    assert tool.exchange(code).json()["error_description"] == tool_codes.SIGNED_OUT


def test_a_code_that_is_given_afterwards_counts(wiki, fresh, alice):  # noqa: F811
    tool = Tool(wiki)
    sessions.forget_ways_in(user=alice)
    assert tool.exchange(code_of(fresh(alice).get(tool.way_in()))).status_code == 200


def test_a_wrong_secret_is_said_to_be_wrong_whatever_the_code_is_worth(wiki, fresh, alice):  # noqa: F811
    tool = Tool(wiki)
    code = code_of(fresh(alice).get(tool.way_in()))
    sessions.forget_ways_in(user=alice)
    assert tool.exchange(code, secret="wrong").status_code == 401


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("patient")
def test_one_code_is_one_exchange_however_many_ask_at_once(wiki, fresh, alice):  # noqa: F811
    tool = Tool(wiki)
    code = code_of(fresh(alice).get(tool.way_in()))
    barrier, statuses = threading.Barrier(4), []

    def exchange():
        barrier.wait(timeout=20)
        statuses.append(tool.exchange(code).status_code)
        connection.close()

    threads = [threading.Thread(target=exchange) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(timeout=60)
    assert sorted(statuses) == [200, 400, 400, 400]

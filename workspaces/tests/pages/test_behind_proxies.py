"""Whose address counts at sign-in when the number of proxies in the settings is not the number that there are."""

import pytest
from allauth.usersessions.models import UserSession
from django.core.cache import cache
from django.test import Client

from workspaces import adapter

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_counted_or_said(db):
    cache.clear()
    adapter.say_that_proxies_differ.cache_clear()


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (1, "198.51.100.7", "198.51.100.7"),
        (2, "198.51.100.7", "127.0.0.1"),  # one proxy fewer than was set, or a way past one
        (1, "unknown", "127.0.0.1"),  # as a proxy may write (RFC 7239, 6.2)
        (1, "", "127.0.0.1"),
    ],
)
def test_people_sign_in_all_the_same_and_the_operator_is_told_which_setting_it_is(
    alice, settings, caplog, proxies, forwarded, address
):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    client = Client(**({"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}))
    for _ in range(2):
        wrong = client.post("/accounts/login/", {"login": alice.email, "password": "wrong"})
        assert wrong.status_code == 200
    came_in = client.post("/accounts/login/", {"login": alice.email, "password": "correct horse battery"})
    assert came_in.status_code == 302
    assert UserSession.objects.get(user=alice).ip == address
    told = [record for record in caplog.records if "TRUSTED_PROXY_COUNT" in record.getMessage()]
    assert len(told) == (1 if forwarded and address == "127.0.0.1" else 0)

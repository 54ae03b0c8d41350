"""Where webhooks may lead, and how they are signed."""

import pytest

from deployments.domain import webhook_signature, webhook_url
from deployments.domain.public_hosts import WEBHOOKS


@pytest.fixture
def listing():
    """Lists addresses as an operator does, for this test."""
    before = WEBHOOKS.listed
    yield lambda *entries: WEBHOOKS.allow(entries)
    WEBHOOKS.listed = before


def test_an_address_is_taken_apart_and_shown_without_what_opens_it():
    target = webhook_url.read("https://hooks.slack.com/services/T0/B0/secret?x=1")
    assert (target.host, target.port, target.path) == ("hooks.slack.com", 443, "/services/T0/B0/secret?x=1")
    assert target.shown == "https://hooks.slack.com/…"
    assert webhook_url.read("https://example.com:8443").shown == "https://example.com:8443/…"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "whole address"),
        ("hooks.example.com", "whole address"),
        ("ftp://example.com/", "whole address"),
        ("https:///path", "whole address"),
        ("https://exa mple.com/", "whole address"),
        ("https://example.com:99999/", "whole address"),
        ("https://exämple.com/", "whole address"),
        ("https://user:pass@example.com/", "without user name"),
        ("https://example.com/#x", "without user name"),
        ("http://example.com/", "begins with https://"),
        ("https://127.0.0.1/", "WEBHOOK_ADDRESSES"),
        ("https://localhost/", "WEBHOOK_ADDRESSES"),
        ("https://10.1.2.3/", "WEBHOOK_ADDRESSES"),
        ("https://169.254.169.254/latest/meta-data/", "WEBHOOK_ADDRESSES"),
        ("https://2130706433/", "WEBHOOK_ADDRESSES"),
        ("https://0x7f.1/", "WEBHOOK_ADDRESSES"),
        ("https://[::1]/", "WEBHOOK_ADDRESSES"),
        ("https://[::ffff:10.0.0.1]/", "WEBHOOK_ADDRESSES"),
    ],
)
def test_what_may_not_be_sent_to_is_refused_with_what_to_do(url, words):
    with pytest.raises(ValueError, match=words):
        webhook_url.read(url)


def test_what_the_operator_lists_may_be_sent_to_also_in_the_clear(listing):
    listing("10.1.0.0/16", "pager.corp.example")
    assert webhook_url.read("http://10.1.2.3:9000/hook").port == 9000
    assert webhook_url.read("http://pager.corp.example/").port == 80
    assert WEBHOOKS.refusal("pager.corp.example", "10.9.9.9") == ""
    assert "WEBHOOK_ADDRESSES" in WEBHOOKS.refusal("pager.corp.example", "169.254.169.254")
    assert "WEBHOOK_ADDRESSES" in WEBHOOKS.refusal("elsewhere.example", "10.9.9.9")


def test_the_signature_is_the_standard_s():
    signed = webhook_signature.signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_no_two_secrets_are_the_same():
    assert webhook_signature.new_secret() != webhook_signature.new_secret()

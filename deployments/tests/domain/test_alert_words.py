"""What an alert says: whole messages, and that no name in them is anything but a name."""

import json

from deployments.domain import alert_words
from deployments.domain.alert_words import Message

BASE = "https://airdeck.example"
UNHEALTHY = Message(
    event="opened",
    headline="Analytics is Unhealthy",
    sentence="The scheduler does not answer. Look at its log.",
    kind="unhealthy",
    rule="Unhealthy for 5 minutes",
    workspace="Acme Data",
    workspace_id="7f0c",
    deployment="Analytics",
    release_name="native-cosmos-3782",
    alert_id="a1",
    opened_at="2026-11-28T14:05:09+00:00",
    at="2026-11-28T14:05:09+00:00",
    path="/deployments/native-cosmos-3782/",
    rules_path="/deployments/native-cosmos-3782/alerts/",
)


def changed(**values) -> Message:
    return Message(**{**UNHEALTHY.stored(), **values, "lines": tuple(values.get("lines", ()))})


def test_the_mail_says_what_and_where_in_its_subject_and_why_in_its_text():
    assert alert_words.subject(UNHEALTHY) == "Analytics is Unhealthy (Acme Data)"
    assert (
        alert_words.mail(UNHEALTHY, BASE)
        == """\
Analytics is Unhealthy.

The scheduler does not answer. Look at its log.

Deployment  Analytics (native-cosmos-3782)
Workspace   Acme Data
Since       28 November 2026, 14:05 UTC

Open it:
https://airdeck.example/deployments/native-cosmos-3782/

Sent by the alert rule “Unhealthy for 5 minutes” of Airdeck. Silence it or change the rule:
https://airdeck.example/deployments/native-cosmos-3782/alerts/
"""
    )


def test_a_reminder_and_the_end_say_so_first():
    reminder = changed(event="reminded", at="2026-11-28T20:05:09+00:00")
    assert alert_words.subject(reminder) == "Still: Analytics is Unhealthy (Acme Data)"
    assert alert_words.mail(reminder, BASE).startswith("Still open after 6 h: Analytics is Unhealthy.\n")
    over = changed(event="resolved", at="2026-11-28T14:20:00+00:00")
    assert alert_words.subject(over) == "Resolved: Analytics is Unhealthy (Acme Data)"
    assert "Until       28 November 2026, 14:20 UTC" in alert_words.mail(over, BASE)


def test_a_digest_lists_what_it_stands_for():
    digest = changed(
        event="digest",
        headline="60 more messages of “DAG run failed” within an hour",
        lines=tuple(f"DAG run failed: dag_{n}" for n in range(50)),
        more=10,
    )
    text = alert_words.mail(digest, BASE)
    assert text.count("- DAG run failed: dag_") == 50
    assert "And 10 more." in text
    assert "as many messages as a rule may send in an hour" in text
    slack = json.loads(alert_words.slack(digest, BASE))["text"]
    assert slack.count("• ") == 10
    assert "And 50 more." in slack


def test_a_test_says_that_nothing_is_wrong():
    text = alert_words.mail(changed(event="test", headline="Alerts of Acme Data arrive here"), BASE)
    assert text.startswith("This is a test. Alerts of Acme Data arrive here.")
    assert "Nothing is wrong" in text


def test_a_name_is_no_header_and_no_sentence_of_ours():
    nasty = changed(
        headline="Evil\r\nBcc: eve@evil.example\n\nYour account\u202e is Unhealthy",
        workspace="A\nB",
        sentence="one\n\ntwo",
    )
    assert "\n" not in alert_words.subject(nasty)
    first, *_ = alert_words.mail(nasty, BASE).split("\n\n")
    assert first == "Evil Bcc: eve@evil.example Your account is Unhealthy."


def test_slack_gets_no_markup_of_a_name():
    nasty = changed(headline="<!channel> & <https://evil.example|click> *x* `y`")
    text = json.loads(alert_words.slack(nasty, BASE))["text"]
    assert "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt; ∗x∗ 'y'" in text
    assert text.count("<") == 1  # our own link
    assert "<https://airdeck.example/deployments/native-cosmos-3782/|Open in Airdeck>" in text


def test_the_json_of_a_webhook():
    assert json.loads(alert_words.webhook(UNHEALTHY, BASE)) == {
        "version": 1,
        "event": "alert.opened",
        "title": "Analytics is Unhealthy (Acme Data)",
        "headline": "Analytics is Unhealthy",
        "sentence": "The scheduler does not answer. Look at its log.",
        "rule": {"kind": "unhealthy", "title": "Unhealthy for 5 minutes"},
        "subject": "",
        "workspace": {"id": "7f0c", "name": "Acme Data"},
        "deployment": {"release_name": "native-cosmos-3782", "name": "Analytics"},
        "alert": {"id": "a1", "opened_at": "2026-11-28T14:05:09+00:00", "resolved_at": None},
        "url": "https://airdeck.example/deployments/native-cosmos-3782/",
    }


def test_a_stored_message_is_read_back_also_by_an_older_airdeck():
    digest = changed(event="digest", lines=("a", "b"))
    stored = json.loads(json.dumps(digest.stored()))
    assert Message.read(stored) == digest
    assert Message.read({**stored, "new_in_2027": 1}) == digest

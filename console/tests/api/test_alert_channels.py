"""Channels of alerts for programs: made, changed, tried and removed as on their pages, and never an address whole."""

from uuid import uuid4

import pytest
from django.utils import timezone

from deployments.actions import alert_channels as actions
from deployments.actions.alert_channels import TEST_RATE
from deployments.models import AlertChannel, AlertDelivery, AlertRule
from deployments.secrets import alert_channels as sealed
from workspaces.models import AuditEvent
from workspaces.permissions import Role

pytestmark = pytest.mark.django_db

HOOK = "https://hooks.example.com/services/hush-hush-4711"


@pytest.fixture
def admin(program, alice):
    return program(alice, Role.ADMIN)


@pytest.fixture
def path(workspace) -> str:
    return f"/workspaces/{workspace.pk}/alert-channels"


def errors_of(answer) -> dict[str, str]:
    return {each["path"]: each["sentence"] for each in answer.json()["errors"]}


def test_a_webhook_is_made_and_its_address_and_secret_never_come_back(admin, program, vera, path, workspace):
    answer = admin.ask("post", path, {"kind": "webhook", "name": "Pager", "url": HOOK}, status=201).json()
    made, row = answer["channel"], AlertChannel.objects.get()
    assert (made["name"], made["kind"], made["leads_to"]) == (
        "Pager",
        "webhook",
        "https://hooks.example.com/…",
    )
    assert (made["addresses"], made["rules"]) == ([], [])
    assert sealed.secret_of(row) == answer["secret"]
    assert sealed.url_of(row) == HOOK
    rule = AlertRule.objects.create(workspace=workspace, kind="unhealthy", amount=5)
    rule.channels.add(row)
    member = program(vera, Role.MEMBER, personal=True)
    one = f"{path}/{made['id']}"
    for read in (member.get(path)["items"][0], member.get(one)):
        assert read == {**made, "rules": ["Unhealthy for 5 minutes"]}
    member.ask("patch", one, {"name": "x"}, status=403)

    another = admin.ask("post", f"{one}/secret", status=201).json()["secret"]
    row.refresh_from_db()
    assert sealed.secret_of(row) == another != answer["secret"]
    events = str(list(AuditEvent.objects.values("old", "new")))
    assert "hush-hush" not in str(member.get(path)) + events
    assert another not in str(member.get(path)) + events


def test_a_key_makes_one_channel_and_one_secret_and_that_is_answered_again_for_an_hour(
    admin, path, program, alice
):
    wish = {"kind": "webhook", "name": " Pager", "url": HOOK}
    first = admin.ask("post", path, wish, status=201, Idempotency_Key="k1").json()
    assert admin.ask("post", path, wish, status=201, Idempotency_Key="k1").json() == first
    other = admin.ask("post", path, {**wish, "name": "Two"}, status=409, Idempotency_Key="k1").json()
    assert other["code"] == "idempotency_key_reused"
    theirs = program(alice, Role.ADMIN, name="another")  # the key counts for a token
    theirs.ask("post", path, wish, status=409, Idempotency_Key="k1")
    assert AlertChannel.objects.count() == 1

    secret = f"{path}/{first['channel']['id']}/secret"
    new = admin.ask("post", secret, status=201, Idempotency_Key="k1").json()["secret"]
    assert new != first["secret"]
    assert admin.ask("post", secret, status=201, Idempotency_Key="k1").json()["secret"] == new
    late = admin.ask("post", path, wish, status=409, Idempotency_Key="k1").json()
    assert late["code"] == "alert_channel_exists"  # not the secret that another request made
    AlertChannel.objects.update(retry_until=timezone.now())
    newest = admin.ask("post", secret, status=201, Idempotency_Key="k1").json()["secret"]
    assert newest != new
    assert admin.ask("post", secret, status=201).json()["secret"] != newest

    wish["name"] = "Late"
    made = admin.ask("post", path, wish, status=201, Idempotency_Key="k2").json()
    AlertChannel.objects.update(retry_until=timezone.now())
    again = admin.ask("post", path, wish, status=201, Idempotency_Key="k2").json()
    assert again == {"channel": made["channel"], "secret": ""}


def test_what_is_sent_is_changed_and_the_rest_stays(admin, vera, path):
    made = admin.ask("post", path, {"kind": "slack", "name": "Team", "url": HOOK}, status=201).json()
    assert made["secret"] == ""
    one = f"{path}/{made['channel']['id']}"
    assert admin.ask("patch", one, {"name": "Team A"}, status=200).json()["name"] == "Team A"
    for kept in ({"url": ""}, {"url": None}, {}):
        admin.ask("patch", one, kept, status=200)
    assert sealed.url_of(AlertChannel.objects.get()) == HOOK
    moved = admin.ask("patch", one, {"url": "https://other.example/x"}, status=200).json()
    assert (moved["name"], moved["leads_to"]) == ("Team A", "https://other.example/…")
    refused = admin.ask("post", f"{one}/secret", status=422)  # Slack signs nothing
    assert "Only a webhook has a secret." in refused.content.decode()

    mail = {"kind": "email", "name": "Us", "addresses": ["alice@example.org", "vera@example.org"]}
    channel = admin.ask("post", path, mail, status=201).json()["channel"]
    fewer = admin.ask("patch", f"{path}/{channel['id']}", {"addresses": ["vera@example.org"]}, status=200)
    assert (fewer.json()["name"], fewer.json()["addresses"]) == ("Us", ["vera@example.org"])
    admin.ask("patch", f"{path}/{channel['id']}", {"name": "We"}, status=200)
    assert AlertChannel.objects.get(name="We").addresses == ["vera@example.org"]
    admin.ask("post", path, {"kind": "admins"}, status=201)
    assert [each["name"] for each in admin.get(path)["items"]] == ["Admins", "Team A", "We"]
    admin.ask("delete", one, status=204)
    for method in ("get", "patch", "delete"):
        assert admin.ask(method, one, {}, status=404).json()["code"] == "alert_channel_gone"


def test_what_another_person_changed_a_moment_before_stays(admin, vera, path, monkeypatch):
    mail = {"kind": "email", "name": "Us", "addresses": ["alice@example.org", "vera@example.org"]}
    one = f"{path}/{admin.ask('post', path, mail, status=201).json()['channel']['id']}"
    real = actions.lock_for

    def overtaken(*arguments):
        """Another request had the lock before, and wrote."""
        AlertChannel.objects.filter(name="Us").update(addresses=["vera@example.org"])
        return real(*arguments)

    monkeypatch.setattr(actions, "lock_for", overtaken)
    changed = admin.ask("patch", one, {"name": "We"}, status=200).json()
    assert (changed["name"], changed["addresses"]) == ("We", ["vera@example.org"])


def test_if_match_keeps_what_another_person_saved(admin, path):
    made = admin.ask("post", path, {"kind": "slack", "name": "Team", "url": HOOK}, status=201).json()
    one = f"{path}/{made['channel']['id']}"
    tag = admin.ask("get", one, status=200)["ETag"]
    moved = admin.ask("patch", one, {"url": f"{HOOK}-2"}, status=200, If_Match=tag)["ETag"]  # looks the same
    stale = admin.ask("patch", one, {"name": "x"}, status=412, If_Match=tag).json()
    assert stale["code"] == "stale"
    assert admin.get(one)["name"] == "Team"
    named = admin.ask("patch", one, {"name": "Team A"}, status=200, If_Match=moved)["ETag"]
    assert named == admin.ask("get", one, status=200)["ETag"] != moved


def test_an_address_of_a_former_member_does_not_hinder_another_name(admin, path, vera, workspace):
    mail = {"kind": "email", "name": "Us", "addresses": ["alice@example.org", "vera@example.org"]}
    one = f"{path}/{admin.ask('post', path, mail, status=201).json()['channel']['id']}"
    workspace.memberships.filter(user=vera).delete()
    admin.ask("patch", one, {"name": "We"}, status=200)
    admin.ask("patch", one, {"addresses": mail["addresses"]}, status=200)
    more = {"addresses": [*mail["addresses"], "eve@evil.example"]}
    assert errors_of(admin.ask("patch", one, more, status=422))["addresses"].startswith("eve@evil.example is")
    admin.ask("patch", one, {"addresses": ["alice@example.org"]}, status=200)
    admin.ask("patch", one, {"addresses": mail["addresses"]}, status=422)  # new in it once more


@pytest.mark.parametrize(
    ("sent", "errors"),
    [
        ({"kind": "pigeon"}, {"kind": "Enter one of admins, email, webhook, slack."}),
        ({"kind": 7, "colour": "red"}, {"kind": "Enter text.", "colour": "There is no field colour here."}),
        ({"kind": "slack"}, {"name": "Enter a name.", "url": "Enter the address of the webhook."}),
        ({"kind": "slack", "name": "S", "url": 7}, {"url": "Enter text."}),
        ({"kind": "email", "name": "E"}, {"addresses": "Enter at least one email address."}),
        ({"kind": "email", "name": "E", "addresses": [7]}, {"addresses": "Enter a list of email addresses."}),
        ({"kind": "email", "name": "E", "addresses": "a@b.c"}, {"addresses": "Enter a list."}),
        (
            {"kind": "admins", "url": HOOK, "addresses": []},
            {
                "url": "A channel of the kind admins has no url. Leave it out.",
                "addresses": "A channel of the kind admins has no addresses. Leave it out.",
            },
        ),
    ],
)
def test_what_is_wrong_is_said_by_field_at_once(admin, path, sent, errors):
    assert errors_of(admin.ask("post", path, sent, status=422)) == errors
    assert not AlertChannel.objects.exists()


def test_rules_of_the_page_hold_here_and_no_address_comes_back_with_a_refusal(admin, path):
    http = admin.ask(
        "post", path, {"kind": "webhook", "name": "W", "url": HOOK.replace("https", "http")}, status=422
    )
    assert "begins with https://" in errors_of(http)["url"]
    assert "hush-hush" not in http.content.decode()
    stranger = {"kind": "email", "name": "E", "addresses": ["eve@evil.example"]}
    assert "ALERT_EMAIL_DOMAINS" in errors_of(admin.ask("post", path, stranger, status=422))["addresses"]
    admin.ask("post", path, {"kind": "admins", "name": "One"}, status=201)
    again = admin.ask("post", path, {"kind": "admins", "name": "Two"}, status=422)
    assert errors_of(again)["name"] == "There is a channel to all Admins already."
    taken = admin.ask("post", path, {"kind": "slack", "name": "One", "url": HOOK}, status=409).json()
    assert taken["code"] == "alert_channel_exists"


def test_a_test_is_sent_seen_sent_again_and_limited(
    admin, program, bob, path, workspace, enqueued_alerts, django_capture_on_commit_callbacks, one_window
):
    made = admin.ask("post", path, {"kind": "email", "name": "Us", "addresses": ["alice@example.org"]})
    one = f"{path}/{made.json()['channel']['id']}"
    with django_capture_on_commit_callbacks(execute=True):
        (sent,) = admin.ask("post", f"{one}/test", status=202).json()["items"]
    assert (sent["channel"], sent["address"], sent["event"]) == ("Us", "alice@example.org", "test")
    assert (sent["state"], sent["tries"]) == ("queued", 0)
    assert "Alerts of Acme Data arrive here" in sent["title"]
    assert [str(each) for each in enqueued_alerts] == [sent["id"]]
    deliveries = f"/workspaces/{workspace.pk}/alert-deliveries"
    early = admin.ask("post", f"{deliveries}/{sent['id']}/again", status=409).json()
    assert early["code"] == "delivery_under_way"
    AlertDelivery.objects.update(state="failed", tries=3, answer="No such mailbox.")
    editor = program(bob, Role.EDITOR, personal=True)
    (seen,) = editor.get(f"{deliveries}?channel={made.json()['channel']['id']}")["items"]
    assert (seen["state"], seen["tries"], seen["answer"]) == ("failed", 3, "No such mailbox.")
    assert editor.get(f"{deliveries}?channel=Us")["items"] == [seen]
    editor.get(f"{deliveries}?channel=They", status=422)
    assert editor.ask("post", f"{deliveries}/{sent['id']}/again", status=202).json()["state"] == "queued"
    gone = editor.ask("post", f"{deliveries}/{uuid4()}/again", status=404).json()
    assert gone["detail"].startswith("There is no such message")

    for _ in range(TEST_RATE[0] - 1):
        admin.ask("post", f"{one}/test", status=202)
    many = admin.ask("post", f"{one}/test", status=429)
    assert int(many["Retry-After"]) > 0
    first = admin.get(f"{deliveries}?limit=7")
    rest = admin.get(f"{deliveries}?limit=7&cursor={first['next']}")
    assert len({each["id"] for each in [*first["items"], *rest["items"]]}) == TEST_RATE[0]
    assert rest["next"] is None


def test_lists_cost_the_same_queries_for_one_and_for_many(
    admin, path, workspace, django_assert_max_num_queries
):
    rule = AlertRule.objects.create(workspace=workspace, kind="unhealthy", amount=5)
    for number in range(15):
        channel = AlertChannel.objects.create(workspace=workspace, kind="slack", name=f"S{number}")
        rule.channels.add(channel)
        workspace.alert_deliveries.create(
            channel=channel, event="test", content={"event": "test", "headline": "x"}
        )
    with django_assert_max_num_queries(6):
        assert len(admin.get(path)["items"]) == 15
    with django_assert_max_num_queries(6):
        assert len(admin.get(f"/workspaces/{workspace.pk}/alert-deliveries")["items"]) == 15

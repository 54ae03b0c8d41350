"""Channels of alerts from a terminal: the address of a webhook comes in by every way but an argument."""

import time

import pytest

from deployments.models import AlertChannel, AlertDelivery
from deployments.reconciler import alert_delivery
from deployments.secrets import alert_channels as sealed
from tests.played_servers import Cutter
from workspaces.permissions import Role

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]

HOOK = "https://hooks.example.com/services/hush-hush-4711"


@pytest.fixture
def channel(airdeck, token, alice):
    """`airdeck alert channel …` of an Admin."""
    admin = token(alice, Role.ADMIN)

    def run(*words: str, environment=None, **more):
        return airdeck(
            "alert", "channel", *words, environment={"AIRDECK_TOKEN": admin, **(environment or {})}, **more
        )

    return run


def url_now() -> str:
    return sealed.url_of(AlertChannel.objects.get(kind="webhook"))


def test_a_webhook_is_made_changed_and_deleted_and_its_secret_is_alone_on_standard_output(
    channel, airdeck, tmp_path
):
    assert "airdeck alert channel create NAME" in channel("list").out
    made = channel("create", "Pager", "--kind", "webhook", "--url-stdin", text=f"{HOOK}\n")
    assert sealed.secret_of(AlertChannel.objects.get()) == made.out.strip()
    assert "Pager leads to https://hooks.example.com/…" in made.err
    assert "hush-hush" not in made.out + made.err + channel("list", "-o", "yaml").out
    refused = airdeck("alert", "channel", "create", "X", "--kind", "admins", code=3)  # by an Editor's token
    assert "the role Admin" in refused.err

    (tmp_path / "url").write_text(f"{HOOK}-2\n")
    assert (
        channel("update", "Pager", "--url-file", "url").out == "Pager leads to https://hooks.example.com/….\n"
    )
    assert url_now() == f"{HOOK}-2"
    channel("update", "Pager", environment={"AIRDECK_CHANNEL_URL": f"{HOOK}-3"})
    channel("update", "Pager", "--name", "Nights")
    assert url_now() == f"{HOOK}-3"
    assert "Say what to change" in channel("update", "Nights", code=2).err
    both = channel("update", "Nights", "--url-file", "url", "--url-stdin", code=2, text="x")
    assert "Use only one of --url-stdin, --url-file." in both.err
    assert "Say --yes to replace it." in channel("secret", "Nights", code=2).err
    other = channel("secret", "Nights", "--yes").out.strip()
    assert sealed.secret_of(AlertChannel.objects.get()) == other != made.out.strip()

    missing = channel("create", "S", "--kind", "slack", code=2)
    assert "url: Enter the address of the webhook." in missing.err
    taken = channel("create", "Nights", "--kind", "slack", "--url-stdin", code=4, text=HOOK)
    assert "no other channel of this Workspace" in taken.err
    assert "There is no channel Pager." in channel("delete", "Pager", "--yes", code=2).err
    assert "Delete it with --yes." in channel("delete", "Nights", code=2).err
    assert channel("delete", "Nights", "--yes").out.startswith("Nights is deleted.")
    assert not AlertChannel.objects.exists()


def test_a_test_is_followed_until_it_arrived_or_did_not(channel, monkeypatch, mailoutbox):
    made = channel("create", "Us", "--kind", "email", "--email", "alice@example.org")
    assert made.out == "Us leads to alice@example.org.\n"
    waiting = channel("test", "Us", "--wait", "--wait-time", "0", code=5)
    assert "The test to Us was not sent within 0 s. Airdeck keeps trying." in waiting.err
    monkeypatch.setattr("deployments.enqueue.send_alert", alert_delivery.send)
    assert "sent" in channel("test", "Us", "-w").out
    assert [each.to for each in mailoutbox] == [["alice@example.org"]]

    def fail(pk) -> None:
        AlertDelivery.objects.filter(pk=pk).update(state="failed", answer="550 no such mailbox")

    monkeypatch.setattr("deployments.enqueue.send_alert", fail)
    failed = channel("test", "Us", "-w", code=1)
    assert "550 no such mailbox" in failed.out
    assert "Not every test to Us was sent." in failed.err


def test_a_secret_whose_answer_was_lost_is_answered_again_and_is_the_same(channel, airdeck, token, alice):
    cutter = Cutter(airdeck.environment["AIRDECK_URL"])
    environment = {"AIRDECK_URL": cutter.server.url, "AIRDECK_TOKEN": token(alice, Role.ADMIN)}
    with cutter.server:
        for words in (("create", "Pager", "--kind", "webhook"), ("secret", "Pager", "--yes")):
            before, cutter.cut = seals(), "POST .*/alert-channels"
            environment["AIRDECK_CHANNEL_URL"] = HOOK
            running = airdeck.start("alert", "channel", *words, environment=environment)
            deadline = time.monotonic() + 60
            while seals() == before and time.monotonic() < deadline:
                time.sleep(0.02)
            cutter.cut = ""
            out, err = running.communicate(timeout=60)
            assert running.returncode == 0, err
            assert sealed.secret_of(AlertChannel.objects.get()) == out.strip()
    asked = [path for method, path, _ in cutter.server.seen if method == "POST"]
    assert len(asked) >= 4


def seals() -> list[bytes]:
    return [bytes(each) for each in AlertChannel.objects.values_list("sealed_secret", flat=True)]

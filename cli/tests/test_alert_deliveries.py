"""What was sent, from a terminal, and sending it once more."""

from uuid import uuid4

import pytest

from deployments.models import AlertDelivery
from deployments.tests.one_of_everything import furnish_alerts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]


def test_deliveries_are_listed_and_sent_once_more(airdeck, workspace, monkeypatch):
    assert "Nothing was sent about Acme Data" in airdeck("alert", "deliveries").out
    pk = str(furnish_alerts(workspace)["alert_again"])
    AlertDelivery.objects.update(answer="550 no such mailbox")
    listed = airdeck("alert", "deliveries", "--channel", "Pager").out
    for shown in (pk, "Pager", "failed", "550 no such mailbox"):
        assert shown in listed
    assert "secret-path" not in airdeck("alert", "deliveries", "-o", "json").out
    assert "channel: " in airdeck("alert", "deliveries", "--channel", "They", code=2).err

    late = airdeck("alert", "resend", pk, "--wait", "--wait-time", "0", code=5).err
    assert "It was not sent within 0 s. Airdeck keeps trying." in late
    assert "on its way" in airdeck("alert", "resend", pk, code=4).err
    for state, code in (("sent", 0), ("failed", 1)):

        def arrive(pk, state=state) -> None:
            AlertDelivery.objects.filter(pk=pk).update(state=state, answer="what came back")

        monkeypatch.setattr("deployments.enqueue.send_alert", arrive)
        AlertDelivery.objects.update(state="failed", tried_at=None)
        ended = airdeck("alert", "resend", pk, "-w", code=code)
        assert "what came back" in ended.out
        assert ("It did not arrive at" in ended.err) is (state == "failed")
    for unknown in (str(uuid4()), "nonsense"):
        assert f"There is no delivery {unknown}." in airdeck("alert", "resend", unknown, code=2).err

"""How rules, alerts and deliveries are shown."""

from dataclasses import dataclass

from deployments.domain.alert_rules import KINDS, ChannelKind
from deployments.models import Alert, AlertDelivery
from deployments.queries.alerts import RuleRow

STATE_APPEARANCE = {
    AlertDelivery.State.QUEUED: ("busy", "clock"),
    AlertDelivery.State.SENT: ("ok", "circle-check"),
    AlertDelivery.State.FAILED: ("bad", "octagon-x"),
    AlertDelivery.State.HELD: ("off", "layers"),
    AlertDelivery.State.DIGESTED: ("off", "layers"),
}
EVENT_LABELS = {
    "opened": "Alert",
    "reminded": "Reminder",
    "resolved": "Resolved",
    "test": "Test",
    "digest": "Digest",
}
CHANNEL_SENTENCES = {
    ChannelKind.ADMINS: "The people who are Admin when something happens.",
    ChannelKind.EMAIL: "Members, and addresses of your organization.",
    ChannelKind.SLACK: "An incoming webhook of Slack, Mattermost or Rocket.Chat.",
    ChannelKind.WEBHOOK: "Signed JSON to a program of yours.",
}
REPLACING = (
    "Messages are signed with the new secret at once. The program behind the channel refuses them until you give it "
    "the new one, which you see on the next page.",
)


@dataclass(frozen=True)
class RuleLine:
    """A row of the list of rules, and where it is changed."""

    row: RuleRow
    url: str
    channels: str
    state: str  # "On", "Off"
    button: str

    @property
    def tone(self) -> str:
        """The tone of its badge."""
        return "ok" if self.row.is_on else "off"

    @property
    def icon(self) -> str:
        """The icon of its badge."""
        return "circle-check" if self.row.is_on else "circle-dashed"


@dataclass(frozen=True)
class DeliveryLine:
    """A row of the list of deliveries."""

    row: AlertDelivery
    again_url: str
    alert_url: str
    title: str
    event: str
    label: str
    tone: str
    icon: str

    @property
    def is_retried(self) -> bool:
        """Whether another try is to come."""
        return self.row.state == AlertDelivery.State.QUEUED and self.row.tries > 0


def channels_text(row: RuleRow) -> str:
    """Where a rule is sent."""
    if row.rule is None:
        return ""
    return ", ".join(sorted(each.name for each in row.rule.channels.all())) or "Nowhere, shown here only"


def rule_state(row: RuleRow) -> str:
    """The word of the badge."""
    return "On" if row.is_on else "Off"


def delivery_line(row: AlertDelivery, *, again_url: str, alert_url: str) -> DeliveryLine:
    """One delivery for the list. `again_url` is "" for those who may not send it again, `alert_url` for a message
    that is about no alert."""
    state = AlertDelivery.State(row.state)
    tone, icon = STATE_APPEARANCE[state]
    may = state in {AlertDelivery.State.SENT, AlertDelivery.State.FAILED, AlertDelivery.State.DIGESTED}
    return DeliveryLine(
        row,
        again_url if may else "",
        alert_url,
        row.message.title,
        EVENT_LABELS.get(row.event, row.event),
        "Retrying" if state is AlertDelivery.State.QUEUED and row.tries else state.label,
        tone,
        icon,
    )


def alert_kind(alert: Alert) -> str:
    """What the alert is about, in words of the rule."""
    return KINDS[alert.rule.word].label if alert.rule else alert.kind.replace("_", " ").capitalize()


def alert_state(alert: Alert) -> tuple[str, str, str]:
    """Tone, icon and word of its badge."""
    if alert.resolved_at is not None:
        return "ok", "circle-check", "Over" if alert.note else "Resolved"
    return ("off", "moon", "Silenced") if alert.is_silenced else ("bad", "bell", "Open")


def channel_kinds() -> list[tuple[str, str, str]]:
    """Every kind of channel for the list that offers them: word, label, sentence."""
    return [(kind.value, kind.label, CHANNEL_SENTENCES[kind]) for kind in ChannelKind]

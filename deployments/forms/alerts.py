"""Forms of alert rules, channels and silences. They judge the shape; the rules are `domain.alert_rules`', asked by the
actions. The address of a webhook is never sent back, not even beside an error."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django import forms

from deployments.actions.alert_channels import ChannelWish
from deployments.actions.alert_rules import FOREIGN, RuleWish
from deployments.domain.alert_rules import (
    CHANNEL_NAME_LENGTH,
    DAG_LENGTH,
    KINDS,
    MOST_ADDRESSES,
    SILENCE_HOURS,
    ChannelKind,
    RuleKind,
    read_addresses,
)
from deployments.forms.fields import OfferedFieldsForm
from deployments.models import AlertChannel, AlertRule

_PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}
_UNIT_LABELS = {"minute": "How many minutes", "hour": "How many hours", "day": "How many days"}
_HOURS_WORDS = {1: "1 hour", 4: "4 hours", 24: "1 day", 168: "1 week"}
_SEALED = "It is stored encrypted and not shown again."
_URL_HELP = {
    ChannelKind.SLACK: f"The incoming webhook of Slack, Mattermost or Rocket.Chat. {_SEALED}",
    ChannelKind.WEBHOOK: f"Begins with https://. Alerts are posted there as JSON. {_SEALED}",
}


class RuleForm(OfferedFieldsForm):
    """One rule: whether it counts, how long something must last, and where it is sent."""

    enabled = forms.BooleanField(
        required=False, initial=True, help_text="While it is off, it opens no alert and sends nothing."
    )
    dag = forms.CharField(
        label="DAG",
        max_length=DAG_LENGTH,
        help_text="Its name as Airflow shows it.",
        widget=forms.TextInput(attrs={**_PLAIN, "class": "mono", "placeholder": "daily_sales"}),
        error_messages=dict.fromkeys(
            ("required", "max_length"), "Enter the name of the DAG as Airflow shows it."
        ),
    )
    amount = forms.IntegerField()
    channels = forms.MultipleChoiceField(
        label="Send to",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Without a channel it is shown on the Alerts page and sent nowhere.",
        error_messages=dict.fromkeys(("invalid_choice", "invalid_list"), FOREIGN),
    )

    def __init__(
        self,
        data: Any,
        *,
        kind: RuleKind,
        channels: Iterable[AlertChannel],
        rule: AlertRule | None,
        fixed_dag: str = "",
    ) -> None:
        about = KINDS[kind]
        shown: dict[str, Any] = {"channels": [str(each.pk) for each in rule.channels.all()]} if rule else {}
        shown |= {"enabled": rule.enabled, "amount": rule.amount} if rule else {}
        super().__init__(data, initial=shown)
        self.kind, self.fixed_dag = kind, fixed_dag
        self.fields["enabled"].label = f"The rule “{about.label}” is on"
        if not about.of_dag or fixed_dag:
            del self.fields["dag"]
        if about.amount is None:
            del self.fields["amount"]
        else:
            amount = about.amount
            self.fields["amount"] = forms.IntegerField(
                label=_UNIT_LABELS[amount.unit],
                min_value=amount.least,
                max_value=amount.most,
                initial=amount.default,
                help_text=amount.sentence,
                error_messages=dict.fromkeys(
                    ("required", "invalid", "min_value", "max_value"), amount.sentence
                ),
            )
        every = [(str(each.pk), f"{each.name}\n{each.leads_to}") for each in channels]
        self.fields["channels"].choices = every  # type: ignore[attr-defined]
        self.order_fields(["dag", "amount", "channels", "enabled"])

    def wish(self) -> RuleWish:
        """What is asked for, of a valid form."""
        cleaned = self.cleaned_data
        return RuleWish(
            kind=self.kind,
            amount=cleaned.get("amount"),
            dag=self.fixed_dag or cleaned.get("dag", ""),
            enabled=cleaned["enabled"],
            channels=tuple(UUID(each) for each in cleaned["channels"]),
        )


class ChannelForm(OfferedFieldsForm):
    """One channel: its name, and where it leads."""

    name = forms.CharField(
        label="Name",
        strip=False,
        help_text="How rules and deliveries name it.",
        widget=forms.TextInput(attrs={"maxlength": CHANNEL_NAME_LENGTH, "autocomplete": "off"}),
        error_messages={"required": "Enter a name."},
    )
    addresses = forms.CharField(
        label="Email addresses",
        help_text=f"One per line, at most {MOST_ADDRESSES}. Members of this Workspace, or addresses that a site "
        "administrator allows.",
        widget=forms.Textarea(attrs={**_PLAIN, "rows": 4}),
        error_messages={"required": "Enter at least one email address."},
    )
    url = forms.CharField(
        label="Address",
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "class": "mono"}),
        error_messages={"required": "Enter the address of the webhook."},
    )

    def __init__(self, data: Any, *, kind: ChannelKind, channel: AlertChannel | None) -> None:
        shown = {"name": channel.name, "addresses": "\n".join(channel.addresses)} if channel else None
        super().__init__(data, initial=shown or {"name": "" if kind is not ChannelKind.ADMINS else "Admins"})
        self.kind = kind
        if kind is not ChannelKind.EMAIL:
            del self.fields["addresses"]
        if kind.is_mail:
            del self.fields["url"]
        elif channel is not None:
            self.fields["url"].required = False
            self.fields[
                "url"
            ].help_text = (
                f"{channel.shown_url} is stored. Leave this empty to keep it, or enter another address."
            )
        else:
            self.fields["url"].help_text = _URL_HELP[kind]

    def wish(self) -> ChannelWish:
        """What is asked for, of a valid form."""
        cleaned = self.cleaned_data
        return ChannelWish(
            kind=self.kind,
            name=cleaned["name"],
            addresses=tuple(read_addresses(cleaned.get("addresses", ""))),
            url=cleaned.get("url", "").strip() or None,
        )

    def ask_again(self) -> None:
        """Say that an address that was typed beside another mistake is gone."""
        if self.errors and self.data.get("url") and "url" not in self.errors:
            self.add_error("url", "Enter the address again: it is never sent back.")


class SilenceForm(forms.Form):
    """For how long nothing is sent; 0 ends it."""

    hours = forms.TypedChoiceField(
        label="For how long",
        coerce=int,
        choices=[(each, _HOURS_WORDS[each]) for each in SILENCE_HOURS],
    )

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        if data is not None:
            self.fields["hours"].choices = [("0", "End it"), *self.fields["hours"].choices]  # type: ignore[attr-defined]

    def hours_asked(self) -> int:
        """How many hours; -1, which no action takes, for what is not in the list."""
        return int(self.cleaned_data["hours"]) if self.is_valid() else -1

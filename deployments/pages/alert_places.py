"""Where rules of alerts are shown and changed: in a Workspace, or in one Deployment of it."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from deployments.actions.alert_rules import RulePlace
from deployments.domain.alert_rules import KINDS
from deployments.models import AlertRule
from deployments.presenters import alerts as shown
from deployments.queries import alerts as queries
from deployments.queries.alerts import RuleRow


@dataclass(frozen=True)
class Place:
    """A place of rules, and whether this person may change them."""

    rules: RulePlace
    may_change: bool

    def url(self, name: str, *more: object) -> str:
        """The address of "rule_new", "rule" or "rule_remove"."""
        if self.rules.deployment is not None:
            return self.rules.deployment.url_for(f"own_{name}", *more)
        return self.rules.workspace.url_for(f"deployments:alert_{name}", *more)

    @property
    def list_url(self) -> str:
        """The address of the list of rules."""
        if self.rules.deployment is not None:
            return self.rules.deployment.url_for("alerts")
        return self.rules.workspace.url_for("deployments:alert_rules")

    @property
    def label(self) -> str:
        """What the list is called, in a breadcrumb."""
        return f"Alerts of {self.rules.deployment.name}" if self.rules.deployment else "Alert rules"


def rule_lines(place: Place) -> list[shown.RuleLine]:
    """The rules of this place as its list shows them."""
    return [_shown(place, row) for row in queries.rule_rows(place.rules.workspace, place.rules.deployment)]


def _shown(place: Place, row: RuleRow) -> shown.RuleLine:
    own = row.rule if row.rule is not None and not row.inherited else None
    if own is not None:
        url, button = place.url("rule", own.pk), "Edit"
    else:
        query: dict[str, Any] = {"dag": row.rule.dag} if row.rule is not None and row.rule.dag else {}
        url = place.url("rule_new", row.kind.value) + (f"?{urlencode(query)}" if query else "")
        button = "Set differently" if row.inherited else "Add" if KINDS[row.kind].of_dag else "Set up"
    return shown.RuleLine(
        row,
        url if place.may_change else "",
        shown.channels_text(row),
        shown.rule_state(row),
        button,
    )


def rule_in(place: RulePlace, pk: UUID) -> AlertRule | None:
    """The rule of this place, with its channels."""
    return AlertRule.objects.prefetch_related("channels").filter(pk=pk, **place.columns).first()

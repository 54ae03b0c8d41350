"""What happened, on one time line: people's acts (audit events) and changes of status, newest first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db.models import BigIntegerField, CharField, F, Max, QuerySet, Value
from django.db.models.functions import Cast, JSONObject

from deployments.domain.states import Status
from deployments.models import Deployment, StatusChange
from workspaces.models import AuditEvent, Workspace
from workspaces.permissions import Role

PAGE_SIZE = 50
CSV_ROWS = 10_000
LAST_PAGE = 1000  # further back is what the filters are for
SYSTEM = "airdeck"  # the person filter's word for what Airdeck did by itself
COLUMNS = ("status", "at", "actor", "act", "kind", "key", "label", "before", "after", "row", "actor_id")
KIND_WORD = {
    "token": "API token",
    "deployment": "Deployment",
    "workspace": "Workspace",
    "invitation": "",
    "member": "",
    "user": "",
}


@dataclass(frozen=True)
class ActivityFilters:
    """What the page is asked for; None asks for everything."""

    person: str | None = None  # the id of a user, or SYSTEM
    kind: str | None = None  # of object
    text: str | None = None  # in the object's name
    since: datetime | None = None
    until: datetime | None = None  # exclusive


@dataclass(frozen=True)
class ActivityEntry:
    """One event. `before` and `after` hold what changed; a secret value is never in them."""

    status: bool  # a change of status, which Airdeck saw
    at: datetime
    actor: str
    act: str
    kind: str
    key: str
    label: str
    before: dict[str, Any]
    after: dict[str, Any]
    row: int
    actor_id: int | None = None  # the account, which a person may have renamed or left
    others: tuple[str, ...] = ()  # the names, of several that were done in one go

    @property
    def word(self) -> str:
        """What kind of thing it is, where its name alone does not say so."""
        return KIND_WORD.get(self.kind, self.kind)

    @property
    def tail(self) -> str:
        """The end of the sentence: what became of a role or a status."""
        if self.status:
            return f"from {Status(self.before['status']).label} to {Status(self.after['status']).label}"
        old, new = (_role(values) for values in (self.before, self.after))
        if old and new:
            return f"from {old} to {new}"
        return f"as {new}" if new else f"(was {old})" if old else ""

    @property
    def details(self) -> list[str]:
        """What else changed, a line each: "name: Old → New"."""
        if self.others:
            return [", ".join(self.others)]
        if self.status:
            return [self.after["reason"]] if self.after["reason"] else []
        reported = {"role", *(["name"] if "name" not in self.before else [])}  # by the sentence itself
        keys = [key for key in {**self.before, **self.after} if key not in reported]
        return [_change(key, self.before, self.after) for key in keys]

    @property
    def sentence(self) -> str:
        """The whole as plain text."""
        words = (
            (self.label, "changed", self.tail)
            if self.status
            else (self.actor, self.act, self.word, self.label, self.tail)
        )
        return " ".join(word for word in words if word)


def _in_one_go(entry: ActivityEntry) -> tuple[object, ...]:
    minute = entry.at.replace(second=0, microsecond=0)
    return entry.status, entry.actor, entry.act, entry.kind, entry.after.get("role"), minute


def folded(entries: Sequence[ActivityEntry]) -> list[ActivityEntry]:
    """The same, with what a person did to several people in one go as one event: "invited 30 people"."""
    shown: list[ActivityEntry] = []
    for _, group in groupby(entries, key=_in_one_go):
        same = list(group)
        if same[0].kind == "invitation" and len(same) > 2:
            names = tuple(entry.label for entry in same)
            shown.append(replace(same[0], label=f"{len(same)} people", others=names))
        else:
            shown += same
    return shown


def _role(values: Mapping[str, Any]) -> str:
    role = values.get("role", "")
    return Role(role).label if role in list(Role) else str(role)


def _change(key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    old, new = (
        "nothing" if values.get(key) in (None, "") else str(values[key]) for values in (before, after)
    )
    name = key.replace("_", " ")
    return (
        f"{name}: {old} → {new}"
        if key in before and key in after
        else f"{name}: {new if key in after else old}"
    )


def _acts(workspace: Workspace, deployment: Deployment | None) -> QuerySet[AuditEvent]:
    rows = AuditEvent.objects.filter(workspace_id=workspace.pk)
    if deployment is None:
        return rows
    return rows.filter(object_type="deployment", object_id=str(deployment.pk))


def entries(
    workspace: Workspace,
    deployment: Deployment | None,
    filters: ActivityFilters,
    *,
    skip: int = 0,
    most: int = PAGE_SIZE,
) -> list[ActivityEntry]:
    """At most `most` events after the first `skip`, of the Workspace or of one Deployment in it. One query."""
    acts = _narrow_acts(_acts(workspace, deployment), filters).annotate(
        status=Value(value=False),
        actor=F("actor_label"),
        act=F("verb"),
        kind=F("object_type"),
        key=F("object_id"),
        label=F("object_label"),
        before=F("old"),
        after=F("new"),
        row=F("pk"),
    )
    changes = _narrow_changes(workspace, deployment, filters).annotate(
        status=Value(value=True),
        actor=Value("Airdeck", CharField()),
        act=Value("changed", CharField()),
        kind=Value("deployment", CharField()),
        key=Cast("deployment_id", CharField()),
        label=F("deployment__name"),
        before=JSONObject(status="old"),
        after=JSONObject(status="new", reason="reason"),
        row=Cast("pk", BigIntegerField()),
        actor_id=Cast(Value(None), BigIntegerField()),
    )
    # Each side is cut before they meet, so that both are read by their index and no more than needed.
    newest = ("-at", "-pk")
    sides = [side.order_by(*newest).values_list(*COLUMNS)[: skip + most] for side in (acts, changes)]
    found = sides[0].union(sides[1], all=True).order_by("-at", "-row")[skip : skip + most]
    return [ActivityEntry(*row) for row in found]


def lately(deployment: Deployment, since: datetime, most: int) -> list[ActivityEntry]:
    """What happened to one Deployment after `since`, newest first: at most `most` acts of people and at most `most`
    changes of status. Two queries, which take less time than one `entries` does; one when it has had its status since
    before."""
    acts = _acts(deployment.workspace, deployment).filter(at__gte=since).order_by("-at", "-pk")
    changes = StatusChange.objects.filter(deployment=deployment, at__gte=since).order_by("-at", "-pk")
    name, key = deployment.name, str(deployment.pk)
    found = [
        ActivityEntry(False, at, actor, act, "deployment", key, label, old, new, row, actor_id)
        for at, actor, act, label, old, new, row, actor_id in acts.values_list(
            *("at", "actor_label", "verb", "object_label", "old", "new", "pk", "actor_id")
        )[:most]
    ]
    if deployment.status_since < since:  # so long ago was its last change
        return found
    found += [
        ActivityEntry(
            True, at, "Airdeck", "changed", "deployment", key, name, {"status": old}, {"status": new}, row
        )
        for at, old, new, row in changes.values_list("at", "old", "new", "pk")[:most]
    ]
    return sorted(found, key=lambda entry: entry.at, reverse=True)


def _narrow_acts(rows: QuerySet[AuditEvent], filters: ActivityFilters) -> QuerySet[AuditEvent]:
    if filters.person == SYSTEM:
        rows = rows.filter(actor_id__isnull=True)
    elif filters.person:
        rows = rows.filter(actor_id=filters.person)
    if filters.kind:
        rows = rows.filter(object_type=filters.kind)
    if filters.text:
        rows = rows.filter(object_label__icontains=filters.text)
    if filters.since:
        rows = rows.filter(at__gte=filters.since)
    return rows.filter(at__lt=filters.until) if filters.until else rows


def _narrow_changes(
    workspace: Workspace, deployment: Deployment | None, filters: ActivityFilters
) -> QuerySet[StatusChange]:
    rows = StatusChange.objects.filter(deployment__workspace=workspace)
    if filters.person not in {None, SYSTEM} or filters.kind not in {None, "deployment"}:
        return rows.filter(pk__lt=0)  # nothing; `none()` would drop this side, and with it the union
    if deployment is not None:
        rows = rows.filter(deployment=deployment)
    if filters.text:
        rows = rows.filter(deployment__name__icontains=filters.text)
    if filters.since:
        rows = rows.filter(at__gte=filters.since)
    return rows.filter(at__lt=filters.until) if filters.until else rows


def people(workspace: Workspace, deployment: Deployment | None) -> list[tuple[str, str]]:
    """Who acted here, by name, for the person filter. One query."""
    rows = _acts(workspace, deployment).filter(actor_id__isnull=False)
    named = rows.values_list("actor_id").annotate(name=Max("actor_label")).order_by("name")
    return [(str(pk), name) for pk, name in named]

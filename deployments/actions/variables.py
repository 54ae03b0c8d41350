"""Changing environment variables. Each change that changes something is one revision, one generation and one audit
event; saving the same again is none of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max
from django.utils import timezone

from console.kit.refusals import InvalidInput
from deployments.actions.common import changing
from deployments.actions.refusals import RevisionGone, VariableRefused, VariablesChanged
from deployments.domain.reserved_variables import reserved
from deployments.domain.variables import (
    KEY_LENGTH,
    DotenvEntry,
    Setting,
    VariableChange,
    VariableDifference,
    difference,
    merged,
    problem_of,
    problem_of_key,
    restored,
)
from deployments.models import Deployment, EnvironmentVariable, VariableRevision
from deployments.secrets import vault
from workspaces import audit
from workspaces.models import User

REVISIONS_KEPT = 50
AUDITED_NAMES = 20  # in one audit event
AUDITED_CHARACTERS = 80  # of a plain value


def latest_revision(deployment: Deployment) -> int:
    """The number of the newest revision; 0 before the first. What a shown difference is based on."""
    newest: int | None = deployment.variable_revisions.aggregate(newest=Max("number"))["newest"]
    return newest or 0


def set_variable(
    *,
    deployment: Deployment,
    by: User,
    key: str,
    value: str | None,
    secret: bool,
    seen: datetime | None,
) -> VariableRevision | None:
    """Add a variable, or change the one that was last changed at `seen`. No `value` keeps the one there is; what is
    secret stays secret. The new revision, or None when nothing changed.

    Raises VariableRefused, VariablesChanged and NotNow.
    """
    with changing(deployment, by=by) as row:
        current = vault.variables_of(row)
        old = current.get(key)
        is_repeat = old == Setting(value or "", secret)  # the same form, sent twice
        if seen is None and old is not None and not is_repeat:
            raise VariableRefused(f"{key} exists already. Edit it instead.", field="key")
        if seen is not None and not row.variables.filter(key=key, updated_at=seen).exists():
            raise VariablesChanged
        if value is None:
            value = old.value if old else ""
        new = Setting(value, secret or (old is not None and old.secret))
        if new != old and (problem := problem_of(key, new)):
            wrong = "key" if problem_of_key(key) or reserved(key) else "value"
            raise VariableRefused(problem, field=wrong)
        return _write(row, by, current, {**current, key: new})


@dataclass(frozen=True, repr=False)
class DesiredVariable:
    """One variable as a program wants it. None keeps what there is: the value of a secret, the kind of a variable."""

    key: str
    value: str | None
    secret: bool | None


def put_variables(
    *, deployment: Deployment, by: User, variables: Sequence[DesiredVariable], only: bool, base: int | None
) -> VariableRevision | None:
    """Set all of these in one revision; with `only` every other variable goes. What is secret stays secret. `base` is
    the revision that the list was made from, None for whatever there is. The new revision, or None when nothing
    changed.

    Raises InvalidInput, whose fields are "2.value" for the value of the third, VariableRefused, VariablesChanged and
    NotNow.
    """
    with changing(deployment, by=by) as row:
        current = vault.variables_of(row)
        desired = {} if only else dict(current)
        problems: dict[str, str] = {}
        seen: set[str] = set()
        for place, each in enumerate(variables):
            if each.key in seen:
                problems[f"{place}.key"] = f"{each.key[:KEY_LENGTH]} is in the list twice. Leave one of them."
            seen.add(each.key)
            new = _resolved(each, current.get(each.key))
            if new is None:
                problems[f"{place}.value"] = f"{each.key[:KEY_LENGTH]} has no value. Enter one."
            elif new != current.get(each.key) and (problem := problem_of(each.key, new)):
                wrong = "key" if problem_of_key(each.key) or reserved(each.key) else "value"
                problems[f"{place}.{wrong}"] = problem
            else:
                desired[each.key] = new
        if problems:
            raise InvalidInput(problems)
        return _write(row, by, current, desired, base=base)


def _resolved(desired: DesiredVariable, old: Setting | None) -> Setting | None:
    """What it becomes; None when no value is known."""
    secret = bool(desired.secret) or (old is not None and old.secret)
    if desired.value is not None:
        return Setting(desired.value, secret)
    return old if old is not None and old.secret else None


def delete_variables(
    *, deployment: Deployment, by: User, keys: Iterable[str], base: int | None
) -> VariableRevision | None:
    """Remove variables; those that are gone already count as removed. `base` is the revision that they were shown
    at, None for whatever there is. Raises VariablesChanged and NotNow."""
    gone = set(keys)
    with changing(deployment, by=by) as row:
        current = vault.variables_of(row)
        kept = {key: each for key, each in current.items() if key not in gone}
        return _write(row, by, current, kept, base=base)


def apply_dotenv(
    *, deployment: Deployment, by: User, entries: Iterable[DotenvEntry], secret: bool, base: int
) -> VariableRevision | None:
    """Add and overwrite what a `.env` sets; refused lines are left out. `base` is the revision that the difference was
    shown against. Raises VariablesChanged, VariableRefused and NotNow."""
    with changing(deployment, by=by) as row:
        current = vault.variables_of(row)
        desired, _ = merged(current, entries, secret=secret)
        return _write(row, by, current, desired, base=base)


def replace_variables(
    *, deployment: Deployment, by: User, desired: Mapping[str, Setting]
) -> VariableRevision | None:
    """Make these all the variables there are. Who calls this holds the row's lock, and knows what it was decided on.
    Raises VariableRefused and NotNow."""
    with changing(deployment, by=by) as row:
        current = vault.variables_of(row)
        for key, new in desired.items():
            if new != current.get(key) and (problem := problem_of(key, new)):
                raise VariableRefused(problem, field=key)
        return _write(row, by, current, desired)


def first_variables(row: Deployment, by: User, desired: Mapping[str, Setting]) -> None:
    """The variables of a row that was made in this transaction. They were judged."""
    _write(row, by, {}, desired)


def reapply_revision(*, deployment: Deployment, by: User, number: int, base: int) -> VariableRevision | None:
    """Make the variables what a revision left them, as a new revision. Raises RevisionGone, and as
    `apply_dotenv`."""
    with changing(deployment, by=by) as row:
        current = vault.variables_of(row)
        revision = row.variable_revisions.filter(number=number).first()
        if revision is None:
            raise RevisionGone(number)
        then = vault.open_revision(row, revision)
        desired, _ = restored(current, then)
        return _write(row, by, current, desired, base=base)


def revision_difference(deployment: Deployment, revision: VariableRevision) -> VariableDifference:
    """What `reapply_revision` would change. Raises DecryptionError."""
    current = vault.variables_of(deployment)
    return difference(current, *restored(current, vault.open_revision(deployment, revision)))


def _write(
    row: Deployment,
    by: User,
    current: Mapping[str, Setting],
    desired: Mapping[str, Setting],
    *,
    base: int | None = None,
) -> VariableRevision | None:
    """Make the rows what is desired. Under the Deployment's lock."""
    found = difference(current, desired)
    if not found:
        return None
    latest = latest_revision(row)
    if base not in {None, latest}:
        raise VariablesChanged
    if found.problem:
        raise VariableRefused(found.problem)
    _write_rows(row, by, found)
    revision = VariableRevision.objects.create(
        deployment=row,
        number=latest + 1,
        by=by,
        changes=found.names(),
        sealed=vault.seal_revision(row, latest + 1, desired),
    )
    row.variable_revisions.filter(number__lte=revision.number - REVISIONS_KEPT).delete()
    audit.record(row, by, "changed the variables of", new={**_audited(found), "revision": revision.number})
    return revision


def _write_rows(row: Deployment, by: User, found: VariableDifference) -> None:
    secret_digest = vault.secret_digester(row)
    gone = [change.key for change in (*found.changed, *found.removed)]
    row.variables.filter(key__in=gone).delete()
    now = timezone.now()
    rows = []
    for change in (*found.added, *found.changed):
        new = change.new
        assert new is not None  # noqa: S101 - added and changed have one
        fields = {"deployment": row, "key": change.key, "is_secret": new.secret, "updated_by": by}
        if new.secret:
            fields |= {
                "sealed": vault.seal_variable(row, change.key, new.value),
                "secret_digest": secret_digest(change.key, new.value),
            }
        else:
            fields["value"] = new.value
        rows.append(EnvironmentVariable(**fields, updated_at=now))
    EnvironmentVariable.objects.bulk_create(rows)


def _audited(found: VariableDifference) -> dict[str, str]:
    """What the audit event says. No secret value, and of a plain one its beginning."""
    kinds = {"added": found.added, "changed": found.changed, "removed": found.removed}
    message = {}
    for kind, changes in kinds.items():
        names = [_report(change) for change in changes[:AUDITED_NAMES]]
        if len(changes) > AUDITED_NAMES:
            names.append(f"{len(changes) - AUDITED_NAMES} more")
        if names:
            message[kind] = ", ".join(names)
    return message


def _report(change: VariableChange) -> str:
    old, new = change.old, change.new
    if new is None:
        return change.key
    if change.secret:
        return f"{change.key} (secret)" if old is None else f"{change.key} (secret changed)"
    was = f"{_short(old.value)} → " if old else ""
    return f"{change.key} = {was}{_short(new.value)}"


def _short(value: str) -> str:
    line = " ".join(value.split()) or "nothing"
    return line if len(line) <= AUDITED_CHARACTERS else f"{line[:AUDITED_CHARACTERS]}…"

"""How an upgrade ends: decided by a pass, in the transaction that records it."""

from typing import Any

from django.db.models import F
from django.db.models.functions import Now

from deployments.models import Deployment
from deployments.queries.upgrades import sentence
from workspaces import audit


def give_up(row: Deployment, why: str) -> None:
    """The migration failed, and the database is as before: what is desired is the earlier runtime again, as one change
    by Airdeck itself. The sentence stays on the page until a person dismisses it or asks for the next upgrade. Inside
    the pass's transaction."""
    failed, old = row.runtime.version, row.upgrade_from
    assert old is not None  # noqa: S101 - only an upgrade can be given up
    Deployment.objects.filter(pk=row.pk).update(
        runtime=old,
        upgrade_from=None,
        upgrade_error=sentence(failed, old.version, why)[:1000],
        generation=F("generation") + 1,
        updated_at=Now(),
    )
    values: dict[str, Any] = {
        "old": {"runtime": failed},
        "new": {"runtime": old.version, "reason": why[:500]},
    }
    audit.record(row, None, "gave up the upgrade of", **values)


def completed(row: Deployment) -> None:
    """Everything answers on the new runtime: there is no way back any more, and none is needed."""
    Deployment.objects.filter(pk=row.pk).update(upgrade_from=None)
    audit.record(row, None, "upgraded", new={"runtime": row.runtime.version})

"""What in a Workspace a person should look at, and what its Airflows did in a day. A fixed number of queries each."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import F, Q, Sum
from django.db.models.functions import Lower
from django.utils import timezone

from deployments.domain.states import Status
from deployments.models import Deployment, FailedRun, HourlyFigures
from deployments.queries.durations import BUSY, attach
from deployments.queries.listing import existing
from workspaces.models import ApiToken, Workspace

MOST = 100  # Deployments that are looked at closely
RUNTIME_ENDS = timedelta(days=30)
TOKEN_ENDS = timedelta(days=14)


def candidates(workspace: Workspace) -> list[Deployment]:
    """Deployments that may need attention, with their readings and their progress: what fails, what is
    under way, what gives no news, what has files that do not import or tasks that no worker takes, and what runs on
    a runtime that ends. At most MOST, by name. One query, four more while something is under way."""
    soon = timezone.now().date() + RUNTIME_ENDS
    rows = existing(workspace).alias(shown=Deployment.shown_status_in_sql())
    rows = rows.filter(
        Q(shown__in=[Status.UNHEALTHY, Status.UNKNOWN, *BUSY])
        | Q(reading__import_error_count__gt=0)
        | ~Q(reading__lost_queues=[]) & Q(reading__isnull=False)
        | Q(runtime__yanked=True)
        | Q(runtime__maintained_until__lt=soon)
    )
    found: list[Deployment] = list(
        rows.select_related("cluster", "runtime", "reading", "schedule").order_by(Lower("name"), "pk")[:MOST]
    )
    attach(found)
    return found


def ending_tokens(workspace: Workspace) -> list[ApiToken]:
    """The Workspace's API tokens that end within two weeks, the next one first. One query."""
    rows = ApiToken.objects.live().filter(workspace=workspace, expires_at__lt=timezone.now() + TOKEN_ENDS)
    return list(rows.order_by("expires_at")[:10])


def day_of(workspace: Workspace, hours: Sequence[datetime]) -> dict[datetime, tuple[int, int]]:
    """Runs of all its Deployments that succeeded and that failed, for each of these hours that any was read in. One
    query."""
    rows = HourlyFigures.objects.filter(
        deployment__workspace=workspace, deployment__deleted_at__isnull=True, hour__gte=hours[0]
    )
    counted = rows.values("hour").annotate(ok=Sum("runs_succeeded"), bad=Sum("runs_failed"))
    return {each["hour"]: (each["ok"], each["bad"]) for each in counted.order_by("hour")}


def failed_runs(workspace: Workspace, since: datetime, most: int) -> list[FailedRun]:
    """The newest runs that failed after `since`, each with its Deployment. One query."""
    rows = FailedRun.objects.filter(
        deployment__workspace=workspace, deployment__deleted_at__isnull=True, ended_at__gt=since
    )
    return list(rows.select_related("deployment").order_by(F("ended_at").desc())[:most])

"""One create by another Workspace in the middle of a thousand, against one on a quiet console."""

import time
import uuid

from django.db import connection

from console.bench import airflow, rows, worker_process
from console.bench.result import Figure, Result, each, median
from console.bench.scripted_worker import APPLY_SECONDS, HANDS
from console.tests.system.installation import Installation, wait_until
from deployments.models import Cluster, Deployment, ReleaseName
from workspaces.models import Workspace

CROWD = 1000
REPEATS = 5
MUST = 3.0
EACH_SECONDS = 300.0

METHOD = (
    f"In place of the installation's worker one with {HANDS} hands and the scripted data plane of the tests, in "
    f"which each step of a creation takes {APPLY_SECONDS} s. {REPEATS} times, one after the other, a Deployment is "
    "created by the console's own action and waited for until it is Healthy: first with nothing else to do, then while "
    f"the worker is busy with {CROWD:,} creations of another Workspace, whose messages were all sent before. Medians."
)


def measure(at: Installation) -> Result:
    """Idle, then in the crowd."""
    airflow.ensure_none(at)
    crowd, mine = rows.make_workspace(1)[0], rows.make_workspace(1)[0]
    at.supervisor.stop("worker:worker")
    wait_until(lambda: _is_stopped(at), 60)
    try:
        with worker_process.running("console.bench.scripted_worker"):
            _seconds(mine)  # it takes messages after that, and has loaded the code
            idle = [_seconds(mine) for _ in range(REPEATS)]
            for number in range(CROWD):
                rows.ask_for(crowd, Cluster.objects.get(), f"Crowd {number}")
            before = _healthy(crowd)
            busy = [_seconds(mine) for _ in range(REPEATS)]
            done = _healthy(crowd) - before
    finally:
        _remove(crowd, mine)
        at.supervisor.start("worker:worker")
        connection.close()
    ratio = median(busy) / median(idle)
    figure = Figure(
        f"One create while {CROWD:,} of another Workspace are under way, against an idle console",
        f"at most {MUST:.0f} times",
        f"{ratio:.1f} times ({median(busy):.1f} s against {median(idle):.1f} s)",
        ratio <= MUST,
    )
    details = (
        f"Idle {each(idle, 's')}; in the crowd {each(busy, 's')}.",
        f"Of the crowd {done} became Healthy in those {sum(busy):.0f} s, and {before} before.",
    )
    return Result((figure,), METHOD, details)


def _is_stopped(at: Installation) -> bool:
    """Whether the installation's own worker has ended, which takes longer than supervisord is waited for."""
    return all(each.state == "STOPPED" for each in at.supervisor.processes() if each.group == "worker")


def _seconds(workspace: Workspace) -> float:
    """From the click until it is Healthy."""
    begun = time.monotonic()
    made = rows.ask_for(workspace, Cluster.objects.get(), f"Mine {uuid.uuid4().hex[:8]}")
    row = Deployment.objects.filter(pk=made.pk, first_healthy_at__isnull=False)
    wait_until(row.exists, EACH_SECONDS)
    return time.monotonic() - begun


def _healthy(workspace: Workspace) -> int:
    return Deployment.objects.filter(workspace=workspace, first_healthy_at__isnull=False).count()


def _remove(*workspaces: Workspace) -> None:
    """Of these Deployments there is nothing but rows."""
    made = Deployment.objects.filter(workspace__in=workspaces)
    names = list(made.values_list("release_name", flat=True))
    made.delete()
    ReleaseName.objects.filter(name__in=names).delete()

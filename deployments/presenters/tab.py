"""What the browser's tab says while another one is looked at: a word before the title, and an icon. app.js reads the
same off the badges as they change."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deployments.domain.states import STATUS_APPEARANCE, Status
from deployments.models import Deployment

NEED_ATTENTION = (Status.UNHEALTHY, Status.UNKNOWN)


@dataclass(frozen=True)
class Tab:
    """`before` stands before the title. `mark` is the tone whose icon is shown, "" for the plain one. Of a list
    `elsewhere` counts those on its other pages that need attention; None on the page of one Deployment."""

    before: str
    mark: str
    elsewhere: int | None = None


def mark_of(deployment: Deployment) -> str:
    """The tone of the worst that its badges say; see `states.status_badge`."""
    status = deployment.shown_status
    progress = deployment.step_progress
    if deployment.failing or status is Status.UNHEALTHY:
        return "bad"
    if progress is not None and progress.stalled:
        return "warn"
    if deployment.cluster.silent_since is not None and status not in {Status.UNKNOWN, Status.DELETED}:
        return "warn"
    return STATUS_APPEARANCE[status].tone


def needs_attention(deployment: Deployment) -> bool:
    """Whether a person should look at it: it fails, is stalled, or there is no news of it."""
    return mark_of(deployment) in {"bad", "warn"} or deployment.shown_status is Status.UNKNOWN


def of_deployment(deployment: Deployment) -> Tab:
    """For a page of one Deployment, once its progress is attached. Healthy has no word, because it is
    what is usual, nor has Deleted, which the page says."""
    mark, status = mark_of(deployment), deployment.shown_status
    progress = deployment.step_progress
    word = deployment.shown_label
    if deployment.failing:
        word = "Failing"
    elif mark == "warn" and progress is not None and progress.stalled:
        word = "Stalled"
    return Tab("" if status in {Status.HEALTHY, Status.DELETED} else f"{word}: ", mark)


def of_list(rows: Iterable[Deployment], counts: Mapping[str, int]) -> Tab:
    """For a list of which `rows` are shown: "(2) " before its title when two need attention. `counts` is that of all by
    status as shown."""
    shown = list(rows)
    needing = [row for row in shown if needs_attention(row)]
    here = sum(row.shown_status in NEED_ATTENTION for row in shown)
    elsewhere = max(0, sum(counts.get(status, 0) for status in NEED_ATTENTION) - here)
    total = len(needing) + elsewhere
    failing = elsewhere or any(mark_of(row) == "bad" for row in needing)
    mark = "bad" if failing else "warn" if total else ""
    return Tab(f"({total}) " if total else "", mark, elsewhere)

"""DAGs as rows of pages: words, badges, and the last runs as bars with their figures in words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from django.utils import timezone

from console.kit.wording import exact, rough
from deployments.dataplane.reading import RUNS_PER_DAG
from deployments.domain.import_words import not_imported
from deployments.domain.states import Appearance, Status
from deployments.models import Dag, Deployment, LatestReading

BAR, GAP, HEIGHT, LEAST = 6, 2, 24, 2  # of the drawing, in its own units
WIDTH = RUNS_PER_DAG * (BAR + GAP) - GAP
STATES: Mapping[str, tuple[str, Appearance]] = {
    "success": ("Succeeded", Appearance("ok", "circle-check")),
    "failed": ("Failed", Appearance("bad", "octagon-x")),
    "running": ("Running", Appearance("busy", "loader-circle")),
    "queued": ("Queued", Appearance("off", "clock")),
}
TRIGGERED = "Only when triggered"


@dataclass(frozen=True)
class Bar:
    """One run in the drawing: its place, height and tone, and what it was in words."""

    x: int
    y: int
    height: int
    tone: str
    words: str


@dataclass(frozen=True)
class DagRow:
    """One DAG as a page shows it. `bars` are oldest first, at the right end; `figures` says the same in words."""

    dag: Dag
    airflow_url: str  # "" for who may not open it
    schedule: str
    schedule_sub: str  # the schedule as it is written, where the words say it otherwise
    state_label: str
    state_tone: str
    state_icon: str
    last_at: datetime | None
    next_is_due: bool  # the moment has come, and the scheduler has not made the run yet
    last_took: str
    bars: tuple[Bar, ...]
    figures: str


def rows(dags: Iterable[Dag], *, may_open: bool, deployment: Deployment | None = None) -> list[DagRow]:
    """Of one `deployment`, or of DAGs that came with theirs."""
    return [_row(dag, deployment or dag.deployment, may_open) for dag in dags]


NOTICE_ICONS = {"busy": "info", "sleep": "moon", "warn": "triangle-alert"}


def notice(deployment: Deployment, reading: LatestReading | None) -> tuple[str, str]:
    """The tone and the sentence that say how far what is shown can be relied on; ("", "") when it is how things are."""
    if deployment.first_healthy_at is None:
        return "busy", "Its DAGs are shown here once this Deployment has been set up."
    if reading is None or reading.age is None:
        return "busy", "Its DAGs have not been read yet. They are read once a minute while it runs."
    if deployment.shown_status is Status.HIBERNATING or deployment.hibernating:
        return (
            "sleep",
            "This Deployment hibernates. Its DAGs are shown as they were before that, and none of them runs.",
        )
    if reading.is_fresh:
        return "", ""
    why = reading.problem or "Check that the observer runs."
    return "warn", f"This is how it was {rough(reading.age.total_seconds())} ago. {why}"


def failed_files(reading: LatestReading | None) -> dict[str, Any] | None:
    """The files that do not import, for the card above the list; None when all do."""
    if reading is None or not reading.import_error_count:
        return None
    count = reading.import_error_count
    return {
        "title": not_imported(count),
        "files": reading.import_errors,
        "more": count - len(reading.import_errors),
    }


def _row(dag: Dag, deployment: Deployment, may_open: bool) -> DagRow:
    label, looks = STATES.get(dag.last_state, ("Never ran", Appearance("off", "circle-dashed")))
    words = dag.schedule_words or dag.schedule
    triggered = dag.schedule in {"", "None"}
    return DagRow(
        dag=dag,
        airflow_url=airflow_url(deployment, dag.dag_id) if may_open else "",
        schedule=TRIGGERED if triggered else words,
        schedule_sub=dag.schedule if not triggered and dag.schedule != words else "",
        state_label=label,
        state_tone=looks.tone,
        state_icon=looks.icon,
        last_at=dag.last_started_at or dag.last_run_at,
        next_is_due=dag.next_run_at is not None and dag.next_run_at <= timezone.now(),
        last_took=_took(dag.last_seconds),
        bars=_bars(dag.runs),
        figures=_figures(dag.runs),
    )


def airflow_url(deployment: Deployment, dag_id: str) -> str:
    """The page of this DAG in its Airflow, by way of the sign-in."""
    return f"{deployment.url_for('open')}?{urlencode({'next': f'/dags/{quote(dag_id, safe="")}'})}"


def _bars(runs: list[dict[str, Any]]) -> tuple[Bar, ...]:
    longest = max((run["seconds"] or 0.0 for run in runs), default=0.0) or 1.0
    first = RUNS_PER_DAG - len(runs)
    made = []
    for place, run in enumerate(runs, first):
        height = max(LEAST, round((run["seconds"] or 0.0) / longest * HEIGHT))
        _, looks = STATES.get(run["state"], ("", Appearance("off", "")))
        made.append(Bar(place * (BAR + GAP), HEIGHT - height, height, looks.tone, _words(run)))
    return tuple(made)


def _figures(runs: list[dict[str, Any]]) -> str:
    """ "Last 3 runs, oldest first: 42 s succeeded, 1 min 3 s failed, running"."""
    if not runs:
        return "No runs yet"
    head = f"Last {len(runs)} runs, oldest first" if len(runs) > 1 else "One run"
    return f"{head}: {', '.join(_words(run) for run in runs)}"


def _words(run: dict[str, Any]) -> str:
    label, _ = STATES.get(run["state"], (run["state"] or "unknown", None))
    return f"{label.lower()} in {_took(run['seconds'])}" if run["seconds"] is not None else label.lower()


def _took(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return exact(seconds) if seconds >= 10 else f"{seconds:.1f} s"

"""The gallery of components for developers: every piece of templates/ui/ in every state, with made-up data.

Only routed when DEBUG or EMBEDDED (see `urls_dev`). Shows nothing of any Workspace.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django import forms
from django.contrib.auth.decorators import login_not_required
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from deployments.domain.durations import StepProgress
from deployments.domain.states import ComponentState, Executor, Status, StepState
from deployments.models import Cluster
from deployments.presenters.charts import Slot, Stretch, bars, ribbon, span_text, strip

FIXED = datetime(2026, 11, 21, 19, 32, 4, tzinfo=UTC)


@dataclass
class Row:
    """A Deployment as the list draws it."""

    pk: int
    name: str
    release_name: str
    shown_status: Status
    executor_label: str
    airflow_version: str
    updated_at: datetime
    url: str = "#main"
    reason: str = ""
    updated_by_label: str = "Alice"
    badge_url: str = "#main"
    step_progress: StepProgress | None = None
    phase: str = ""
    failing: bool = False
    strip: str = ""
    strip_words: str = ""
    cluster: Cluster = field(default_factory=lambda: Cluster(name="This machine"))

    def url_for(self, name: str, *more: object) -> str:
        """Nowhere: the gallery has no pages."""
        return f"#{name}"

    @property
    def shown_label(self) -> str:
        """The word of its status, as a Deployment has it."""
        return self.phase or self.shown_status.label

    @property
    def runtime(self) -> dict[str, str]:
        """As `d.runtime`."""
        return {"version": "3.3-1", "airflow_version": self.airflow_version}


class SampleForm(forms.Form):
    """One field of each kind that the pages use."""

    name = forms.CharField(max_length=64, help_text="Shown to your team. You can change it later.")
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 3}))
    runtime = forms.ChoiceField(choices=[("3.3-1", "3.3-1 (based on Airflow 3.3.2)")])
    executor = forms.ChoiceField(
        widget=forms.RadioSelect,
        initial="celery",
        help_text="How Airflow places tasks.",
        choices=[
            (
                Executor.CELERY,
                "Celery\nWorkers stay up and take tasks from queues. Best for many short tasks.",
            ),
            (Executor.LOCAL, "Local\nTasks run beside the scheduler. Best for trying things out."),
        ],
    )
    minimum = forms.IntegerField(label="Minimum workers", min_value=0, max_value=30, initial=1)
    maximum = forms.IntegerField(label="Maximum workers", min_value=1, max_value=30, initial=10)
    agreed = forms.BooleanField(label="Send me a message when it is Healthy", required=False)


class FilterForm(forms.Form):
    """The filter bar."""

    q = forms.CharField(label="Search", required=False, widget=forms.TextInput(attrs={"type": "search"}))
    status = forms.ChoiceField(
        required=False, choices=[("", "Any"), *((each.value, each.label) for each in Status)]
    )


def sample_rows() -> Page[Row]:
    """One row for each status."""
    names = [
        "Analytics",
        "Ingest EU",
        "Marketing",
        "Billing",
        "Staging",
        "Edge",
        "Old ETL",
        "Archive of 2025",
    ]
    now = timezone.now()
    rows = [
        Row(
            pk=number,
            name=name,
            release_name=f"cosmic-nova-{185 + number:04}",
            shown_status=status,
            executor_label="Local" if number % 3 == 2 else "Celery",
            airflow_version="3.2.2" if number % 2 else "3.3.2",
            updated_at=now - timedelta(minutes=3) * (number * number + 1),
            reason="Scheduler is silent for 40 s. See its last line." if status is Status.UNHEALTHY else "",
        )
        for number, (name, status) in enumerate(zip(names, Status, strict=True), 1)
    ]
    return Paginator(rows * 12, 8).page(5)


def sample_steps() -> list[dict[str, object]]:
    """A step in every state."""
    now = timezone.now()
    return [
        {
            "title": "Database",
            "state": StepState.DONE,
            "started_at": now - timedelta(seconds=43),
            "finished_at": now - timedelta(seconds=42),
        },
        {
            "title": "Airflow components",
            "state": StepState.RUNNING,
            "started_at": now - timedelta(seconds=38),
            "finished_at": None,
            "sentence": "Scheduler ready. API server: waiting for its first health answer.",
        },
        {
            "title": "Runtime 3.3-1",
            "state": StepState.FAILED,
            "started_at": now - timedelta(seconds=95),
            "finished_at": now - timedelta(seconds=30),
            "sentence": "The disk is full. Free 400 MB; it is tried again in 20 s.",
        },
        {"title": "Address and sign-in", "state": StepState.PENDING, "started_at": None, "finished_at": None},
    ]


def sample_components() -> list[dict[str, object]]:
    """A component in every state."""
    names = ["redis", "scheduler", "api-server", "worker-default", "triggerer"]
    ready = {ComponentState.READY: 1}
    components: list[dict[str, object]] = [
        {"name": name, "state": state, "ready": ready.get(state, 0), "desired": 1, "restarts": 0}
        for name, state in zip(names, ComponentState, strict=True)
    ]
    failing = next(each for each in components if each["state"] is ComponentState.FAILING)
    failing |= {
        "reason": "Ended 4 times in the last minute. It is started again in 8 s.",
        "last_line": "ModuleNotFoundError: No module named 'pandas'",
        "restarts": 4,
    }
    return components


def sample_shell() -> dict[str, object]:
    """What stands around a page: tabs, the side bar and the Workspaces to choose from."""
    return {
        "tabs": [
            {"label": "Overview", "url": "#main", "current": True},
            {"label": "Variables", "url": "#main", "count": 12},
            {"label": "Settings", "url": "#main"},
        ],
        "nav": [
            {"label": "Deployments", "url": "#main", "icon": "layers", "current": True},
            {"label": "Activity", "url": "#main", "icon": "history"},
            {"label": "Members", "url": "#main", "icon": "users"},
            {"label": "Settings", "url": "#main", "icon": "settings"},
        ],
        "workspace": {"pk": 1, "name": "Acme Data"},
        "workspaces": [
            {"pk": 1, "name": "Acme Data", "url": "#main"},
            {"pk": 2, "name": "Alice", "url": "#main"},
        ],
    }


def sample_charts() -> dict[str, object]:
    """Bars with failures, a gap, an empty hour and one that is not over; the status beside them; a strip of a row."""
    counts = [
        (5, 0),
        (3, 2),
        (None, None),
        (0, 0),
        (12, 1),
        (8, 0),
        (9, 4),
        (2, 0),
        (7, 0),
        (6, 1),
        (4, 0),
        (3, 1),
    ]
    starts = [FIXED.replace(minute=0, second=0) + timedelta(hours=number) for number in range(len(counts))]
    slots = [
        Slot(*each, words=span_text(at, timedelta(hours=1), UTC))
        for at, each in zip(starts, counts, strict=True)
    ]
    changes = [
        Stretch(0, 0.4, "ok", "Healthy"),
        Stretch(0.4, 0.5, "bad", "Unhealthy"),
        Stretch(0.5, 1, "ok", "Healthy"),
    ]
    return {
        "chart": bars(slots, name="sample", marks=[0.3]),
        "chart_ribbon": ribbon(changes, [0.3]),
        "chart_strip": strip(slots),
        "chart_tiles": [
            {"label": "DAGs", "value": "12", "detail": "2 paused"},
            {"label": "Import errors", "value": "1", "tone": "bad"},
            {"label": "Tasks", "value": "3 running", "detail": "7 queued, 4 scheduled"},
            {"label": "CPU", "value": "–", "detail": "This cluster has no metrics server."},
        ],
    }


@login_not_required
def gallery(request: HttpRequest) -> HttpResponse:
    """All components on one page. `?theme=` and `?shell=` show it dark and with the side bar."""
    page = sample_rows()
    theme = request.GET.get("theme", "")
    context = {
        "user_theme": theme if theme in {"light", "dark"} else "system",
        "statuses": list(Status),
        "component_states": list(ComponentState),
        "step_states": list(StepState),
        "page": page,
        "rows": page.object_list,
        "sorts": {
            "name": {"url": "?sort=name", "aria": "ascending"},
            "updated": {"url": "?sort=updated", "aria": None},
        },
        "counts": [
            {"label": "All", "count": 12, "url": "?", "current": True},
            {"label": "Creating", "count": 1, "url": "?status=creating", "current": False},
            {"label": "Healthy", "count": 9, "url": "?status=healthy", "current": False},
        ],
        "filters": FilterForm(auto_id="filter_%s"),
        "form": SampleForm(auto_id="sample_%s"),
        "wrong": SampleForm({"maximum": "64"}, auto_id="wrong_%s"),
        "steps": sample_steps(),
        "components": sample_components(),
        "facts": [
            {"label": "Scheduler", "value": "0.5 CPU · 1.88 GiB", "detail": "5 AU, 1 replica"},
            {"label": "Max workers", "value": "10 × 1 CPU", "detail": ""},
            {"label": "Concurrent tasks", "value": "160", "detail": ""},
        ],
        **sample_shell(),
        **sample_charts(),
        "fixed": FIXED,
        "now": timezone.now(),
    }
    return render(request, "gallery.html", context)

"""The create form's page: which cluster's options it shows, its sections, and the summary beside it."""

from typing import Any

from django.forms import BoundField
from django.utils.datastructures import MultiValueDict

from deployments.forms import CreateForm, SizedForm
from deployments.models import Cluster
from deployments.options import clusters_for, options_for
from deployments.resources import Asked, Line, summary
from workspaces.models import Workspace

Sections = tuple[tuple[str, str, tuple[str, ...], bool], ...]
SECTIONS: Sections = (
    # legend, hint, fields, folded
    ("Basics", "", ("name", "description", "runtime"), False),
    ("Where", "", ("cluster",), False),
    ("Executor", "", ("executor", "worker_type"), False),
    (
        "Default worker queue",
        "For the Celery executor. The number of workers follows the load between these bounds.",
        ("min_workers", "max_workers", "concurrency"),
        True,
    ),
    ("Scheduler", "", ("scheduler_au", "scheduler_replicas"), True),
)


def form_for(workspace: Workspace, data: MultiValueDict[str, Any] | None) -> CreateForm | None:
    """The form with the options of the chosen cluster, or of the first; None when no cluster is open."""
    clusters = list(clusters_for(workspace))
    if not clusters:
        return None
    chosen = _chosen(clusters, str(data.get("cluster", "")) if data else "")
    return CreateForm(data, options=options_for(chosen), clusters=clusters)


def _chosen(clusters: list[Cluster], wanted: str) -> Cluster:
    return next((c for c in clusters if str(c.pk) == wanted), clusters[0])


def sections(form: SizedForm, shown: Sections = SECTIONS) -> list[dict[str, Any]]:
    """The form's fields by section. A folded section with an error in it is open."""
    result = []
    for legend, hint, names, folded in shown:
        fields: list[BoundField] = [form[name] for name in names]
        wrong = any(field.errors for field in fields)
        result.append({"legend": legend, "hint": hint, "fields": fields, "folded": folded, "open": wrong})
    return result


def summary_of(form: SizedForm) -> list[Line]:
    """The figures for what the form holds, valid or not."""
    options = form.options
    worker = next((t for t in options.worker_types if t.name == form["worker_type"].value()), None)
    return summary(
        Asked(
            celery=form.celery,
            scheduler_au=_number(form, "scheduler_au"),
            scheduler_replicas=_number(form, "scheduler_replicas"),
            worker=worker.size if worker else None,
            worker_name=worker.name if worker else "",
            min_workers=_number(form, "min_workers"),
            max_workers=_number(form, "max_workers"),
            concurrency=_number(form, "concurrency"),
            others=form.others,
        )
    )


def _number(form: SizedForm, name: str) -> int | None:
    """The field's value when it alone is valid."""
    if not form.is_bound:
        return int(form[name].value())
    form.is_valid()
    value = form.cleaned_data.get(name)
    return value if isinstance(value, int) else None

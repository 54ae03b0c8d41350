"""The create form's page: which cluster's options it shows, its sections, and the summary beside it."""

from typing import Any

from django.forms import BoundField, Field, ValidationError
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict

from deployments.clusters.options import clusters_for, options_for
from deployments.domain.states import Executor
from deployments.forms.create import CreateForm
from deployments.forms.fields import SizedForm
from deployments.models import Cluster
from deployments.presenters.size_summary import Asked, Line, summary
from workspaces.models import Workspace

OFFERED_CHOICES = ("runtime", "executor", "worker_type")  # what depends on the cluster
Sections = tuple[tuple[str, str, tuple[str, ...], bool], ...]
SECTIONS: Sections = (
    # legend, what is said beside it, fields, folded
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


def switched(workspace: Workspace, typed: QueryDict) -> tuple[CreateForm | None, list[str]]:
    """The form for another cluster, with all that was typed; what that cluster does not offer becomes its default, and
    a sentence says so. Nothing is judged yet."""
    fresh = form_for(workspace, typed)
    if fresh is None:
        return None, []
    kept: dict[str, Any] = {name: typed[name] for name in fresh.fields if name in typed}
    kept["cluster"] = str(fresh.options.cluster.pk)
    message = []
    for name in OFFERED_CHOICES:
        field = fresh.fields[name]
        offered = {str(value) for value, _ in field.choices}  # type: ignore[attr-defined]
        if name in kept and kept[name] not in offered:
            lost, new = _word(name, kept.pop(name)[:40]), _word(name, field.initial)
            instead = f"{new} is chosen instead" if new else "it offers none"
            message.append(f"{fresh.options.cluster.name} does not offer {field.label} {lost}: {instead}.")
    clusters = list(clusters_for(workspace))
    return CreateForm(None, options=fresh.options, clusters=clusters, initial=kept), message


def _chosen(clusters: list[Cluster], desired: str) -> Cluster:
    return next((c for c in clusters if str(c.pk) == desired), clusters[0])


def sections(form: SizedForm, shown: Sections = SECTIONS) -> list[dict[str, Any]]:
    """The form's fields by section. A folded section is open with an error in it, or with something of its own."""
    result = []
    for legend, note, names, folded in shown:
        fields: list[BoundField] = [form[name] for name in names]
        opened = any(field.errors or _changed(form, field) for field in fields)
        result.append({"legend": legend, "note": note, "fields": fields, "folded": folded, "open": opened})
    return result


def summary_of(form: SizedForm) -> list[Line]:
    """The figures for what the form holds, valid or not."""
    options = form.options
    worker = next((t for t in options.worker_types if t.name == form["worker_type"].value()), None)
    return summary(
        Asked(
            celery=form.celery,
            pods=options.cluster.kind == Cluster.Kind.KUBERNETES,
            executor=_executor(form),
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


def as_typed(form: SizedForm) -> dict[str, Any]:
    """What the form holds by field, judged or not, the cluster by its name: for the same as a command."""
    values = {name: form[name].value() for name in form.fields if not form[name].is_hidden}
    if "cluster" in values:
        names = dict(form.fields["cluster"].choices)  # type: ignore[attr-defined]
        values["cluster"] = names.get(str(values["cluster"]), values["cluster"])
    return values


def offered(form: SizedForm) -> dict[str, Any]:
    """The defaults of the form's fields, the cluster by its name when it is the only one: then none need be named."""
    values = {name: field.initial for name, field in form.fields.items()}
    if "cluster" in form.fields:
        found = [name for _, name in form.fields["cluster"].choices]  # type: ignore[attr-defined]
        values["cluster"] = found[0] if len(found) == 1 else None
    return values


def _executor(form: SizedForm) -> Executor | None:
    """The one chosen; a form of a worker queue has none to choose, and is of Celery."""
    value = form["executor"].value() if "executor" in form.fields else Executor.CELERY
    return Executor(value) if value in set(Executor) else None


def _number(form: SizedForm, name: str) -> int | None:
    """The field's value when it alone is valid."""
    if not form.is_bound:
        return _within(form.fields[name], form[name].value())
    form.is_valid()
    value = form.cleaned_data.get(name)
    return value if isinstance(value, int) else None


def _word(name: str, value: str | None) -> str:
    """A choice as people know it."""
    return (value or "").capitalize() if name == "executor" else value or ""


def _within(field: Field, value: object) -> int | None:
    try:
        number = field.clean(value)
    except ValidationError:
        return None
    return number if isinstance(number, int) else None


def _changed(form: SizedForm, field: BoundField) -> bool:
    """Whether a form that was typed into, and is shown for another cluster, differs from the default here."""
    return not form.is_bound and str(form.initial.get(field.name, field.field.initial)) != str(
        field.field.initial
    )

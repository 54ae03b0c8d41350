"""What a person may find of Deployments. The caller passes the Workspaces that the person belongs to."""

from collections.abc import Sequence
from uuid import UUID

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Lower

from deployments.models import Dag, Deployment

SHOWN = (  # what a result says of one, and what its status is judged by
    *("name", "release_name", "executor", "status", "observed_at", "due_at", "deleted_at", "workspace_id"),
    *("cluster__name", "cluster__last_seen_at"),
)


def _holds(words: Sequence[str]) -> Q:
    every = Q()
    for word in words:
        every &= Q(name__icontains=word) | Q(release_name__icontains=word)
    return every


def _of(workspace_ids: Sequence[UUID]) -> QuerySet[Deployment]:
    rows = Deployment.objects.filter(workspace_id__in=workspace_ids, deleted_at__isnull=True)
    return rows.select_related("cluster").only(*SHOWN)


def deployments(
    workspace_ids: Sequence[UUID], readings: Sequence[Sequence[str]], most: int, *, here: UUID | None = None
) -> list[Deployment]:
    """At most `most` Deployments of these Workspaces of whose name and release name one reading holds every word. Those
    whose name begins with the first word come first, then those of the Workspace `here`. One query, none for no
    reading."""
    known = [words for words in readings if words]
    if not known:
        return []
    match, begins = Q(), Q()
    for words in known:
        match |= _holds(words)
        begins |= Q(name__istartswith=words[0])
    rank = Case(When(begins, then=Value(0)), default=Value(1), output_field=IntegerField())
    near = Case(When(workspace_id=here, then=Value(0)), default=Value(1), output_field=IntegerField())
    return list(_of(workspace_ids).filter(match).order_by(rank, near, Lower("name"), "pk")[:most])


def by_release_names(workspace_ids: Sequence[UUID], names: Sequence[str]) -> list[Deployment]:
    """Those with these release names in these Workspaces, in the order of `names`. One query, none for no name."""
    if not names:
        return []
    found = {each.release_name: each for each in _of(workspace_ids).filter(release_name__in=names)}
    return [found[name] for name in names if name in found]


def dags(
    workspace_ids: Sequence[UUID], words: Sequence[str], most: int, *, here: UUID | None = None
) -> list[Dag]:
    """At most `most` DAGs of these Workspaces in whose name or id every word is, each with its Deployment. Those that
    begin with the first word come first, then those of the Workspace `here`. One query."""
    rows = Dag.objects.filter(deployment__workspace_id__in=workspace_ids, deployment__deleted_at__isnull=True)
    for word in words:
        rows = rows.filter(Q(dag_id__icontains=word) | Q(name__icontains=word))
    begins = Q(dag_id__istartswith=words[0]) | Q(name__istartswith=words[0])
    rank = Case(When(begins, then=Value(0)), default=Value(1), output_field=IntegerField())
    near = Case(
        When(deployment__workspace_id=here, then=Value(0)), default=Value(1), output_field=IntegerField()
    )
    rows = rows.select_related("deployment").only(
        "dag_id", "name", "deployment__name", "deployment__release_name", "deployment__workspace_id"
    )
    return list(rows.order_by(rank, near, Lower("name"), "pk")[:most])

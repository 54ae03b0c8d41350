"""Clusters that are open to a Workspace, and what a Deployment on each of them may be."""

from uuid import UUID

from django.http import Http404
from ninja import Router

from deployments.api.schemas import Choice, ClusterOut, Clusters, OptionsOut, Range
from deployments.clusters import options
from deployments.models import Cluster
from workspaces.api.auth import ApiRequest, InWorkspace
from workspaces.permissions import Permission

router = Router(tags=["Clusters"])


def _document(cluster: Cluster) -> ClusterOut:
    return ClusterOut(id=cluster.pk, name=cluster.name, kind=cluster.kind)


@router.get(
    "/workspaces/{uuid:workspace_id}/clusters",
    auth=InWorkspace(Permission.VIEW),
    response=Clusters,
    url_name="clusters",
    operation_id="list_clusters",
)
def cluster_list(request: ApiRequest, workspace_id: UUID) -> Clusters:
    """The clusters on which the Workspace may create Deployments, by name."""
    rows = options.clusters_for(request.membership.workspace)
    return Clusters(items=[_document(each) for each in rows])


@router.get(
    "/workspaces/{uuid:workspace_id}/clusters/{uuid:cluster_id}/options",
    auth=InWorkspace(Permission.VIEW),
    response=OptionsOut,
    url_name="options",
    operation_id="get_options",
)
def cluster_options(request: ApiRequest, workspace_id: UUID, cluster_id: UUID) -> OptionsOut:
    """Every choice, limit and default of a Deployment on this cluster."""
    cluster = options.clusters_for(request.membership.workspace).filter(pk=cluster_id).first()
    if cluster is None:
        raise Http404
    offered = options.options_for(cluster)
    default = offered.default_worker_type

    def bounds(each: options.Range) -> Range:
        return Range(minimum=each.minimum, maximum=each.maximum, default=each.default)

    return OptionsOut(
        cluster=_document(cluster),
        executors=[
            Choice(value=each.value.value, label=each.value.label, default=not place)
            for place, each in enumerate(offered.executors)
        ],
        runtimes=[
            Choice(value=each.version, label=str(each), default=not place)
            for place, each in enumerate(offered.runtimes)
        ],
        worker_types=[
            Choice(value=each.name, label=str(each), default=each == default) for each in offered.worker_types
        ],
        scheduler_au=bounds(offered.scheduler_au),
        scheduler_replicas=bounds(offered.scheduler_replicas),
        min_workers=bounds(offered.min_workers),
        max_workers=bounds(offered.max_workers),
        concurrency=bounds(offered.concurrency),
    )
